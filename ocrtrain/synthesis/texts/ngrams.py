"""Texts out of a character model of the user's files: letters in likely company, words that nobody wrote."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from itertools import accumulate
from typing import Annotated, Any

from ocrtrain.settings import Limits, checked
from ocrtrain.synthesis.hashed_random import HashedRandom
from ocrtrain.synthesis.texts.corpus import Files
from ocrtrain.synthesis.texts.files import TextFiles
from ocrtrain.synthesis.texts.placing import shorten
from ocrtrain.synthesis.texts.source import Lengths, TextSource
from ocrtrain.text import Charset, normalize

_END = "\n"


class NGrams(TextSource):
    """Each character follows the `order` - 1 before it as often as it does in the files.

    Texts have `min_length` to `max_length` characters; one that ends too early goes on as another begins.
    The model is the maximum-likelihood one of Shannon, "A Mathematical Theory of Communication" (1948),
    section 3: no smoothing, so that all that comes next to each other does so somewhere in the files.
    """

    def __init__(
        self,
        weight: float = 1.0,
        files: Files = None,
        order: int = 4,
        min_length: int = 3,
        max_length: int = 60,
    ) -> None:
        self.weight, self.files = weight, files
        self.order = checked(order, Annotated[int, Limits(1, 10)], "synthesis.texts: ngrams: order")
        self.min_length, self.max_length = checked(
            [min_length, max_length], Lengths, "synthesis.texts: ngrams: [min_length,max_length]"
        )
        self._opened: TextFiles | None = None
        self._next: dict[str, tuple[str, list[int]]] = {}

    @property
    def _texts(self) -> TextFiles:
        if self._opened is None:
            self._opened = TextFiles(self.files, "synthesis.words")
        return self._opened

    def symbols(self) -> frozenset[str]:
        return frozenset(" ").union(*self._texts.lines)

    def open(self, charset: Charset) -> None:
        self._texts.check(charset)
        # Without a space in the charset, what ends too early goes on at once.
        self._join = " " if " " in charset.symbols else ""
        counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        before = self.order - 1
        for line in self._texts.lines:
            padded = _END * before + line + _END
            for place in range(before, len(padded)):
                counts[padded[place - before : place]][padded[place]] += 1
        self._next = {
            context: ("".join(following), list(accumulate(following.values())))
            for context, following in counts.items()
        }

    def draw(self, rng: HashedRandom) -> str:
        before = self.order - 1
        text = ""
        while len(text) < self.min_length:
            text += self._join if text else ""
            context = _END * before
            # One more than may stay, so that a word at the edge is seen to be cut.
            while len(text) <= self.max_length:
                symbols, counts = self._next[context]
                symbol = symbols[bisect_right(counts, rng.below(counts[-1]))]
                if symbol == _END:
                    break
                text += symbol
                context = (context + symbol)[-before:] if before else ""
        return shorten(normalize(text), self.max_length, self.min_length).strip()

    def repertoires(self) -> list[frozenset[str]]:
        return [self.symbols()]

    def identity(self) -> dict[str, Any]:
        return {
            "files": self._texts.digest,
            "order": self.order,
            "min_length": self.min_length,
            "max_length": self.max_length,
        }
