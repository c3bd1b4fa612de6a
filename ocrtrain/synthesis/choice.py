"""Which of the fonts can draw a text, all of it."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable, Sequence

from ocrtrain.errors import InputError
from ocrtrain.synthesis.fonts import Font
from ocrtrain.text import Charset
from ocrtrain.text.charset import describe


class FontChoice:
    """Gives the fonts that have every symbol of a text; raises `InputError` for symbols that none has."""

    def __init__(self, fonts: Sequence[Font], charset: Charset) -> None:
        self.fonts = tuple(fonts)
        # Bit f is set if font f draws the symbol: a text's fonts are the bits that its symbols share.
        self._drawers = {
            symbol: sum(1 << f for f, font in enumerate(self.fonts) if symbol in font.characters)
            for symbol in charset.symbols
        }
        self._decoded: dict[int, tuple[Font, ...]] = {}
        if orphans := [symbol for symbol, drawers in self._drawers.items() if not drawers]:
            raise _no_font(f"none draws {_list(orphans)}")

    def __call__(self, text: str) -> tuple[Font, ...]:
        """List the fonts for `text`, sorted by name."""
        drawers = -1
        for symbol in text:
            drawers &= self._drawers[symbol]
        if drawers not in self._decoded:
            self._decoded[drawers] = tuple(font for f, font in enumerate(self.fonts) if drawers >> f & 1)
        return self._decoded[drawers]

    def check_strings(self) -> None:
        """Raise `InputError` unless one font has the whole charset, as strings of any symbols require."""
        if not functools.reduce(operator.and_, self._drawers.values()):
            best = max(self.fonts, key=lambda font: len(font.characters))
            lacking = [symbol for symbol in self._drawers if symbol not in best.characters]
            raise _no_font(
                f"none draws the whole charset; {best.name} comes closest but lacks {_list(lacking)}"
            )

    def check_texts(self, texts: Iterable[str]) -> None:
        """Raise `InputError` for the first text that no font has all symbols of."""
        if functools.reduce(operator.and_, self._drawers.values()):
            return
        for text in texts:
            if not self(text):
                raise _no_font(f"none draws all of {text!r}: {_list(sorted(set(text)))}")


def _no_font(why: str) -> InputError:
    return InputError(
        "synthesis.fonts",
        f"of the fonts found, {why}",
        "install one that does, name its folder (synthesis.fonts=[FOLDER,system]), or drop those characters.",
    )


def _list(symbols: Sequence[str]) -> str:
    more = f" and {len(symbols) - 8} more" if len(symbols) > 8 else ""
    return ", ".join(describe(symbol) for symbol in symbols[:8]) + more
