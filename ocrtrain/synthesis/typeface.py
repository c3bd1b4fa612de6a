"""Letters of a font as pictures, drawn once and used again, and a text set in them.

FreeType takes ten times as long to draw a letter as it takes to put its picture into a line, and a line needs
the letters one by one where the distances between them are ours to choose.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFont

from ocrtrain.fonts.tables import open_tables
from ocrtrain.synthesis.direction import Direction, draw_text, text_box

_log = logging.getLogger(__name__)
Ink = NDArray[np.uint8]

# An open face takes about 200 KB.
_OPEN_FONTS = 256
# Bytes of letters' pictures that a process keeps; beyond that, all are forgotten and drawn anew.
_ROOM = 1 << 26
# Of a typewriter's cell, the part that its widest letters fill.
CELL = 0.96
_FAR = 1 << 30


@dataclass(frozen=True, slots=True)
class Glyph:
    """A picture of ink, uint8 [h, w], and where it goes: `x` right of the pen and `y` below the baseline.

    `advance` is how far the pen moves on, in pixels.
    """

    ink: Ink
    x: int
    y: int
    advance: int


@dataclass(frozen=True, slots=True)
class Typeset:
    """Pictures of ink with the places (column, row below the baseline) of their upper left corners.

    `box` is what they cover: left, top, right, bottom.
    """

    pictures: Sequence[tuple[Ink, int, int]]
    box: tuple[int, int, int, int]

    def draw(self, border: int) -> Ink:
        """Draw all of the ink, uint8 from 0 to 255, with `border` empty pixels around it."""
        x0, y0, x1, y1 = self.box
        canvas = np.zeros((y1 - y0 + 2 * border, x1 - x0 + 2 * border), np.uint8)
        self.put(canvas, border - x0, border - y0)
        return canvas

    def put(self, canvas: Ink, x: int, y: int) -> None:
        """Draw the ink onto `canvas`, where it must fit, with the baseline's start at column `x`, row `y`."""
        for ink, left, top in self.pictures:
            height, width = ink.shape
            place = canvas[y + top : y + top + height, x + left : x + left + width]
            np.maximum(place, ink, out=place)


class Letters(Protocol):
    """A face at one size that places the letters of a text, or only measures them."""

    path: str
    index: int
    size: int
    direction: Direction

    def typeset(
        self, text: str, spacing: float = 0.0, word_spacing: float = 0.0, pitch: float = 0.0
    ) -> Typeset:
        """Place the letters of `text` side by side, all in ems (see `Typeface.typeset`)."""


class Typeface:
    """A face at one size, in pixels per em, and the way its texts run, for which `shaping` must be true."""

    def __init__(self, path: str, index: int, size: int, shaping: bool, direction: Direction = None) -> None:
        self.path, self.index, self.size = path, index, size
        self.shaping, self.direction = shaping, direction
        self._glyphs: dict[str, Glyph] = {}
        self._narrowed: dict[tuple[str, int], Glyph] = {}

    @property
    def font(self) -> ImageFont.FreeTypeFont:
        """The open face."""
        return _open_font(self.path, self.index, self.size, self.shaping)

    def typeset(
        self, text: str, spacing: float = 0.0, word_spacing: float = 0.0, pitch: float = 0.0
    ) -> Typeset:
        """Place the letters of `text` side by side.

        spacing: added after each letter, in ems.
        word_spacing: added after each space, in ems.
        pitch: unless zero, the advance of every letter in ems, as a typewriter has it: wide letters are made
            narrower.
        Letters that are shaped together stay as the font has them.
        """
        if self.shaping:
            whole = self._draw(text)
            return _typeset([(whole.ink, whole.x, whole.y)])
        glyphs = [self._glyphs.get(letter) or self._keep(letter, text) for letter in text]
        advances = [glyph.advance for glyph in glyphs]
        pens = pen_places(self, text, advances, spacing, word_spacing, pitch)
        pictures: list[tuple[Ink, int, int]] = []
        cell = round(pitch * self.size)
        for letter, glyph, pen in zip(text, glyphs, pens, strict=True):
            if cell:
                narrow = self._narrow(letter, glyph, cell)
                pictures.append((narrow.ink, round(pen) + (cell - narrow.ink.shape[1]) // 2, narrow.y))
            else:
                pictures.append((glyph.ink, round(pen) + glyph.x, glyph.y))
        return _typeset(pictures)

    def _keep(self, letter: str, text: str) -> Glyph:
        """Draw a letter, and with it all others of `text` that are not kept: the font is open now."""
        new = {other: self._draw(other) for other in dict.fromkeys(text) if other not in self._glyphs}
        self._glyphs.update(new)
        _make_room(sum(one.ink.size + 300 for one in new.values()))
        return new[letter]

    def _narrow(self, letter: str, glyph: Glyph, cell: int) -> Glyph:
        """Make a letter no wider than a typewriter's `cell`."""
        width = max(1, round(CELL * cell))
        if not glyph.ink.size or glyph.ink.shape[1] <= width:
            return glyph
        if (letter, cell) not in self._narrowed:
            narrow = Image.fromarray(glyph.ink).resize((width, glyph.ink.shape[0]), Image.Resampling.BOX)
            self._narrowed[letter, cell] = Glyph(np.asarray(narrow), glyph.x, glyph.y, glyph.advance)
            _make_room(narrow.width * narrow.height + 300)
        return self._narrowed[letter, cell]

    def _draw(self, text: str) -> Glyph:
        box = text_box(self.font, text, self.direction)
        x0, y0, x1, y1 = box
        width, height = max(x1 - x0, 0), max(y1 - y0, 0)
        ink = np.zeros((height, width), np.uint8)
        if width and height:
            ink = np.asarray(draw_text(self.font, text, box, (width, height), (0, 0), self.direction))
        # Pillow's box goes down to the baseline, and up to it, whatever the letter.
        rows = np.flatnonzero(ink.any(axis=1))
        top, bottom = (int(rows[0]), int(rows[-1]) + 1) if len(rows) else (0, 0)
        advance = 0 if self.shaping else round(self.font.getlength(text))
        return Glyph(ink[top:bottom], x0, y0 + top, advance)


def pen_places(
    face: Letters,
    text: str,
    advances: Sequence[int],
    spacing: float,
    word_spacing: float,
    pitch: float,
) -> list[float]:
    """Compute where the pen stands for each letter of `text`, in pixels.

    face: the font, for its size and its kerning.
    advances: how far each letter moves the pen on, in pixels.
    spacing, word_spacing, pitch: those of `Typeface.typeset`.
    """
    gap, word_gap, cell = spacing * face.size, word_spacing * face.size, round(pitch * face.size)
    kerning = {} if pitch else _kerning(face.path, face.index)
    places, pen, before = [], 0.0, ""
    for letter, advance in zip(text, advances, strict=True):
        if kerning and before + letter in kerning:
            pen += kerning[before + letter] * face.size
        places.append(pen)
        pen += (cell or advance) + gap
        if word_gap and letter.isspace():
            pen += word_gap
        before = letter
    return places


@cache
def open_face(path: str, index: int, size: int, shaping: bool, direction: Direction = None) -> Typeface:
    """Give a face at `size` pixels per em, the same one as long as there is room for what it has drawn."""
    return Typeface(path, index, size, shaping, direction)


@lru_cache(maxsize=_OPEN_FONTS)
def _open_font(path: str, index: int, size: int, shaping: bool) -> ImageFont.FreeTypeFont:
    engine = ImageFont.Layout.RAQM if shaping else ImageFont.Layout.BASIC
    return ImageFont.truetype(path, size, index, layout_engine=engine)


_used = 0


def _make_room(more: int) -> None:
    """Count what pictures take up; forget all of them, to be drawn again, when it is too much."""
    global _used
    _used += more
    if _used > _ROOM:
        open_face.cache_clear()
        _used = 0


def _typeset(pictures: list[tuple[Ink, int, int]]) -> Typeset:
    seen = [picture for picture in pictures if picture[0].size]
    if not seen:
        return Typeset(seen, (0, -1, 1, 0))
    left, top, right, bottom = _FAR, _FAR, -_FAR, -_FAR
    for ink, x, y in seen:
        height, width = ink.shape
        left, top = min(left, x), min(top, y)
        right, bottom = max(right, x + width), max(bottom, y + height)
    return Typeset(seen, (left, top, right, bottom))


@cache
def _kerning(path: str, index: int) -> dict[str, float]:
    """Read by how much pairs of letters stand apart from what their advances say, in ems.

    Only from the table of that name: fonts with newer ones alone have none here.
    """
    pairs: dict[str, float] = {}
    try:
        with open_tables(path, index) as font:
            if "kern" in font:
                letters: dict[str, list[str]] = {}
                for code, name in (font.getBestCmap() or {}).items():
                    letters.setdefault(name, []).append(chr(code))
                em = font["head"].unitsPerEm
                for table in font["kern"].kernTables:
                    for (first, second), units in getattr(table, "kernTable", {}).items():
                        for one in letters.get(first, ()):
                            pairs.update(
                                dict.fromkeys((one + two for two in letters.get(second, ())), units / em)
                            )
    except Exception as error:  # fontTools raises whatever a broken table leads to
        _log.warning("font %s: no kerning: %s", path, error)
    return pairs
