"""A text is drawn in fonts that have all of it, and what no font has is found out at once."""

from __future__ import annotations

from collections import Counter

import pytest

from ocrtrain.errors import InputError
from ocrtrain.fonts.finding import Font
from ocrtrain.synthesis.choice import FontChoice
from ocrtrain.synthesis.hashed_random import HashedRandom
from ocrtrain.text import Charset


def fonts(**characters: str) -> list[Font]:
    return [Font(name, name, f"{name}.ttf", 0, "", frozenset(drawn)) for name, drawn in characters.items()]


def names(choice: FontChoice, text: str) -> list[str]:
    return [font.name for font in choice(text)]


def test_only_fonts_with_every_symbol_are_given() -> None:
    choice = FontChoice(fonts(latin="abc", both="abcд", cyrillic="дж"), Charset("abcдж"))
    assert names(choice, "cab") == ["latin", "both"]
    assert names(choice, "ad".replace("d", "д")) == ["both"]
    assert names(choice, "ж") == ["cyrillic"]
    assert names(choice, "aж") == []


def test_what_no_font_draws_is_named() -> None:
    with pytest.raises(InputError, match=r"none draws 'ж' \(U\+0436 CYRILLIC SMALL LETTER ZHE\)"):
        FontChoice(fonts(latin="abc"), Charset("abж"))
    choice = FontChoice(fonts(latin="abc", cyrillic="дж"), Charset("abcдж"))
    with pytest.raises(InputError, match=r"the whole charset; latin comes closest but lacks 'д'"):
        choice.check([frozenset("abcдж")])
    choice.check([frozenset("abc"), frozenset("дж")])
    with pytest.raises(InputError, match="none draws all of 'aж'"):
        choice.check([frozenset("abc"), frozenset("aж")])


def shares(choice: FontChoice, text: str = "a", count: int = 4000) -> dict[str, float]:
    picked = Counter(choice.pick(text, HashedRandom(f"font:{i}", 4)) for i in range(count))
    return {font.name: times / count for font, times in picked.items() if font}


def test_a_family_of_many_cuts_comes_no_more_often_than_another() -> None:
    cuts = [Font(f"Large {i}", "Large", "", i, "", frozenset("ab")) for i in range(20)]
    found = shares(FontChoice([*cuts, *fonts(small="ab", other="b")], Charset("ab")))
    assert found["small"] == pytest.approx(0.5, abs=0.03) and "other" not in found
    assert all(found[cut.name] == pytest.approx(0.025, abs=0.01) for cut in cuts)


def test_weights_by_patterns_multiply() -> None:
    three = fonts(Mono="a", MonoBold="a", Sans="a")
    found = shares(FontChoice(three, Charset("a"), {"mono*": 3, "*BOLD": 0.5}))
    assert found == {k: pytest.approx(v / 5.5, abs=0.03) for k, v in
                     {"Mono": 3, "MonoBold": 1.5, "Sans": 1}.items()}  # fmt: skip
    assert shares(FontChoice(three, Charset("a"), {"mono*": 0})) == {"Sans": 1.0}


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"Nothing*": 1}, "no font that was found"),
        ({"*": -1}, r"font_weights\.\*=-1: must be a number from 0"),
        ({"*": 0}, "leave no font"),
    ],
)
def test_weights_without_sense_are_refused(weights: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        FontChoice(fonts(one="a"), Charset("a"), weights)
