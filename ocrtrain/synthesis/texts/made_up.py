"""Lines of running text for those who have no text: made-up words, with the signs and numbers of print."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from typing import Any

from ocrtrain.errors import InputError
from ocrtrain.fonts.shaping import script_of
from ocrtrain.settings import checked
from ocrtrain.synthesis.hashed_random import HashedRandom
from ocrtrain.synthesis.texts.placing import shorten, stands_alone
from ocrtrain.synthesis.texts.source import Lengths, TextSource
from ocrtrain.synthesis.texts.syllables import Syllables
from ocrtrain.synthesis.texts.variants import Punctuation, capitalized, in_capitals
from ocrtrain.text import Charset

# With fewer letters of a script, as the Greek ones that stand for units, there are no words of it.
_LETTERS = 10
_UNSPACED = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR")
_STOPS = ".!?"


class MadeUp(TextSource):
    """Pieces of running text of `min_length` to `max_length` characters, in the letters of the charset.

    What else print has comes along as far as the charset has it: names, initials, headings in capitals,
    numbers, years and amounts, commas, quotes and brackets, words that go on in the next line. Each text is
    in one script; those that do not put spaces between words get none.
    """

    def __init__(self, weight: float = 1.0, min_length: int = 3, max_length: int = 75) -> None:
        self.weight = weight
        self.min_length, self.max_length = checked(
            [min_length, max_length], Lengths, "synthesis.texts: made_up: [min_length,max_length]"
        )
        self._scripts: list[tuple[Syllables, str]] = []

    def open(self, charset: Charset) -> None:
        self._symbols = frozenset(charset.symbols)
        self._letters: dict[str, list[str]] = _letters_by_script(charset)
        if not self._letters:
            raise InputError(
                "synthesis.charset",
                "has too few letters to make up words",
                "name an alphabet (synthesis.charset=english), or draw random strings instead.",
            )
        marks = [symbol for symbol in charset.symbols if unicodedata.category(symbol)[0] == "M"]
        space = " " if " " in self._symbols else ""
        self._scripts = [
            (Syllables(letters, marks), "" if script in _UNSPACED else space)
            for script, letters in self._letters.items()
        ]
        self._punctuation = Punctuation(self._symbols)
        zeros = {ord(c) - unicodedata.digit(c) for c in charset.symbols if unicodedata.category(c) == "Nd"}
        self._digits = [
            tuple(c for c in charset.symbols if unicodedata.category(c) == "Nd" and 0 <= ord(c) - zero <= 9)
            for zero in sorted(zeros)
        ]

    def draw(self, rng: HashedRandom) -> str:
        syllables, space = rng.pick(self._scripts)
        target = self.min_length + rng.below(self.max_length - self.min_length + 1)
        words: list[str] = []
        length, begins = 0, rng.chance(0.4)
        while length < target:
            words.append(self._token(syllables, begins, rng))
            if rng.chance(0.15):
                self._punctuation.put(words, len(words) - 1, rng)
            begins = words[-1][-1] in _STOPS
            length = sum(map(len, words)) + len(words) - 1
        text = shorten(space.join(words), self.max_length, self.min_length)
        kind = rng.uniform()
        if kind < 0.05:
            return self._fitting(in_capitals(text, self._symbols), text)
        if kind < 0.15 and "-" in self._symbols and text[-1].isalpha() and space:
            return self._fitting(text + "-", text)  # the word goes on in the next line
        return text

    def _fitting(self, changed: str, text: str) -> str:
        return changed if len(changed) <= self.max_length else text

    def _token(self, syllables: Syllables, begins: bool, rng: HashedRandom) -> str:
        kind = rng.uniform()
        if kind < 0.07 and self._digits:
            return self._number(rng)
        word = syllables.word(rng)
        if kind < 0.09:
            return in_capitals(word, self._symbols)
        if kind < 0.11 and "." in self._symbols:
            return capitalized(word[0], self._symbols) + "."
        if kind < 0.13 and "-" in self._symbols:
            return f"{word}-{syllables.word(rng)}"
        if kind < 0.14 and "’" in self._symbols:
            return f"{word}’{word[-1]}"
        return capitalized(word, self._symbols) if begins or kind < 0.24 else word

    def _number(self, rng: HashedRandom) -> str:
        digits = rng.pick(self._digits)
        number = "".join([rng.pick(digits) for _ in range(1 + rng.below(4))])
        kind = rng.uniform()
        if kind < 0.25 and (points := [c for c in ".,:/-" if c in self._symbols]):
            return number + rng.pick(points) + rng.pick(digits) + rng.pick(digits)
        if kind < 0.4 and (units := [c for c in "%°$€£§" if c in self._symbols]):
            unit = rng.pick(units)
            return unit + number if unit in "$£§" else number + unit
        return number

    def repertoires(self) -> list[frozenset[str]]:
        words = {s for s in self._symbols if stands_alone(s) and s.isalpha()}
        return [
            frozenset(s for s in self._symbols if s not in words or script_of(s) == script)
            for script in self._letters
        ]

    def identity(self) -> dict[str, Any]:
        return {"min_length": self.min_length, "max_length": self.max_length}


def _letters_by_script(charset: Charset) -> dict[str, list[str]]:
    """Collect the letters of each script that has enough of them, small ones if it has two cases."""
    scripts: defaultdict[str, list[str]] = defaultdict(list)
    for symbol in charset.symbols:
        if stands_alone(symbol) and unicodedata.category(symbol) in ("Lu", "Ll", "Lo"):
            scripts[script_of(symbol)].append(symbol)
    found = {}
    for script, letters in scripts.items():
        small = [c for c in letters if unicodedata.category(c) != "Lu"]
        words = small if len(small) >= _LETTERS else letters
        if len(words) >= _LETTERS:
            found[script] = words
    return found
