"""Words that no language has, but that look as if one had: syllables of the letters of one script."""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from ocrtrain.synthesis.hashed_random import HashedRandom
from ocrtrain.synthesis.texts.placing import may_follow

_VOWELS = frozenset("aeiouyæœøıаеёиіоуыэюяєαεηιουω")
# Rough shares of letters in European texts, in percent; what is not here, as accented letters, counts as 1.
_COMMON = dict(
    a=8.5, b=1.8, c=3.5, d=4.5, e=12, f=1.8, g=1.8, h=4, i=7, j=1.3, k=2.5, l=4.5, m=3.2, n=7, o=8, p=2.8,
    q=0.3, r=6, s=6.5, t=7, u=3.5, v=2.5, w=1.5, x=0.4, y=2, z=1.5,
)  # fmt: skip
_BEGINNINGS = (
    "bl", "br", "ch", "cl", "cr", "dr", "fl", "fr", "gl", "gr", "kl", "kr", "ph", "pl", "pr", "qu", "sch",
    "sh", "sk", "sl", "sm", "sn", "sp", "st", "str", "th", "tr", "tw", "vl", "zd",
)  # fmt: skip
_ENDINGS = (
    "ck", "ct", "ff", "ft", "ght", "ld", "ll", "lt", "mp", "nd", "ng", "nk", "ns", "nt", "pp", "rd", "rk",
    "rm", "rn", "rs", "rt", "ss", "st", "th", "tt",
)  # fmt: skip
_OF_SYLLABLES = (0.4, 0.78, 0.94, 0.99)  # words have one to five of them, with these shares summed up


class _Weighted:
    """Draws from `items` by their weights."""

    def __init__(self, items: Sequence[str], weights: Sequence[float]) -> None:
        self.items = tuple(items)
        total = sum(weights)
        self._ends = [end / total for end in accumulate(weights)][:-1]

    def draw(self, rng: HashedRandom) -> str:
        return self.items[bisect_right(self._ends, rng.uniform())]


class Syllables:
    """Makes words of `letters`, small ones where the script has both cases, and of its `marks`.

    Scripts with letters for vowels get syllables, the others one letter after the other, with marks here and
    there.
    """

    def __init__(self, letters: Sequence[str], marks: Sequence[str] = ()) -> None:
        vowels = [letter for letter in letters if _base(letter) in _VOWELS]
        others = [letter for letter in letters if letter not in vowels]
        known = set(letters)
        self._alphabetic = bool(vowels and others)
        self._letters = tuple(letters)
        self._marks = {
            letter: fitting for letter in letters if (fitting := [m for m in marks if may_follow(letter, m)])
        }
        if self._alphabetic:
            self._vowels, self._consonants = (_Weighted(g, [_weight(c) for c in g]) for g in (vowels, others))
        self._beginnings = [cluster for cluster in _BEGINNINGS if set(cluster) <= known]
        self._endings = [cluster for cluster in _ENDINGS if set(cluster) <= known]

    def word(self, rng: HashedRandom) -> str:
        """Make one word, without capitals where there are small letters."""
        count = 1 + bisect_right(_OF_SYLLABLES, rng.uniform())
        if self._alphabetic:
            return "".join([self._syllable(rng) for _ in range(count)])
        return "".join([self._letter(rng) for _ in range(2 * count)])

    def _syllable(self, rng: HashedRandom) -> str:
        onset = nucleus = coda = ""
        kind = rng.uniform()
        if kind > 0.3 or not self._beginnings:
            onset = self._consonants.draw(rng)
        elif kind > 0.15:
            onset = rng.pick(self._beginnings)
        nucleus = self._vowels.draw(rng)
        kind = rng.uniform()
        if kind < 0.3:
            coda = self._consonants.draw(rng)
        elif kind < 0.38 and self._endings:
            coda = rng.pick(self._endings)
        return onset + nucleus + coda

    def _letter(self, rng: HashedRandom) -> str:
        letter = rng.pick(self._letters)
        fitting = self._marks.get(letter)
        return letter + rng.pick(fitting) if fitting and rng.chance(0.4) else letter


def _base(letter: str) -> str:
    return unicodedata.normalize("NFD", letter)[0].lower()


def _weight(letter: str) -> float:
    return _COMMON.get(letter.lower(), 1.0)
