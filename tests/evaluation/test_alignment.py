"""Pairs of characters along an alignment."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from ocrtrain.evaluation.alignment import align, is_right_to_left
from ocrtrain.text import normalize


def test_a_worked_example() -> None:
    assert align("kitten", "sitting") == [
        ("k", "s"), ("i", "i"), ("t", "t"), ("t", "t"), ("e", "i"), ("n", "n"), ("", "g"),
    ]  # fmt: skip
    assert align("ab", "b") == [("a", ""), ("b", "b")]
    assert align("", "") == []


@given(st.text("abcé\u0301 ", max_size=10), st.text("abcé\u0301 ", max_size=10))
def test_both_texts_come_back_and_the_errors_are_the_distance(truth: str, read: str) -> None:
    pairs = align(truth, read)
    assert "".join(pair.truth for pair in pairs) == normalize(truth)
    assert "".join(pair.read for pair in pairs) == normalize(read)
    errors = sum(pair.truth != pair.read for pair in pairs)
    assert errors == Levenshtein.distance(normalize(truth), normalize(read))


def test_directions() -> None:
    assert is_right_to_left("abc בית") and is_right_to_left("بيت 12")
    assert not is_right_to_left("abc 12.") and not is_right_to_left("")
