"""Typesetting of a charset's texts: letter by letter, or shaped by libraqm, and in which direction."""

from __future__ import annotations

from ocrtrain.fonts.finding import Font
from ocrtrain.fonts.shaping import is_invisible, needs_shaping, require_shaping, visible
from ocrtrain.synthesis.direction import Direction
from ocrtrain.synthesis.text_measurer import TextMeasurer
from ocrtrain.synthesis.typeface import Letters, open_face
from ocrtrain.text import Charset


class Typesetter:
    """Opens fonts for the texts of a charset; `shaping` tells whether libraqm sets them.

    Raises `InputError` if it must, for the charset or for a `direction` that is set, and Pillow has none.
    """

    def __init__(self, charset: Charset, direction: Direction) -> None:
        self.direction = direction
        self.shaping = direction is not None or needs_shaping(charset)
        if self.shaping:
            require_shaping(charset, direction)
        # Shaping leaves out what is invisible; without it, a font's box for it would be drawn.
        self._hides = not self.shaping and any(map(is_invisible, charset.symbols))

    def visible(self, text: str) -> str:
        """Give the part of `text` that is to be drawn."""
        return visible(text) if self._hides else text

    def open(self, font: Font, size: int) -> Letters:
        """Open a font at `size` pixels per em, to draw."""
        return open_face(font.path, font.index, size, self.shaping, self.direction)

    def measure(self, font: Font, size: int) -> TextMeasurer:
        """Open a font at `size` pixels per em, to measure only."""
        return TextMeasurer(font.path, font.index, size, self.shaping, self.direction)
