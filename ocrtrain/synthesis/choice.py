"""Choice of a font for a text, among those that can draw all of it."""

from __future__ import annotations

import functools
import operator
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate

from ocrtrain.errors import InputError
from ocrtrain.fonts.finding import Font, matches
from ocrtrain.fonts.shaping import covers_text, is_complex
from ocrtrain.settings import checked
from ocrtrain.synthesis.hashed_random import HashedRandom, Weight
from ocrtrain.text import Charset
from ocrtrain.text.charset import describe

# Fonts that have a text's symbols, and their weights summed up.
_Able = tuple[tuple[Font, ...], list[float]]


class FontChoice:
    """Gives the fonts that have every symbol of a text; raises `InputError` for symbols that none has.

    Every family of fonts is equally likely, and so is each font within one: a family with twenty cuts comes
    no more often than one with a single one. `weights` changes that by patterns of the fonts' names: the
    weights of all patterns that match are multiplied, and a font of weight 0 is never used. `shapes` tells
    whether texts of the charset have symbols that only shaping draws right.
    """

    def __init__(
        self, fonts: Sequence[Font], charset: Charset, weights: Mapping[str, float] | None = None
    ) -> None:
        self.weights = checked(weights or {}, dict[str, Weight], "synthesis.font_weights")
        chosen = _weighted(fonts, self.weights)
        self.fonts = tuple(font for font, _ in chosen)
        self._weights = [weight for _, weight in chosen]
        # Bit f is set if font f draws the symbol: a text's fonts are the bits that its symbols share.
        self._drawers = {
            symbol: sum(1 << f for f, font in enumerate(self.fonts) if symbol in font.characters)
            for symbol in charset.symbols
        }
        self._complex = frozenset(symbol for symbol in charset.symbols if is_complex(symbol))
        self.shapes = bool(self._complex)
        self._decoded: dict[int, _Able] = {}
        if orphans := [symbol for symbol, drawers in self._drawers.items() if not drawers]:
            raise _no_font(f"none draws {_list(orphans)}")

    def __call__(self, text: str) -> tuple[Font, ...]:
        """List the fonts that have the symbols of `text`, sorted by name."""
        return self._able(text)[0]

    def pick(self, text: str, rng: HashedRandom) -> Font | None:
        """Draw a font for `text` that has glyphs for all that shaping makes of it; None if there is none."""
        fonts, ends = self._able(text)
        shaped = not self._complex.isdisjoint(text)
        left = len(fonts)
        while left:
            place = bisect_right(ends, rng.uniform(0, ends[-1])) if left > 1 else 0
            font = fonts[min(place, left - 1)]
            if not shaped or covers_text(font.path, font.index, text):
                return font
            fonts, ends = _without(fonts, ends, font)
            left -= 1
        return None

    def can_draw(self, text: str) -> bool:
        """Tell whether `pick` will find a font for `text`."""
        fonts = self._able(text)[0]
        if self._complex.isdisjoint(text):
            return bool(fonts)
        return any(covers_text(font.path, font.index, text) for font in fonts)

    def check(self, repertoires: Iterable[frozenset[str]]) -> None:
        """Raise `InputError` for the first of some sets of symbols that no font has all of."""
        if functools.reduce(operator.and_, self._drawers.values()):
            return
        for symbols in repertoires:
            if not self._able(symbols)[0]:
                raise self._lacking(symbols)

    def _able(self, symbols: Iterable[str]) -> _Able:
        drawers = -1
        for symbol in symbols:
            drawers &= self._drawers[symbol]
        if drawers not in self._decoded:
            which = [f for f in range(len(self.fonts)) if drawers >> f & 1]
            ends = list(accumulate(self._weights[f] for f in which))
            self._decoded[drawers] = tuple(self.fonts[f] for f in which), ends
        return self._decoded[drawers]

    def _lacking(self, symbols: frozenset[str]) -> InputError:
        if symbols == self._drawers.keys():
            what = "the whole charset"
        else:
            what = f"all of {''.join(sorted(symbols))!r}"
        best = max(self.fonts, key=lambda font: len(font.characters & symbols))
        lacking = sorted(symbols - best.characters)
        return _no_font(f"none draws {what}; {best.name} comes closest but lacks {_list(lacking)}")


def _weighted(fonts: Sequence[Font], weights: Mapping[str, float]) -> list[tuple[Font, float]]:
    for pattern in weights:
        if not any(matches(font.name, pattern) for font in fonts):
            raise InputError(
                f"synthesis.font_weights: {pattern}",
                "matches the name of no font that was found",
                "give a pattern of names, such as '*Mono*', or leave it out.",
            )
    factors = [
        functools.reduce(
            operator.mul, (w for pattern, w in weights.items() if matches(font.name, pattern)), 1.0
        )
        for font in fonts
    ]
    used = [(font, factor) for font, factor in zip(fonts, factors, strict=True) if factor > 0]
    if not used:
        raise InputError("synthesis.font_weights", "leave no font", "give one a weight above 0.")
    cuts = Counter(font.family for font, _ in used)
    return [(font, factor / cuts[font.family]) for font, factor in used]


def _without(fonts: tuple[Font, ...], ends: list[float], font: Font) -> _Able:
    weights = [end - start for start, end in zip([0.0, *ends], ends, strict=False)]
    left = [(f, w) for f, w in zip(fonts, weights, strict=True) if f is not font]
    return tuple(f for f, _ in left), list(accumulate(w for _, w in left))


def _no_font(why: str) -> InputError:
    return InputError(
        "synthesis.fonts",
        f"of the fonts found, {why}",
        "install one that does, name its folder (synthesis.fonts=[FOLDER,system]), or drop those characters.",
    )


def _list(symbols: Sequence[str]) -> str:
    more = f" and {len(symbols) - 8} more" if len(symbols) > 8 else ""
    return ", ".join(describe(symbol) for symbol in symbols[:8]) + more
