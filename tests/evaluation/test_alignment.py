"""Pairs of characters along an alignment."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from ocrtrain.evaluation.alignment import align, by_grapheme, is_right_to_left
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


def joined(truth: str, prediction: str) -> list[tuple[str, str]]:
    return [tuple(pair) for pair in by_grapheme(align(truth, prediction))]


def test_marks_stay_with_their_letters() -> None:
    assert joined("abc", "axc") == [("a", "a"), ("b", "x"), ("c", "c")]
    assert joined("x\u0301b", "xb") == [("x\u0301", "x"), ("b", "b")]
    assert joined("xb", "x\u0301b") == [("x", "x\u0301"), ("b", "b")]
    assert joined("\u05d0\u05b7\u05d1", "\u05d0\u05b8\u05d1") == [
        ("\u05d0\u05b7", "\u05d0\u05b8"),
        ("\u05d1",) * 2,
    ]
    assert joined("\u0915\u093f\u0916", "\u0915\u0916") == [("\u0915\u093f", "\u0915"), ("\u0916",) * 2]
    assert joined("", "") == []


@given(st.text("ax\u0301\u200d\u0915\u093f"), st.text("ax\u0301\u200d\u0915\u093f"))
def test_joining_loses_nothing(truth: str, prediction: str) -> None:
    for side in (0, 1):
        before = "".join(pair[side] for pair in align(truth, prediction))
        assert "".join(pair[side] for pair in joined(truth, prediction)) == before
