"""Fonts of drawn lines, and the direction in which texts run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from ocrtrain.errors import InputError
from ocrtrain.fonts.finding import Font, find_fonts, matches
from ocrtrain.synthesis.choice import FontChoice
from ocrtrain.synthesis.direction import Direction
from ocrtrain.synthesis.hashed_random import Weight
from ocrtrain.synthesis.typesetter import Typesetter
from ocrtrain.text import Charset

NO_TEXT_FONTS = (
    "*barcode*",
    "*caps*",  # small capitals in the place of small letters
    "*d050000l*",
    "*dingbats*",
    "*emoji*",
    "*fallback*",
    "*icons*",
    "*initials*",
    "*keyboard*",
    "*ornaments*",
    "*symbol*",
    "stixsize*",
)

_DIRECTIONS: dict[str, Direction] = {"auto": None, "ltr": "ltr", "rtl": "rtl"}


@dataclass(frozen=True, slots=True)
class FontSettings:
    """Choice of the fonts.

    fonts: "bundled" (those in matplotlib's wheel), "system", "packages" (from PyPI), folders, files.
    exclude_fonts: patterns of names, such as "*Barcode*".
    only_fonts: patterns of which one must match; None for any name.
    font_weights: how often fonts are used, by such patterns; 1 without.
    direction: "auto", by the first letter of the text that has one; "ltr" or "rtl".
    vertical: in columns, which are turned to lie on their side, with their top at the left.
    """

    fonts: list[str] = field(default_factory=lambda: ["bundled", "system"])
    exclude_fonts: list[str] = field(default_factory=lambda: list(NO_TEXT_FONTS))
    only_fonts: list[str] | None = None
    font_weights: dict[str, Weight] | None = None
    direction: Literal["auto", "ltr", "rtl"] = "auto"
    vertical: bool = False

    def typesetter(self, charset: Charset) -> Typesetter:
        """Give what sets texts of `charset`; raises `InputError` if that takes libraqm, and there is none."""
        return Typesetter(charset, "ttb" if self.vertical else _DIRECTIONS[self.direction])

    def choice(self, charset: Charset, shaping: bool) -> FontChoice:
        """Find the fonts; raises `InputError` if there are none, or none for some symbol."""
        found = find_fonts(charset.symbols, self.fonts, self.exclude_fonts, shaping)
        if self.only_fonts is not None:
            found = _only(found, self.only_fonts)
        return FontChoice(found, charset, self.font_weights)


def _only(fonts: Sequence[Font], patterns: Sequence[str]) -> list[Font]:
    found = [font for font in fonts if any(matches(font.name, pattern) for pattern in patterns)]
    if not found:
        raise InputError(
            "synthesis.only_fonts",
            f"of the {len(fonts)} fonts found, none has a name like {', '.join(patterns[:6])}",
            "install some, name their folder (synthesis.fonts=[FOLDER] synthesis.only_fonts=null),"
            " or give other patterns.",
        )
    return found
