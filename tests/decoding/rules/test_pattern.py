"""Patterns against Python's own regular expressions."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocrtrain.decoding.rules.automaton import DEAD
from ocrtrain.decoding.rules.pattern import compile_pattern
from ocrtrain.decoding.tables import Automaton
from ocrtrain.errors import InputError
from ocrtrain.text import Charset

SYMBOLS = "ab1. -"
CHARSET = Charset(SYMBOLS)


def accepts(automaton: Automaton, labels: list[int]) -> bool:
    state = 0
    for k in labels:
        arcs = automaton.arcs[automaton.states[state, 0] : automaton.states[state + 1, 0]]
        found = arcs[arcs[:, 0] == k]
        if not len(found):
            return False
        state = int(found[0, 1])
    return automaton.gains[state, 2] == 0.0


def texts(longest: int) -> list[str]:
    return ["".join(text) for n in range(longest + 1) for text in itertools.product(SYMBOLS, repeat=n)]


SHORT = texts(4)


def check(pattern: str) -> None:
    expected = {text for text in SHORT if re.fullmatch(pattern, text)}
    try:
        automaton = compile_pattern(pattern, None, CHARSET)
    except InputError as error:
        assert "is matched by no text" in str(error) and not expected
        return
    assert {text for text in SHORT if accepts(automaton, CHARSET.encode(text))} == expected


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "a",
        "(ab|b)*a?",
        "a{2}",
        "a{1,3}b{0,1}",
        "(a{2}){1,2}",
        "(a?b?){2}",
        "a{0}",
        "a{2,}",
        r"\d+\.\d*",
        r"\w\W\s?\S?",
        "[ab]+",
        "[^ab]+",
        "[a-b1]*",
        r"[\d.]+",
        r"[\]\-a]+",
        "[-a]",
        "[a-]",
        "[]a]",
        ".+1",
        "(?:a|)b",
        "|a",
        "()",
        "x|a",
        "ä?a",
        r"\.\ \-",
    ],
)
def test_matches_are_those_of_python(pattern: str) -> None:
    check(pattern)


parts = st.recursive(
    st.sampled_from(["a", "b", "1", r"\.", ".", "[ab]", "[^a]", r"\d", r"\w"]),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda two: f"({two[0]}|{two[1]})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,2}", "{0,1}", "{1,}"])).map(
            lambda two: f"({two[0]}){two[1]}"
        ),
    ),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(parts)
def test_any_pattern_matches_what_python_matches(pattern: str) -> None:
    check(pattern)


def test_an_alphabet_restricts_a_pattern() -> None:
    automaton = compile_pattern("[ab]*1?", "b1ä", CHARSET)
    for text in SHORT:
        assert accepts(automaton, CHARSET.encode(text)) == bool(re.fullmatch("b*1?", text))
    automaton = compile_pattern(None, "a.", CHARSET)
    assert all(accepts(automaton, CHARSET.encode(text)) == (set(text) <= set("a.")) for text in SHORT)


def test_the_frames_to_an_end_are_the_fewest() -> None:
    automaton = compile_pattern("aab?|b1", None, CHARSET)
    a, b, one = CHARSET.encode("ab1")
    assert automaton.need[0, 0] == 2  # b and 1: two a's need a blank between them
    after_a = int(automaton.arcs[0, 1])
    assert automaton.need[after_a, 0] == 1 and automaton.need[after_a, a] == 2
    assert (automaton.states[:, 1:] == DEAD).all() and b != one
    assert np.isfinite(automaton.gains).any()


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(a", "not closed"),
        ("a)", "'\\)' too many"),
        ("[a", "not closed"),
        ("*a", "nothing to repeat"),
        ("a**", "repeats a repetition"),
        ("a{x}", "without numbers"),
        ("a{2,1}", "repeats 2,1 times"),
        ("a{5000}", "of at most 1000"),
        ("a\\", "ends in a backslash"),
        (r"\bab", r"has \\b"),
        ("(?=a)", "not known here"),
        ("[b-a]", "ends before it begins"),
        ("ж+", "is matched by no text"),
        ("((a{99}){99}){99}", "too many states"),
    ],
)
def test_what_is_no_pattern_is_said(pattern: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        compile_pattern(pattern, None, CHARSET)
