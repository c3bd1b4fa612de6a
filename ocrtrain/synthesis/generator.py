"""Lines of text drawn on demand, each a function of a seed, an epoch and an index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import PIL

from ocrtrain.data.line import Line
from ocrtrain.errors import InputError
from ocrtrain.synthesis.choice import FontChoice
from ocrtrain.synthesis.draws import Draws
from ocrtrain.synthesis.fonts import Font, find_fonts
from ocrtrain.synthesis.look import Look, Range, check_number, check_whole
from ocrtrain.synthesis.paint import add_noise, draw_colours, paint, rgb
from ocrtrain.synthesis.render import Layout, draw_ink, lay_out, open_face
from ocrtrain.synthesis.shaping import needs_shaping, require_shaping
from ocrtrain.synthesis.text import RandomStrings, Words, check_charset
from ocrtrain.text import Charset

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

# To be raised when the same settings come to draw other lines.
_RECIPE = 1


class LineGenerator:
    """Draws line `index` of `epoch` under `seed`: the same on any machine with the same fonts and Pillow.

    Its text does not even depend on those. Raises `InputError` for settings without sense and, before any
    line is drawn, for texts that no font has all characters of.

    What the lines say:
        charset: the symbols to draw; None takes those of `words`.
        min_length, max_length: of random strings, in symbols.
        words: a UTF-8 file, each line of it a text. random_share: of random strings among them.
    The shape of the picture:
        height: of every line, in pixels.
        width: None for as wide as the text is; or one for all lines, with paper around shorter texts, and
            longer ones made smaller.
        channels: 3 for RGB, 1 for grey.
    What it is written with (ranges are lowest, highest; lengths in pixels are for a height of 32, and grow
    with it):
        fonts: "bundled" (those in matplotlib's wheel), "system", folders, files.
        exclude_fonts: patterns of names, such as "*Barcode*".
        size: pixels per em as a share of the height. margin: left and right of the text, in pixels.
        shift: up or down from the middle, in pixels. contrast: least difference in brightness, of 1.
    What befell it (shares: of the lines, how many an effect touches):
        rotation: largest angle either way, in degrees. blur: the Gaussian's standard deviation, in pixels.
        noise: its standard deviation, in units of 255.
    """

    def __init__(
        self,
        charset: str | Charset | None = ALPHANUMERIC,
        min_length: int = 3,
        max_length: int = 10,
        words: str | None = None,
        random_share: float = 0.0,
        height: int = 32,
        width: int | None = None,
        channels: int = 3,
        fonts: Sequence[str] = ("bundled", "system"),
        exclude_fonts: Sequence[str] = NO_TEXT_FONTS,
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
        self.random_share = random_share

        self._words = None if words is None else Words(Path(words).expanduser())
        texts = () if self._words is None else self._words.texts
        if charset is None and not texts:
            raise InputError("synthesis.charset", "is null", "name the symbols, or give synthesis.words.")
        symbols = Charset.from_texts(texts) if charset is None else charset
        self.charset = symbols if isinstance(symbols, Charset) else Charset(symbols)
        check_charset(self.charset)
        if self._words is not None:
            self._words.check(self.charset)
        self._strings = RandomStrings(self.charset, min_length, max_length)
        self._check_width(max([len(text) for text in texts] + [max_length]))

        self._shaping = needs_shaping(self.charset)
        if self._shaping:
            require_shaping()
        found = find_fonts(self.charset.symbols, fonts, exclude_fonts, self._shaping)
        self._fonts_for = FontChoice(found, self.charset)
        # Now, and not when the line that cannot be drawn comes up in some worker process, hours later.
        if self._words is None or random_share > 0:
            self._fonts_for.check_strings()
        self._fonts_for.check_texts(texts)

    @property
    def fonts(self) -> tuple[Font, ...]:
        """The fonts that have symbols of the charset, sorted by name."""
        return self._fonts_for.fonts

    def text(self, seed: int, epoch: int, index: int) -> str:
        """Say what line `index` reads, without drawing it; takes a few microseconds."""
        draws = Draws(f"text:{seed}:{epoch}:{index}", 2 + 2 * self._strings.max_length)
        if self._words is not None and not draws.chance(self.random_share):
            return self._words.draw(draws)
        return self._strings.draw(draws)

    def columns(self, seed: int, epoch: int, index: int) -> int:
        """Tell the width in pixels of line `index` without drawing it, in a sixth of the time."""
        return self.look.width or self._lay_out(seed, epoch, index)[0].width

    def line(self, seed: int, epoch: int, index: int) -> Line:
        """Draw line `index`: uint8 [height, W, 3], or [height, W] if grey."""
        look = self.look
        layout, draws = self._lay_out(seed, epoch, index)
        blurred = draws.chance(look.blur_share)
        ink = draw_ink(layout, blurred * draws.uniform(*look.blur) * look.height / 32)
        paper_colour, ink_colour = draw_colours(draws, look.channels, look.contrast)
        image = paint(np.asarray(ink), paper_colour, ink_colour)
        if draws.chance(look.noise_share):
            image = add_noise(image, draws.uniform(*look.noise), draws)
        source = f"generated:{seed}:{epoch}:{index}"
        return Line(rgb(image) if look.channels == 3 else image, layout.text, source)

    def _lay_out(self, seed: int, epoch: int, index: int) -> tuple[Layout, Draws]:
        look, unit = self.look, self.look.height / 32
        text = self.text(seed, epoch, index)
        draws = Draws(f"look:{seed}:{epoch}:{index}", 40)
        font = draws.pick(self._fonts_for(text))
        size = round(look.height * draws.uniform(*look.size))
        turned = draws.chance(look.rotation_share)
        layout = lay_out(
            text,
            open_face(font.path, font.index, size, self._shaping),
            height=look.height,
            width=look.width,
            degrees=draws.uniform(-look.rotation, look.rotation) * turned,
            shift=draws.uniform(-look.shift, look.shift) * unit,
            left=draws.uniform(*look.margin) * unit,
            right=draws.uniform(*look.margin) * unit,
        )
        return layout, draws

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
            "min_length": self._strings.min_length,
            "max_length": self._strings.max_length,
            "words": None if self._words is None else self._words.digest,
            "random_share": self.random_share,
            **{name: list(value) if isinstance(value, tuple) else value for name, value in look.items()},
            "fonts": [f"{font.name} {font.digest}" for font in self.fonts],
            "pillow": PIL.__version__,
        }

    def __repr__(self) -> str:
        symbols = len(self.charset.symbols)
        return f"LineGenerator({symbols} symbols, {len(self.fonts)} fonts, height {self.look.height})"
