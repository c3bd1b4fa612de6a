"""Lines of text drawn on demand, each a function of a seed, an epoch and an index."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import PIL
import PIL.Image
from numpy.typing import NDArray

from ocrtrain.errors import InputError
from ocrtrain.fonts.finding import Font
from ocrtrain.line import Line
from ocrtrain.synthesis.choice import FontChoice
from ocrtrain.synthesis.effects import Effects
from ocrtrain.synthesis.hashed_random import HashedRandom
from ocrtrain.synthesis.render import Layout, Placement, draw_ink, lay_out
from ocrtrain.synthesis.settings import LayoutSettings, LineSize
from ocrtrain.synthesis.texts import TextSource
from ocrtrain.synthesis.typeface import Letters
from ocrtrain.synthesis.typesetter import Typesetter
from ocrtrain.text import Charset

_log = logging.getLogger(__name__)

# Part of `identity`: raise it when the same settings come to draw other lines.
_RECIPE = 3
# A text whose shaped form no font has glyphs for is drawn again, up to so often.
_TRIES = 50
# Texts that are looked at to tell the user how often that happens.
_PROBES = 200
# Largest letters of lines that are cut out along their ink, in ems as a share of the height.
_LARGEST = 1.3
# Those lines have so many sizes per octave, so that few fonts are opened; the layout scales the rest.
_SIZES = 6


class LineGenerator:
    """Draws line `index` of `epoch` under `seed`: the same on any machine with the same fonts and Pillow.

    Its text does not even depend on those. `build_generator` puts one together.

    charset: symbols of the texts.
    texts: source of the texts, open.
    fonts: chooses a font for a text.
    typesetter: opens it.
    size: of the pictures.
    layout: ranges from which size, place and turn of the ink are drawn.
    effects: applied to the finished ink on paper.
    Raises `InputError`, before any line is drawn, for texts that no font has all characters of, and for a
    width in which nobody could read the longest.
    """

    def __init__(
        self,
        *,
        charset: Charset,
        texts: TextSource,
        fonts: FontChoice,
        typesetter: Typesetter,
        size: LineSize,
        layout: LayoutSettings,
        effects: Effects,
    ) -> None:
        self.charset, self.size, self.layout, self.effects = charset, size, layout, effects
        self._texts, self._fonts, self._typesetter = texts, fonts, typesetter
        self._check_width(texts.max_length)
        # Now, and not when the line that cannot be drawn comes up in some worker process, hours later.
        fonts.check(texts.repertoires())
        if fonts.shapes:
            self._announce_undrawable()

    @property
    def fonts(self) -> tuple[Font, ...]:
        """The fonts that have symbols of the charset, sorted by name."""
        return self._fonts.fonts

    def text(self, seed: int, epoch: int, index: int) -> str:
        """Say what line `index` reads, without drawing it; takes a few microseconds."""
        rng = HashedRandom(f"text:{seed}:{epoch}:{index}", min(2 + 2 * self._texts.max_length, 256))
        for _ in range(_TRIES):
            text = self._texts.draw(rng)
            if not self._fonts.shapes or self._fonts.can_draw(text):
                return text
        raise InputError(
            "synthesis.fonts",
            f"none has glyphs for what shaping makes of {text!r}, nor of {_TRIES - 1} texts before it",
            "install fonts for the script, or name a folder that has some: synthesis.fonts=[FOLDER].",
        )

    def columns(self, seed: int, epoch: int, index: int) -> int:
        """Estimate the width in pixels of line `index` without drawing any letter; a few percent off at most.

        With letters of under 20 pixels, which fonts set wider or narrower than their outlines say, it may be
        more.
        """
        return self.size.width or self._lay_out(seed, epoch, index, self._typesetter.measure)[1].width

    def line(self, seed: int, epoch: int, index: int) -> Line:
        """Draw line `index`: uint8 [height, W, 3], or [height, W] if grey."""
        text, layout = self._lay_out(seed, epoch, index, self._typesetter.open)
        picture = self.effects(~draw_ink(layout), f"{seed}:{epoch}:{index}")
        return Line(_with_channels(picture, self.size.channels), text, f"generated:{seed}:{epoch}:{index}")

    def _lay_out(
        self, seed: int, epoch: int, index: int, open_font: Callable[[Font, int], Letters]
    ) -> tuple[str, Layout]:
        height = self.size.height
        text = self.text(seed, epoch, index)
        shown = self._typesetter.visible(text)
        rng = HashedRandom(f"look:{seed}:{epoch}:{index}", 20)
        font = self._fonts.pick(text, rng)
        assert font is not None  # `text` has seen to it
        placement = self.layout.draw(rng, height)
        if placement.room is not None:
            placement = _cut_out(self._typesetter.measure(font, placement.size), shown, height, placement)
        return text, lay_out(shown, open_font(font, placement.size), placement, height, self.size.width)

    def _announce_undrawable(self) -> None:
        """Log how many texts are drawn again because no font has glyphs for what shaping makes of them."""
        probes = [self._texts.draw(HashedRandom(f"probe:{number}", 64)) for number in range(_PROBES)]
        if failed := [text for text in probes if not self._fonts.can_draw(text)]:
            _log.warning(
                "%d of %d texts have what no font has glyphs for once it is shaped, such as %r:"
                " others are drawn in their place",
                len(failed),
                _PROBES,
                min(failed, key=len),
            )

    def _check_width(self, longest: int) -> None:
        # With less than an eighth of the height for each, no letter can be told from another.
        if self.size.width is not None and longest * self.size.height / 8 > self.size.width:
            raise InputError(
                f"synthesis.width={self.size.width}",
                f"texts of up to {longest} characters would be drawn too small to read",
                "leave synthesis.width free (null), make it larger, or shorten the texts.",
            )

    def identity(self) -> dict[str, Any]:
        """List in plain types all that a line depends on besides seed, epoch and index."""
        looks = {**asdict(self.size), **asdict(self.layout)}
        return {
            "recipe": _RECIPE,
            "charset": "".join(self.charset.symbols),
            "texts": self._texts.identity(),
            "direction": self._typesetter.direction or "auto",
            "font_weights": self._fonts.weights,
            **{name: list(value) if isinstance(value, tuple) else value for name, value in looks.items()},
            "least_contrast": self.effects.least_contrast,
            **self.effects.settings(),
            "fonts": [f"{font.name} {font.digest}" for font in self.fonts],
            "pillow": PIL.__version__,
        }

    def __repr__(self) -> str:
        symbols = len(self.charset.symbols)
        return f"LineGenerator({symbols} symbols, {len(self.fonts)} fonts, height {self.size.height})"


def _cut_out(letters: Letters, text: str, height: int, placement: Placement) -> Placement:
    """Find the size at which the ink of `text` fills a line but for the room, and the room that is left.

    Letters do not get larger than `_LARGEST`, so that a line of dashes is still one of dashes.
    """
    assert placement.room is not None
    above, below = placement.room
    _, top, _, bottom = letters.typeset(text).box
    size = letters.size * (height - (above + below)) / (bottom - top)
    if size > _LARGEST * height:
        size = _LARGEST * height
        more = (height - (above + below) - (bottom - top) * size / letters.size) / 2
        above, below = above + more, below + more
    whole = max(1, round(2 ** (round(_SIZES * math.log2(size)) / _SIZES)))
    return placement._replace(size=whole, room=(above, below))


def _with_channels(picture: NDArray[np.uint8], channels: int) -> NDArray[np.uint8]:
    if channels == 3:
        return np.repeat(picture[..., None], 3, axis=2) if picture.ndim == 2 else picture
    return picture if picture.ndim == 2 else np.asarray(PIL.Image.fromarray(picture).convert("L"))
