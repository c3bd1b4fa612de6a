"""Lines of text drawn on demand, each a function of a seed, an epoch and an index."""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal

import numpy as np
import PIL

from ocrtrain.data.line import Line
from ocrtrain.errors import InputError
from ocrtrain.synthesis.choice import FontChoice
from ocrtrain.synthesis.direction import Direction
from ocrtrain.synthesis.draws import Draws
from ocrtrain.synthesis.fonts import Font, find_fonts
from ocrtrain.synthesis.look import Look, Range, check_number, check_whole
from ocrtrain.synthesis.paint import add_noise, draw_colours, paint, rgb
from ocrtrain.synthesis.render import Layout, draw_ink, lay_out, open_face
from ocrtrain.synthesis.shaping import is_complex, is_invisible, needs_shaping, require_shaping, visible
from ocrtrain.synthesis.texts import Lines, Mixture, RandomStrings, TextSource
from ocrtrain.text import Charset
from ocrtrain.text.alphabets import charset_of
from ocrtrain.text.charset import describe

ALPHANUMERIC = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

NO_TEXT_FONTS = (
    "*barcode*",
    "*dingbats*",
    "*emoji*",
    "*fallback*",
    "*icons*",
    "*ornaments*",
    "*symbol*",
    "stixsize*",
)

_log = logging.getLogger(__name__)
_DIRECTIONS: dict[str, Direction] = {"auto": None, "ltr": "ltr", "rtl": "rtl"}
# To be raised when the same settings come to draw other lines.
_RECIPE = 2
# So many texts are tried for one that shaping makes something of in some font, and so many to see how many
# do not come to that.
_TRIES, _PROBES = 50, 200


class LineGenerator:
    """Draws line `index` of `epoch` under `seed`: the same on any machine with the same fonts and Pillow.

    Its text does not even depend on those. Raises `InputError` for settings without sense and, before any
    line is drawn, for texts that no font has all characters of.

    What the lines say:
        charset: the symbols to draw, as `charset_of` takes them; None takes those of the texts.
        min_length, max_length: of random strings, in symbols.
        words: a UTF-8 file, each line of it a text. random_share: of random strings among them.
        texts: sources by name, in place of the last four. floor: the least share of each symbol among all.
    The shape of the picture:
        height: of every line, in pixels.
        width: None for as wide as the text is; or one for all lines, with paper around shorter texts, and
            longer ones made smaller.
        channels: 3 for RGB, 1 for grey.
    What it is written with (ranges are lowest, highest; lengths in pixels are for a height of 32, and grow
    with it):
        fonts: "bundled" (those in matplotlib's wheel), "system", "packages" (from PyPI), folders, files.
        exclude_fonts: patterns of names, such as "*Barcode*". font_weights: how often fonts are used, by such
            patterns; 1 without.
        direction: "auto", by the first letter of the text that has one; "ltr" or "rtl". vertical: in columns,
            which are turned to lie on their side, with their top at the left.
        size: pixels per em as a share of the height. margin: left and right of the text, in pixels.
        shift: up or down from the middle, in pixels. contrast: least difference in brightness, of 1.
    What befell it (shares: of the lines, how many an effect touches):
        rotation: largest angle either way, in degrees. blur: the Gaussian's standard deviation, in pixels.
        noise: its standard deviation, in units of 255.
    """

    def __init__(
        self,
        charset: str | Sequence[str] | Charset | None = ALPHANUMERIC,
        min_length: int = 3,
        max_length: int = 10,
        words: str | None = None,
        random_share: float = 0.0,
        texts: Mapping[str, TextSource] | None = None,
        floor: float = 0.0,
        height: int = 32,
        width: int | None = None,
        channels: int = 3,
        fonts: Sequence[str] = ("bundled", "system"),
        exclude_fonts: Sequence[str] = NO_TEXT_FONTS,
        font_weights: Mapping[str, float] | None = None,
        direction: Literal["auto", "ltr", "rtl"] = "auto",
        vertical: bool = False,
        size: Range = (0.6, 0.85),
        margin: Range = (1.0, 10.0),
        shift: float = 2.0,
        contrast: float = 0.35,
        rotation: float = 5.0,
        rotation_share: float = 1.0,
        blur: Range = (0.2, 1.0),
        blur_share: float = 0.5,
        noise: Range = (1.0, 15.0),
        noise_share: float = 0.5,
    ) -> None:
        self.look = Look(
            height=height,
            width=width,
            channels=channels,
            size=size,
            margin=margin,
            shift=shift,
            contrast=contrast,
            rotation=rotation,
            rotation_share=rotation_share,
            blur=blur,
            blur_share=blur_share,
            noise=noise,
            noise_share=noise_share,
        )
        check_whole("min_length", min_length, 1, 1000)
        check_whole("max_length", max_length, min_length, 1000)
        check_number("random_share", random_share, 0.0, 1.0)
        if texts is None:
            texts = {"strings": RandomStrings(1.0, min_length, max_length)}
            if words is not None:
                texts["strings"].weight = random_share
                texts["words"] = Lines(1.0 - random_share, words, max_length=None)
        self._texts = Mixture(texts, floor)
        if charset is None and not (charset := sorted(self._texts.symbols())):
            raise InputError(
                "synthesis.charset",
                "is null, and the texts have no characters of their own",
                "name the characters or an alphabet, or give texts: synthesis.words=FILE.",
            )
        self.charset = charset_of(charset)
        check_charset(self.charset)
        self._texts.open(self.charset)
        self._check_width(self._texts.max_length)

        self.direction: Direction = "ttb" if vertical else _DIRECTIONS.get(direction)
        if direction not in _DIRECTIONS:
            raise InputError(f"synthesis.direction={direction}", "is no direction", "set auto, ltr or rtl.")
        self._shaping = self.direction is not None or needs_shaping(self.charset)
        if self._shaping:
            require_shaping(self.charset, self.direction)
        found = find_fonts(self.charset.symbols, fonts, exclude_fonts, self._shaping)
        self.font_weights = dict(font_weights or {})
        self._fonts_for = FontChoice(found, self.charset, self.font_weights)
        # Now, and not when the line that cannot be drawn comes up in some worker process, hours later.
        self._fonts_for.check(self._texts.repertoires())
        self._complex = any(map(is_complex, self.charset.symbols))
        # Shaping leaves out what is invisible; without it, a font's box for it would be drawn.
        self._hides = not self._shaping and any(map(is_invisible, self.charset.symbols))
        if self._complex:
            self._announce_undrawable()

    @property
    def fonts(self) -> tuple[Font, ...]:
        """The fonts that have symbols of the charset, sorted by name."""
        return self._fonts_for.fonts

    def text(self, seed: int, epoch: int, index: int) -> str:
        """Say what line `index` reads, without drawing it; takes a few microseconds."""
        draws = Draws(f"text:{seed}:{epoch}:{index}", min(2 + 2 * self._texts.max_length, 256))
        for _ in range(_TRIES):
            text = self._texts.draw(draws)
            if not self._complex or self._fonts_for.can_draw(text):
                return text
        raise InputError(
            "synthesis.fonts",
            f"none has glyphs for what shaping makes of {text!r}, nor of {_TRIES - 1} texts before it",
            "install fonts for the script, or name a folder that has some: synthesis.fonts=[FOLDER].",
        )

    def columns(self, seed: int, epoch: int, index: int) -> int:
        """Tell the width in pixels of line `index` without drawing it, in a sixth of the time."""
        return self.look.width or self._lay_out(seed, epoch, index)[1].width

    def line(self, seed: int, epoch: int, index: int) -> Line:
        """Draw line `index`: uint8 [height, W, 3], or [height, W] if grey."""
        look = self.look
        text, layout, draws = self._lay_out(seed, epoch, index)
        blurred = draws.chance(look.blur_share)
        ink = draw_ink(layout, blurred * draws.uniform(*look.blur) * look.height / 32)
        paper_colour, ink_colour = draw_colours(draws, look.channels, look.contrast)
        image = paint(np.asarray(ink), paper_colour, ink_colour)
        if draws.chance(look.noise_share):
            image = add_noise(image, draws.uniform(*look.noise), draws)
        source = f"generated:{seed}:{epoch}:{index}"
        return Line(rgb(image) if look.channels == 3 else image, text, source)

    def _lay_out(self, seed: int, epoch: int, index: int) -> tuple[str, Layout, Draws]:
        look, unit = self.look, self.look.height / 32
        text = self.text(seed, epoch, index)
        draws = Draws(f"look:{seed}:{epoch}:{index}", 40)
        font = self._fonts_for.pick(text, draws)
        assert font is not None  # `text` has seen to it
        size = round(look.height * draws.uniform(*look.size))
        turned = draws.chance(look.rotation_share)
        layout = lay_out(
            visible(text) if self._hides else text,
            open_face(font.path, font.index, size, self._shaping),
            height=look.height,
            width=look.width,
            degrees=draws.uniform(-look.rotation, look.rotation) * turned,
            shift=draws.uniform(-look.shift, look.shift) * unit,
            left=draws.uniform(*look.margin) * unit,
            right=draws.uniform(*look.margin) * unit,
            direction=self.direction,
        )
        return text, layout, draws

    def _announce_undrawable(self) -> None:
        """Say how many texts are drawn again because no font has glyphs for what shaping makes of them."""
        probes = [self._texts.draw(Draws(f"probe:{number}", 64)) for number in range(_PROBES)]
        if failed := [text for text in probes if not self._fonts_for.can_draw(text)]:
            _log.warning(
                "%d of %d texts have what no font has glyphs for once it is shaped, such as %r:"
                " others are drawn in their place",
                len(failed),
                _PROBES,
                min(failed, key=len),
            )

    def _check_width(self, longest: int) -> None:
        # With less than an eighth of the height for each, no letter can be told from another.
        if self.look.width is not None and longest * self.look.height / 8 > self.look.width:
            raise InputError(
                f"synthesis.width={self.look.width}",
                f"texts of up to {longest} characters would be drawn too small to read",
                "leave synthesis.width free (null), make it larger, or shorten the texts.",
            )

    def identity(self) -> dict[str, Any]:
        """List in plain types all that a line depends on besides seed, epoch and index."""
        look = asdict(self.look)
        return {
            "recipe": _RECIPE,
            "charset": "".join(self.charset.symbols),
            "texts": self._texts.identity(),
            "direction": self.direction or "auto",
            "font_weights": self.font_weights,
            **{name: list(value) if isinstance(value, tuple) else value for name, value in look.items()},
            "fonts": [f"{font.name} {font.digest}" for font in self.fonts],
            "pillow": PIL.__version__,
        }

    def __repr__(self) -> str:
        symbols = len(self.charset.symbols)
        return f"LineGenerator({symbols} symbols, {len(self.fonts)} fonts, height {self.look.height})"


def check_charset(charset: Charset) -> None:
    """Raise `InputError` for symbols that no line shows and no list of labels can hold (tab, line ends)."""
    if unseen := [s for s in charset.symbols if unicodedata.category(s) in ("Cc", "Cs", "Zl", "Zp")]:
        raise InputError(
            "synthesis.charset", "nothing shows " + ", ".join(map(describe, unseen[:5])), "leave them out."
        )
