"""The same text as print has it elsewhere: in capitals, as a title, with marks around its words."""

from __future__ import annotations

from collections.abc import Container, Sequence

from ocrtrain.synthesis.hashed_random import HashedRandom
from ocrtrain.text import normalize

_BEHIND = ",,,,,..;:?!"
_AROUND = ("()", "()", '""', "“”", "„“", "«»", "‘’", "[]", "//")


def in_capitals(text: str, symbols: Container[str]) -> str:
    """Write `text` in capitals, or leave it as it is where the charset has not all of them."""
    capitals = normalize(text.upper())
    return capitals if all(c in symbols for c in capitals) else text


def capitalized(word: str, symbols: Container[str]) -> str:
    """Begin `word` with a capital, where the charset has it."""
    first = normalize(word[:1].upper())
    return first + word[1:] if len(first) == 1 and first in symbols else word


class Punctuation:
    """Puts marks behind and around words: those of the charset."""

    def __init__(self, symbols: Container[str]) -> None:
        self.behind: Sequence[str] = [mark for mark in _BEHIND if mark in symbols]
        self.around: Sequence[str] = [pair for pair in _AROUND if all(mark in symbols for mark in pair)]

    def put(self, words: list[str], place: int, rng: HashedRandom) -> None:
        """Put a mark behind `words[place]`, or a pair around that word and perhaps the next ones."""
        if self.around and rng.chance(0.25):
            pair = rng.pick(self.around)
            last = min(place + rng.below(3), len(words) - 1)
            words[place] = pair[0] + words[place]
            words[last] += pair[1]
        elif self.behind:
            words[place] += rng.pick(self.behind)
