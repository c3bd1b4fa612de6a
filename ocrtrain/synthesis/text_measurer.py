"""Measures the space that a text takes in a font at any size, from one measurement of each letter.

Nothing is drawn: that costs a hundred times as much where there are too many fonts and sizes to keep letters.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from PIL import ImageFont

from ocrtrain.synthesis.direction import Direction, text_box
from ocrtrain.synthesis.typeface import CELL, Typeset, pen_places

# Pixels per em at which letters are measured: fine enough for all sizes of lines.
_FINE = 128


class _Extent(NamedTuple):
    """Extent of a letter's ink, in ems from the pen's place on the baseline, and how far the pen moves."""

    left: float
    top: float
    right: float
    bottom: float
    advance: float


class TextMeasurer:
    """Measures as a `Typeface` of the same arguments typesets, to a pixel or two for a line."""

    def __init__(self, path: str, index: int, size: int, shaping: bool, direction: Direction = None) -> None:
        self.path, self.index, self.size = path, index, size
        self.shaping, self.direction = shaping, direction
        self._letters = _extents(path, index)

    def typeset(
        self, text: str, spacing: float = 0.0, word_spacing: float = 0.0, pitch: float = 0.0
    ) -> Typeset:
        """Give the box of what `Typeface.typeset` would place, without any picture in it."""
        size = self.size
        if self.shaping:
            x0, y0, x1, y1, _ = _measure(self.path, self.index, text, self.direction)
            return Typeset((), (round(x0 * size), round(y0 * size), round(x1 * size), round(y1 * size)))
        extents = [self._letters.get(letter) or self._measured(letter) for letter in text]
        advances = [round(extent.advance * size) for extent in extents]
        pens = pen_places(self, text, advances, spacing, word_spacing, pitch)
        cell = round(pitch * size)
        start, end, top, bottom = float("inf"), float("-inf"), float("inf"), float("-inf")
        for (left, above, right, below, _), pen in zip(extents, pens, strict=True):
            if right <= left:
                continue
            width = (right - left) * size
            if cell:
                width = min(width, CELL * cell)
            x = pen + (cell - width) / 2 if cell else pen + left * size
            start, end = min(start, x), max(end, x + width)
            top, bottom = min(top, above), max(bottom, below)
        if end < start:
            return Typeset((), (0, -1, 1, 0))
        return Typeset((), (round(start), round(top * size), round(end), round(bottom * size)))

    def _measured(self, letter: str) -> _Extent:
        extent = self._letters[letter] = _measure(self.path, self.index, letter, None, advance=True)
        return extent


@cache
def _extents(path: str, index: int) -> dict[str, _Extent]:
    """Keep what the letters of a font measured, for all sizes."""
    return {}


def _measure(path: str, index: int, text: str, direction: Direction, advance: bool = False) -> _Extent:
    font = _open(path, index, not advance)
    x0, y0, x1, y1 = (edge / _FINE for edge in text_box(font, text, direction))
    return _Extent(x0, y0, x1, y1, font.getlength(text) / _FINE if advance else 0.0)


@cache
def _open(path: str, index: int, shaping: bool) -> ImageFont.FreeTypeFont:
    engine = ImageFont.Layout.RAQM if shaping else ImageFont.Layout.BASIC
    return ImageFont.truetype(path, _FINE, index, layout_engine=engine)
