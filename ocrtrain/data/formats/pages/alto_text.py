"""The text of each line of ALTO XML: where its strings are parted by spaces, and where they touch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ocrtrain.data.formats.pages.coordinates import CoordinateError, number
from ocrtrain.data.formats.pages.page_text import children_of
from ocrtrain.data.formats.pages.xml_file import local

_TOUCHING = 0.05  # of the strings' height; spaces between words are several times as wide
_HYPHENS = ("-", "\u00ad", "\u2010", "\u2e17", "\u00ac")


class Strings:
    """Joins the strings of lines by the rules of their file.

    lines: its TextLine elements. Where the file has SP elements, they are its spaces: a line with some has no
    others. In a line without any, strings are parted where their places say so, if the places of this file
    do: in some, most boxes touch. Without places, they are parted by spaces, as ALTO defines them, unless
    the file marks its spaces elsewhere.
    """

    def __init__(self, lines: Sequence[Any]) -> None:
        self.marked = any(local(child.tag) == "SP" for line in lines for child in line)
        gaps = [_apart(*pair) for line in lines for pair in _neighbours(line)]
        known = [apart for apart in gaps if apart is not None]
        self.placed = sum(known) * 2 >= len(known) > 0  # else boxes share out their line, and tell nothing

    def text_of(self, line: Any) -> str | None:
        """Give a line's text, None if it has no string."""
        text: str | None = None
        spaced = any(local(child.tag) == "SP" for child in line)
        before: Any = None
        space = False
        for element in line:
            kind = local(element.tag)
            if kind == "SP":
                space = True
            elif kind == "String":
                content = _content(element)
                if content and text:
                    if not spaced:
                        space = self._parted(before, element)
                    text += " " if space and not text.endswith(" ") and not content.startswith(" ") else ""
                text = (text or "") + content
                before, space = element, False
            elif kind == "HYP" and text is not None:
                # It stands for a hyphen in the image, whether it says which one or not.
                text += element.get("CONTENT") or ("" if text.endswith(_HYPHENS) else "-")
        return text

    def _parted(self, before: Any, element: Any) -> bool:
        apart = _apart(before, element) if self.placed else None
        return not self.marked if apart is None else apart


def _neighbours(line: Any) -> list[tuple[Any, Any]]:
    """List the strings of a line that follow each other without an SP."""
    pairs, before = [], None
    for element in line:
        kind = local(element.tag)
        if kind == "String":
            if before is not None:
                pairs.append((before, element))
            before = element
        elif kind == "SP":
            before = None
    return pairs


def _apart(first: Any, second: Any) -> bool | None:
    """Whether there is room for a space between two strings; None where their places are not known."""
    try:
        (x1, w1, h1), (x2, w2, h2) = (
            [number(string.get(name)) for name in ("HPOS", "WIDTH", "HEIGHT")] for string in (first, second)
        )
    except CoordinateError:
        return None
    if x1 is None or x2 is None or w1 is None or w2 is None:
        return None
    height = max(h1 or 0.0, h2 or 0.0)
    return max(x2 - (x1 + w1), x1 - (x2 + w2)) > max(_TOUCHING * height, 1.0)


def _content(string: Any) -> str:
    content = string.get("CONTENT")
    if content is None:
        return "".join(glyph.get("CONTENT", "") for glyph in children_of(string, "Glyph"))
    return str(content)
