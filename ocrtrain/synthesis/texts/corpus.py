"""Texts out of the user's files: their lines, or their words in new order."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from ocrtrain.errors import InputError
from ocrtrain.settings import Share, checked
from ocrtrain.synthesis.hashed_random import HashedRandom
from ocrtrain.synthesis.texts.files import TextFiles
from ocrtrain.synthesis.texts.placing import shorten
from ocrtrain.synthesis.texts.source import LONGEST, Length, Lengths, TextSource
from ocrtrain.synthesis.texts.variants import Punctuation, capitalized, in_capitals
from ocrtrain.text import Charset

Files = str | Sequence[str] | None


class _Corpus(TextSource):
    """Texts of files that are read once, some of them in capitals."""

    def __init__(self, weight: float, files: Files, capitals_share: float) -> None:
        self.weight, self.files = weight, files
        self.capitals_share = checked(capitals_share, Share, "synthesis.texts: capitals_share")
        self._opened: TextFiles | None = None
        self._symbols: frozenset[str] = frozenset()

    @property
    def _texts(self) -> TextFiles:
        if self._opened is None:
            self._opened = TextFiles(self.files, "synthesis.words")
        return self._opened

    def symbols(self) -> frozenset[str]:
        return frozenset().union(*self._texts.lines)

    def open(self, charset: Charset) -> None:
        self._symbols = frozenset(charset.symbols)
        self._texts.check(charset)
        self._prepare(self._texts.lines)

    @abstractmethod
    def _prepare(self, lines: Sequence[str]) -> None:
        """Prepare the files' lines for `draw`."""

    def _varied(self, text: str, rng: HashedRandom) -> str:
        if self.capitals_share and rng.chance(self.capitals_share):
            # Some letters have two capitals (ß), so that the text may have become too long.
            varied = in_capitals(text, self._symbols)
            return varied if len(varied) <= self.max_length else text
        return text


class Lines(_Corpus):
    """Lines of text files, each as likely as any other.

    max_length: longer ones are broken between words, as a page is set; None leaves them whole.
    capitals_share: of the lines, how many are written in capitals.
    """

    def __init__(
        self,
        weight: float = 1.0,
        files: Files = None,
        max_length: int | None = 80,
        capitals_share: float = 0.0,
    ) -> None:
        super().__init__(weight, files, capitals_share)
        self._most = checked(max_length, Length | None, "synthesis.texts: lines: max_length")
        self.texts: tuple[str, ...] = ()

    def _prepare(self, lines: Sequence[str]) -> None:
        most = self._most
        self.texts = tuple(
            lines if most is None else (part for line in lines for part in _broken(line, most))
        )
        self.max_length = max(map(len, self.texts))
        if self.max_length > LONGEST:
            raise InputError(
                self._texts.name,
                f"a line has {self.max_length:,} characters",
                f"break lines after {LONGEST} characters at most, or draw parts of them: texts=corpus.",
            )

    def draw(self, rng: HashedRandom) -> str:
        return self._varied(rng.pick(self.texts), rng)

    def repertoires(self) -> set[frozenset[str]]:
        found = {frozenset(text) for text in self.texts}
        if self.capitals_share:
            found |= {frozenset(in_capitals(text, self._symbols)) for text in self.texts}
        return found

    def identity(self) -> dict[str, Any]:
        return {
            "files": self._texts.digest,
            "max_length": self._most,
            "capitals_share": self.capitals_share,
        }


class Words(_Corpus):
    """Words of text files in random order, as often as they occur there.

    words: how many make a text, from and to; fewer where they would be longer than `max_length`.
    capitals_share: of the texts, how many are in capitals. title_share: how many words begin with a capital.
    punctuation_share: how many words get a mark behind or around them.
    """

    def __init__(
        self,
        weight: float = 1.0,
        files: Files = None,
        words: Sequence[int] = (1, 8),
        max_length: int = 60,
        capitals_share: float = 0.0,
        title_share: float = 0.0,
        punctuation_share: float = 0.0,
    ) -> None:
        super().__init__(weight, files, capitals_share)
        self.words: tuple[int, int] = checked(words, Lengths, "synthesis.texts: words: words")
        self.max_length = checked(max_length, Length, "synthesis.texts: words: max_length")
        self.title_share = checked(title_share, Share, "synthesis.texts: title_share")
        self.punctuation_share = checked(punctuation_share, Share, "synthesis.texts: punctuation_share")
        self._tokens: tuple[str, ...] = ()

    def symbols(self) -> frozenset[str]:
        return super().symbols() | (frozenset(" ") if self.words[1] > 1 else frozenset())

    def _prepare(self, lines: Sequence[str]) -> None:
        if self.words[1] > 1 and " " not in self._symbols:
            raise InputError(
                "synthesis.charset",
                "lacks the space that words are joined by",
                "add it, or draw words one by one: synthesis.texts.words.words=[1,1].",
            )
        words = (word for line in lines for word in line.split())
        self._tokens = tuple(part for word in words for part in _broken(word, self.max_length))
        self._punctuation = Punctuation(self._symbols)

    def draw(self, rng: HashedRandom) -> str:
        low, high = self.words
        count = low + rng.below(high - low + 1)
        words: list[str] = []
        room = self.max_length
        for _ in range(count):
            word = rng.pick(self._tokens)
            if words and len(word) > room:
                break
            room -= len(word) + 1
            words.append(word)
        if self.title_share:
            words = [capitalized(w, self._symbols) if rng.chance(self.title_share) else w for w in words]
        if self.punctuation_share:
            for place in range(len(words)):
                if rng.chance(self.punctuation_share):
                    self._punctuation.put(words, place, rng)
        return self._varied(shorten(" ".join(words), self.max_length), rng)

    def repertoires(self) -> list[frozenset[str]]:
        # A text mixes any words, and one font has to have all of them.
        varies = self.capitals_share or self.title_share or self.punctuation_share
        return [self._symbols if varies else self.symbols()]

    def identity(self) -> dict[str, Any]:
        return {
            "files": self._texts.digest,
            "words": list(self.words),
            "max_length": self.max_length,
            "capitals_share": self.capitals_share,
            "title_share": self.title_share,
            "punctuation_share": self.punctuation_share,
        }


def _broken(text: str, longest: int) -> list[str]:
    """Break `text` into parts of at most `longest` characters, between words where there are any."""
    parts = []
    while len(text) > longest:
        part = shorten(text, longest)
        parts.append(part)
        text = text[len(part) :].lstrip()
    return [*parts, text] if text else parts
