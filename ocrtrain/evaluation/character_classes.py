"""Classes and scripts of characters."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import cache

CLASSES = {
    "Lu": "upper case",
    "Lt": "upper case",
    "Ll": "lower case",
    "L": "other letters",
    "M": "marks",
    "N": "digits",
    "P": "punctuation",
    "S": "symbols",
    "Z": "spaces",
}
NO_SCRIPT = "no letters"


@cache
def character_class(character: str) -> str:
    """Name the class of a character after its Unicode category; white space of any kind is a space."""
    category = unicodedata.category(character)
    if character.isspace():
        return "spaces"
    return CLASSES.get(category) or CLASSES.get(category[0], "others")


@cache
def script(character: str) -> str | None:
    """Name the script that a character belongs to, such as "Latin"; None if it belongs to several or none."""
    from fontTools import unicodedata as tables  # a quarter of a second, and only a report asks

    code = tables.script(character)
    return None if code in ("Zyyy", "Zinh", "Zzzz") else str(tables.script_name(code)).replace("_", " ")


def line_script(text: Iterable[str]) -> str:
    """Name the scripts of a line: one, several joined by " + ", or "no letters"."""
    return " + ".join(sorted({name for name in map(script, set(text)) if name})) or NO_SCRIPT
