"""Lines of text drawn on demand, each a function of a seed, an epoch and an index."""

from __future__ import annotations

import logging
import math
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from fnmatch import fnmatch
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import PIL
import PIL.Image
from numpy.typing import NDArray

from ocrtrain.errors import InputError
from ocrtrain.fonts.finding import Font, find_fonts
from ocrtrain.fonts.shaping import is_complex, is_invisible, needs_shaping, require_shaping, visible
from ocrtrain.line import Line
from ocrtrain.synthesis.choice import FontChoice
from ocrtrain.synthesis.direction import Direction
from ocrtrain.synthesis.effects import AnyColours, Blur, Effect, Effects, Noise
from ocrtrain.synthesis.hashed_random import HashedRandom
from ocrtrain.synthesis.layout_settings import Look, Range, check_number, check_whole
from ocrtrain.synthesis.render import Layout, draw_ink, lay_out
from ocrtrain.synthesis.text_measurer import TextMeasurer
from ocrtrain.synthesis.texts import Lines, Mixture, RandomStrings, TextSource
from ocrtrain.synthesis.typeface import Letters, open_face
from ocrtrain.text import Charset
from ocrtrain.text.alphabets import charset_of
from ocrtrain.text.charset import describe

ALPHANUMERIC = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

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

_log = logging.getLogger(__name__)
_DIRECTIONS: dict[str, Direction] = {"auto": None, "ltr": "ltr", "rtl": "rtl"}
# What befalls the lines of the original recipe: of its pixels at height 32, a radius is a share.
ORIGINAL: Mapping[str, Effect | None] = MappingProxyType(
    {
        "blur": Blur(share=0.5, radius=(0.2 / 32, 1.0 / 32)),
        "colours": AnyColours(contrast=0.35),
        "noise": Noise(share=0.5, deviation=(1.0, 15.0)),
    }
)

# To be raised when the same settings come to draw other lines.
_RECIPE = 3
# So many texts are tried for one that shaping makes something of in some font, and so many to see how many
# do not come to that.
_TRIES, _PROBES = 50, 200
# The largest letters of lines that are cut out along their ink, in ems as a share of the height.
_LARGEST = 1.3
# Sizes of those per octave: each is opened once, and what it differs from the size wanted is made up for.
_SIZES = 6


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
        exclude_fonts: patterns of names, such as "*Barcode*". only_fonts: patterns of which one must fit.
        font_weights: how often fonts are used, by such patterns; 1 without.
        direction: "auto", by the first letter of the text that has one; "ltr" or "rtl". vertical: in columns,
            which are turned to lie on their side, with their top at the left.
        size: pixels per em as a share of the height. margin: left and right of the text, in pixels.
        shift: up or down from the middle, in pixels.
        tight: the share of lines that are cut out along their ink instead, with `room` above and below, as a
            share of the height.
        spacing: between letters; word_spacing: between words; both beyond the font's own, in ems. pitch:
            None, or a typewriter's advance, the same for all letters, in ems.
        stretch: the width of the letters, of the font's own. slant: columns per row that they lean right.
        rotation: largest angle either way, in degrees. rotation_share: of the lines.
    What befell it:
        effects: named effects in their order, see `ocrtrain.synthesis.effects`; None for none.
        least_contrast: between ink and paper in the end, of 1; see `Effects`.
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
        only_fonts: Sequence[str] | None = None,
        font_weights: Mapping[str, float] | None = None,
        direction: Literal["auto", "ltr", "rtl"] = "auto",
        vertical: bool = False,
        size: Range = (0.6, 0.85),
        margin: Range = (1.0, 10.0),
        shift: float = 2.0,
        tight: float = 0.0,
        room: Range = (0.02, 0.2),
        spacing: Range = (0.0, 0.0),
        word_spacing: Range = (0.0, 0.0),
        pitch: Range | None = None,
        stretch: Range = (1.0, 1.0),
        slant: Range = (0.0, 0.0),
        rotation: float = 5.0,
        rotation_share: float = 1.0,
        effects: Mapping[str, Effect | None] | None = ORIGINAL,
        least_contrast: float = 0.12,
    ) -> None:
        self.look = Look(
            height=height,
            width=width,
            channels=channels,
            size=size,
            margin=margin,
            shift=shift,
            tight=tight,
            room=room,
            spacing=spacing,
            word_spacing=word_spacing,
            pitch=pitch,
            stretch=stretch,
            slant=slant,
            rotation=rotation,
            rotation_share=rotation_share,
        )
        check_number("least_contrast", least_contrast, 0.0, 0.4)
        self.effects = Effects(effects, least_contrast, channels, "synthesis.effects")
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
        if only_fonts is not None:
            found = _matching(found, only_fonts)
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
        rng = HashedRandom(f"text:{seed}:{epoch}:{index}", min(2 + 2 * self._texts.max_length, 256))
        for _ in range(_TRIES):
            text = self._texts.draw(rng)
            if not self._complex or self._fonts_for.can_draw(text):
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
        return self.look.width or self._lay_out(seed, epoch, index, TextMeasurer)[1].width

    def line(self, seed: int, epoch: int, index: int) -> Line:
        """Draw line `index`: uint8 [height, W, 3], or [height, W] if grey."""
        text, layout = self._lay_out(seed, epoch, index, open_face)
        picture = self.effects(~draw_ink(layout), f"{seed}:{epoch}:{index}")
        return Line(_with_channels(picture, self.look.channels), text, f"generated:{seed}:{epoch}:{index}")

    def _lay_out(
        self, seed: int, epoch: int, index: int, open_letters: Callable[..., Letters]
    ) -> tuple[str, Layout]:
        look, height = self.look, self.look.height
        unit = height / 32
        text = self.text(seed, epoch, index)
        drawn = visible(text) if self._hides else text
        rng = HashedRandom(f"look:{seed}:{epoch}:{index}", 20)
        font = self._fonts_for.pick(text, rng)
        assert font is not None  # `text` has seen to it
        size = round(height * rng.uniform(*look.size))
        turned = rng.chance(look.rotation_share)
        place = {
            "degrees": rng.uniform(-look.rotation, look.rotation) * turned,
            "shift": rng.uniform(-look.shift, look.shift) * unit,
            "left": rng.uniform(*look.margin) * unit,
            "right": rng.uniform(*look.margin) * unit,
        }
        pen = {
            "spacing": rng.uniform(*look.spacing),
            "word_spacing": rng.uniform(*look.word_spacing),
            "pitch": 0.0 if look.pitch is None else rng.uniform(*look.pitch),
            "stretch": rng.uniform(*look.stretch),
            "slant": rng.uniform(*look.slant),
        }
        room = None
        if rng.chance(look.tight):
            room = rng.uniform(*look.room) * height, rng.uniform(*look.room) * height
            ruler = TextMeasurer(font.path, font.index, size, self._shaping, self.direction)
            size, room = _cut_out(ruler, drawn, height, room)
        letters = open_letters(font.path, font.index, size, self._shaping, self.direction)
        return text, lay_out(drawn, letters, height=height, width=look.width, room=room, **place, **pen)

    def _announce_undrawable(self) -> None:
        """Say how many texts are drawn again because no font has glyphs for what shaping makes of them."""
        probes = [self._texts.draw(HashedRandom(f"probe:{number}", 64)) for number in range(_PROBES)]
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
            "least_contrast": self.effects.least_contrast,
            **self.effects.settings(),
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


def _cut_out(
    face: TextMeasurer, text: str, height: int, room: tuple[float, float]
) -> tuple[int, tuple[float, float]]:
    """Find the size at which the ink of `text` fills a line but for the `room`, and the room that is left.

    Letters do not get larger than `_LARGEST`, so that a line of dashes is still one of dashes.
    """
    _, top, _, bottom = face.typeset(text).box
    size = face.size * (height - sum(room)) / (bottom - top)
    if size > _LARGEST * height:
        size = _LARGEST * height
        more = (height - sum(room) - (bottom - top) * size / face.size) / 2
        room = room[0] + more, room[1] + more
    return max(1, round(2 ** (round(_SIZES * math.log2(size)) / _SIZES))), room


def _matching(fonts: Sequence[Font], patterns: Sequence[str]) -> list[Font]:
    named = [p.casefold() for p in patterns]
    found = [font for font in fonts if any(fnmatch(font.name.casefold(), pattern) for pattern in named)]
    if not found:
        raise InputError(
            "synthesis.only_fonts",
            f"of the {len(fonts)} fonts found, none has a name like {', '.join(patterns[:6])}",
            "install some, name their folder (synthesis.fonts=[FOLDER] synthesis.only_fonts=null),"
            " or give other patterns.",
        )
    return found


def _with_channels(picture: NDArray[np.uint8], channels: int) -> NDArray[np.uint8]:
    if channels == 3:
        return np.repeat(picture[..., None], 3, axis=2) if picture.ndim == 2 else picture
    return picture if picture.ndim == 2 else np.asarray(PIL.Image.fromarray(picture).convert("L"))
