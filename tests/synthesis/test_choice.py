"""A text is drawn in fonts that have all of it, and what no font has is found out at once."""

from __future__ import annotations

import pytest

from ocrtrain.errors import InputError
from ocrtrain.synthesis.choice import FontChoice
from ocrtrain.synthesis.fonts import Font
from ocrtrain.text import Charset


def fonts(**characters: str) -> list[Font]:
    return [Font(name, f"{name}.ttf", 0, "", frozenset(drawn)) for name, drawn in characters.items()]


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
    with pytest.raises(InputError, match="latin comes closest but lacks 'д'"):
        choice.check_strings()
    choice.check_texts(["abc", "дж"])
    with pytest.raises(InputError, match="none draws all of 'aж'"):
        choice.check_texts(["abc", "aж"])
