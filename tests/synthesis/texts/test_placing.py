"""Where symbols may stand, and where a text may be cut: Unicode's own examples."""

from __future__ import annotations

import pytest

from ocrtrain.synthesis.texts.placing import cuts_at, may_follow, shorten, stands_alone


@pytest.mark.parametrize("symbol", "aßЖ中ا1.€")
def test_letters_digits_and_signs_stand_alone(symbol: str) -> None:
    assert stands_alone(symbol)


@pytest.mark.parametrize("symbol", "\u0301\u093f\u0e34\u200d\ufe0f\u00ad \u11a8")
def test_marks_joiners_and_spaces_do_not(symbol: str) -> None:
    assert not stands_alone(symbol)


@pytest.mark.parametrize(
    ("before", "symbol", "may"),
    [
        ("x", "\u0301", True),
        ("e", "\u0301", False),  # they would become one: é
        ("1", "\u0301", False),
        ("", "\u0301", False),
        ("\u0915", "\u093f", True),  # the vowel sign I on the consonant KA
        ("\u0907", "\u093f", False),  # on the vowel I
        ("\u0e01", "\u093f", False),  # on a letter of another script
        ("\u0e01", "\u0e34", True),
        ("\u0e40", "\u0e34", False),  # a Thai vowel on a vowel
        ("\u0628", "\u200c", True),
        ("\u094d", "\u200d", True),  # behind a virama
        ("a", "\u200c", False),
        ("a", " ", True),
        (" ", " ", False),
    ],
)
def test_what_may_follow(before: str, symbol: str, may: bool) -> None:
    assert may_follow(before, symbol) == may


def test_texts_are_cut_between_words_or_letters() -> None:
    assert shorten("one two three", 20) == "one two three"
    assert shorten("one two three", 9) == "one two"
    assert shorten("one two three", 7) == "one two"
    assert shorten("one two three", 9, least=8) == "one two t"
    assert shorten("onetwothree", 5) == "onetw"
    assert shorten("ax\u0323\u0302b", 3) == "a"  # two marks on the x
    assert not cuts_at("क्ष", 2)  # behind a virama
