"""Confusions by hand, and against the edit counts that they must add up to."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocrtrain.evaluation import count_edits
from ocrtrain.evaluation.alignment import align
from ocrtrain.evaluation.confusions import Confusions, count_confusions

TEXTS = st.text("abn m.", max_size=14)
PAIRS = st.lists(st.tuples(TEXTS, TEXTS), max_size=6)


def test_strings_are_read_as_others() -> None:
    found = count_confusions(["modern times", "an arm", "ihm"], ["modem times", "anarm", "ihrn"])
    assert found.strings == {("rn", "m"): 1, ("m", "rn"): 1}
    assert found.pairs[" ", ""] == 1 and sum(found.pairs.values()) == 2 + 1 + 2


def test_long_stretches_are_no_confusion() -> None:
    assert not count_confusions(["abcdefgh"], ["xyzuvwrs"]).strings


@settings(max_examples=150, deadline=None)
@given(PAIRS)
def test_they_are_the_edits_along_the_alignment(pairs: list[tuple[str, str]]) -> None:
    truths, reads = [truth for truth, _ in pairs], [read for _, read in pairs]
    found = count_confusions(truths, reads)
    along = Counter(pair for lines in pairs for pair in align(*lines) if pair.truth != pair.read)
    counts = count_edits(truths, reads)
    assert found.pairs == along
    assert sum(found.pairs.values()) == counts.edits
    assert sum(n for (truth, _), n in found.pairs.items() if not truth) == counts.insertions
    assert sum(n for (_, read), n in found.pairs.items() if not read) == counts.deletions


@settings(max_examples=50, deadline=None)
@given(PAIRS, st.integers(0, 6))
def test_parts_add_up_to_the_whole(pairs: list[tuple[str, str]], cut: int) -> None:
    def counted(part: list[tuple[str, str]]) -> Confusions:
        return count_confusions([truth for truth, _ in part], [read for _, read in part])

    assert counted(pairs[:cut]) + counted(pairs[cut:]) == counted(pairs)


def test_recall_and_precision_of_spaces() -> None:
    # One of four spaces is lost, and one is read where none stands.
    spaces = count_confusions(["a b c", "d e f"], ["ab c", "d e f g"]).spaces()
    assert (spaces.truth, spaces.read, spaces.found) == (4, 4, 3)
    assert (spaces.recall, spaces.precision) == (0.75, 0.75)
    nowhere = count_confusions(["ab"], ["ab"]).spaces()
    assert nowhere.recall is None and nowhere.precision is None


def test_each_character_and_each_class() -> None:
    found = count_confusions(["eee1", "X"], ["ece1", "x"])
    each = {f.name: f for f in found.characters()}
    assert (each["e"].recall, each["e"].precision) == (pytest.approx(2 / 3), 1.0)
    assert (each["c"].recall, each["c"].precision) == (None, 0.0)
    classes = {f.name: (f.truth, f.read, f.found) for f in found.classes()}
    assert classes == {"lower case": (3, 4, 2), "digits": (1, 1, 1), "upper case": (1, 0, 0)}
    assert sum(f.truth for f in found.classes()) == 5
