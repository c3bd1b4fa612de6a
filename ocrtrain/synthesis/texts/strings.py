"""Random strings of a charset: no language in them, so nothing but the letters can be learned."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

from ocrtrain.errors import InputError
from ocrtrain.settings import checked
from ocrtrain.synthesis.hashed_random import HashedRandom
from ocrtrain.synthesis.texts.placing import may_follow, stands_alone
from ocrtrain.synthesis.texts.source import Lengths, TextSource
from ocrtrain.text import Charset
from ocrtrain.text.alphabets import charset_of
from ocrtrain.text.charset import describe


class RandomStrings(TextSource):
    """Strings of `min_length` to `max_length` symbols, every symbol equally likely.

    alphabet: the symbols, as `synthesis.charset` names them; None for those of the charset. Nothing that a
    picture cannot show gets into a text: no space at either end or beside another one, no mark without a
    letter to sit on.
    """

    def __init__(
        self,
        weight: float = 1.0,
        min_length: int = 3,
        max_length: int = 10,
        alphabet: str | Sequence[str] | None = None,
    ) -> None:
        self.weight = weight
        self.min_length, self.max_length = checked(
            [min_length, max_length], Lengths, "synthesis.texts: random strings: [min_length,max_length]"
        )
        self._own = None if alphabet is None else charset_of(alphabet)
        self._picked: tuple[str, ...] = ()

    def symbols(self) -> frozenset[str]:
        return frozenset(self._own.symbols if self._own else ())

    def open(self, charset: Charset) -> None:
        self._picked = self._own.symbols if self._own else charset.symbols
        if lacking := sorted(set(self._picked) - set(charset.symbols)):
            raise InputError(
                "synthesis.texts: random strings",
                "the charset lacks " + ", ".join(map(describe, lacking[:5])),
                "add them to synthesis.charset, or take them out of the source's alphabet.",
            )
        self._standalone = tuple(filter(stands_alone, self._picked))
        if not self._standalone:
            raise InputError("charset", "has only spaces and marks", "add letters or digits to it.")
        self._all_stand_alone = len(self._standalone) == len(self._picked)

    def draw(self, rng: HashedRandom) -> str:
        length = self.min_length + rng.below(self.max_length - self.min_length + 1)
        if self._all_stand_alone:
            return "".join([rng.pick(self._picked) for _ in range(length)])
        text = ""
        for position in range(length):
            symbol = rng.pick(self._picked)
            if not stands_alone(symbol) and not self._fits(text, symbol, position == length - 1):
                symbol = rng.pick(self._standalone)
            text += symbol
        return text

    @staticmethod
    def _fits(text: str, symbol: str, last: bool) -> bool:
        # A joiner at the end has nothing to join, nor has a space anything to keep apart.
        ends = last and (symbol.isspace() or unicodedata.category(symbol) == "Cf")
        return not ends and may_follow(text[-1:], symbol)

    def repertoires(self) -> list[frozenset[str]]:
        return [frozenset(self._picked)]

    def identity(self) -> dict[str, Any]:
        alphabet = "".join(self._own.symbols) if self._own else None
        return {"min_length": self.min_length, "max_length": self.max_length, "alphabet": alphabet}
