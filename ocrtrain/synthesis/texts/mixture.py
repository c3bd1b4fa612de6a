"""Several sources as one, each with its share, and no symbol rarer than it may be."""

from __future__ import annotations

import math
import unicodedata
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import Any

from ocrtrain.errors import InputError
from ocrtrain.fonts.shaping import script_of
from ocrtrain.settings import Share, checked
from ocrtrain.synthesis.hashed_random import HashedRandom, Weight
from ocrtrain.synthesis.texts.placing import may_follow, stands_alone
from ocrtrain.synthesis.texts.source import TextSource
from ocrtrain.text import Charset, normalize

# Texts that are counted to find out which symbols are rare.
_COUNTED = 3000
# So many times the floor is aimed at: a count varies by chance, and not every text has a place for a symbol.
_ROOM = 1.4
# Places that are tried to put a letter among letters or a sign among signs.
_PLACES = 4


class Mixture(TextSource):
    """Draws a text of each source as often as its weight says.

    floor: the least share of each symbol of the charset (spaces and joiners aside) among all characters. What
    the sources have too seldom is put in the place of other characters, letters for letters and signs for
    signs where the text has some, whatever word comes of it.
    """

    def __init__(self, sources: Mapping[str, TextSource], floor: float = 0.0) -> None:
        for name, source in sources.items():
            checked(getattr(source, "weight", None), Weight, f"synthesis.texts.{name}.weight")
        self.sources = {name: source for name, source in sources.items() if source.weight > 0}
        if not self.sources:
            raise InputError("synthesis.texts", "no source has a weight above 0", "give it to one: weight=1.")
        self.weight, self.floor = 1.0, checked(floor, Share, "synthesis.floor")
        self._drawn = tuple(self.sources.values())
        total = sum(source.weight for source in self._drawn)
        self._ends = [end / total for end in accumulate(source.weight for source in self._drawn)][:-1]
        self._replaced = 0.0
        self._rare: tuple[str, ...] = ()
        self._rare_ends: list[float] = []

    def symbols(self) -> frozenset[str]:
        return frozenset().union(*(source.symbols() for source in self._drawn))

    def open(self, charset: Charset) -> None:
        for source in self._drawn:
            source.open(charset)
        self.max_length = max(source.max_length for source in self._drawn)
        if self.floor:
            self._raise_floor(charset)

    def draw(self, rng: HashedRandom) -> str:
        if not self._rare:
            return self._drawn_text(rng)
        text = self._drawn_text(rng)
        count = int(self._replaced * len(text) + rng.uniform())
        for _ in range(count):
            rare = self._rare[min(bisect_right(self._rare_ends, rng.uniform()), len(self._rare) - 1)]
            text = _replace(text, rare, rng)
        return text

    def _drawn_text(self, rng: HashedRandom) -> str:
        if not self._ends:
            return self._drawn[0].draw(rng)
        return self._drawn[bisect_right(self._ends, rng.uniform())].draw(rng)

    def _raise_floor(self, charset: Charset) -> None:
        """Find the share of characters to replace, and by what, so that no symbol is below the floor.

        With r a symbol's share before and q that of replaced characters, it comes to (1 - q) r + q b after;
        q b is what it lacks, and q the sum of that over the symbols that lack any.
        """
        counts = Counter[str]()
        for number in range(_COUNTED):
            counts.update(self._drawn_text(HashedRandom(f"floor:{number}", 256)))
        wanted = [s for s in charset.symbols if stands_alone(s) or unicodedata.category(s)[0] == "M"]
        total, floor = counts.total(), self.floor * _ROOM
        if floor * len(wanted) > 0.5:
            raise InputError(
                f"synthesis.floor={self.floor}",
                f"would make random strings of the texts, with {len(wanted)} symbols in the charset",
                f"set it to {0.2 / len(wanted):.1g} or less.",
            )
        replaced, rare = 0.0, set[str]()
        while more := {s for s in wanted if (1 - replaced) * counts[s] / total < floor} - rare:
            rare |= more
            share = sum(counts[s] for s in rare) / total
            replaced = (len(rare) * floor - share) / (1 - share)
        if rare:
            self._rare = tuple(s for s in wanted if s in rare)
            lacks = [floor - (1 - replaced) * counts[s] / total for s in self._rare]
            self._rare_ends = [end / sum(lacks) for end in accumulate(lacks)]
            # Places are drawn one after the other, and some of them twice.
            self._replaced = -math.log(1 - replaced)

    def repertoires(self) -> Iterable[frozenset[str]]:
        added = frozenset(self._rare)
        for source in self._drawn:
            for symbols in source.repertoires():
                yield symbols | added

    def identity(self) -> dict[str, Any]:
        sources = {
            name: {"source": type(source).__name__, "weight": source.weight, **source.identity()}
            for name, source in self.sources.items()
        }
        return {"sources": sources, "floor": self.floor}


def _replace(text: str, symbol: str, rng: HashedRandom) -> str:
    """Put `symbol` in the place of one character, of its own kind if one is soon found; or nowhere."""
    alone = stands_alone(symbol)
    for _ in range(_PLACES):
        place = rng.below(len(text))
        if alone and _kind(text[place]) == _kind(symbol) and (changed := _changed(text, place, symbol)):
            return changed
    start = rng.below(len(text))
    for place in (*range(start, len(text)), *range(start)):
        if changed := _changed(text, place, symbol):
            return changed
    return text


def _changed(text: str, place: int, symbol: str) -> str:
    """Write `symbol` at `place` if a picture shows it there, and all the others as before; else nothing."""
    before, there, behind = text[:place], text[place], text[place + 1 :]
    if there.isspace() or not stands_alone(there) or (behind and not _parts(behind[0])):
        return ""
    if not stands_alone(symbol) and not may_follow(before[-1:], symbol):
        return ""
    changed = before + symbol + behind
    return changed if normalize(changed) == changed else ""


def _kind(symbol: str) -> str:
    return script_of(symbol) if symbol.isalpha() else "sign"


def _parts(following: str) -> bool:
    """Tell whether what stands before `following` can go without taking it along."""
    return stands_alone(following) or following.isspace()
