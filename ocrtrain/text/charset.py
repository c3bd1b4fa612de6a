"""The symbols that a recognizer can write, the class index of each, and how texts are written with them."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

from ocrtrain.errors import InputError
from ocrtrain.text.writing import Writing


def describe(symbol: str) -> str:
    """Spell out a code point for a message: `'ſ' (U+017F LATIN SMALL LETTER LONG S)`."""
    return f"{symbol!r} (U+{ord(symbol):04X} {unicodedata.name(symbol, 'unnamed')})"


class UnknownCharacters(InputError):  # noqa: N818 - named for what it reports
    """A text has characters that the charset lacks; `characters` lists them, in order, once each."""

    def __init__(self, text: str, characters: Sequence[str]) -> None:
        self.text, self.characters = text, tuple(characters)
        super().__init__(
            f"text {text!r}",
            "the charset lacks " + ", ".join(describe(c) for c in characters),
            "add them to the charset, correct the text, or leave such lines out (data.drop_unknown=true).",
        )

    def __reduce__(self) -> tuple[type[UnknownCharacters], tuple[str, tuple[str, ...]]]:
        # A loader worker sends its errors to the main process by pickle.
        return type(self), (self.text, self.characters)


class Charset:
    """An ordered set of symbols, one code point each; index 0 is CTC's blank.

    `len(charset)` is the number of classes: the symbols and the blank. Space is a symbol like any other.
    Symbols are what an image shows from left to right; `writing` says how texts become rows of them.
    """

    blank = 0

    def __init__(self, symbols: str | Sequence[str], writing: Writing | None = None) -> None:
        self.writing = writing or Writing()
        spell = self.writing.normalize
        # A text is composed as a whole; a list names symbols one by one, and neighbours must not merge.
        each = spell(symbols) if isinstance(symbols, str) else [spell(symbol) for symbol in symbols]
        self.symbols: tuple[str, ...] = tuple(each)
        if wrong := [symbol for symbol in self.symbols if len(symbol) != 1]:
            raise InputError("charset", f"{wrong[0]!r} is not one code point", "name single symbols.")
        self._index = {symbol: i for i, symbol in enumerate(self.symbols, start=1)}
        if len(self._index) != len(self.symbols):
            doubled = sorted(symbol for symbol, count in Counter(self.symbols).items() if count > 1)[:20]
            raise InputError(
                "charset",
                "has symbols twice: " + ", ".join(describe(s) for s in doubled),
                "name every symbol once (texts are compared in one normal form, where some spellings become"
                " one).",
            )
        if not self.symbols:
            raise InputError(
                "charset", "is empty", "name at least one symbol, or give training lines with text."
            )

    @classmethod
    def from_texts(cls, texts: Iterable[str], writing: Writing | None = None) -> Charset:
        """Collect the symbols that `texts` show, ordered by code point."""
        writing = writing or Writing()
        return cls(sorted(set().union(*map(writing.shown, texts))), writing)

    def written(self, writing: Writing) -> Charset:
        """Give the same symbols for texts that are written otherwise."""
        return Charset(self.symbols, writing)

    def __len__(self) -> int:
        return len(self.symbols) + 1

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Charset) and self.symbols == other.symbols

    def __hash__(self) -> int:
        return hash(self.symbols)

    def __repr__(self) -> str:
        return f"Charset({''.join(self.symbols)!r})"

    def unknown(self, text: str) -> list[str]:
        """List the symbols that `text` shows and this charset cannot write, in order, once each."""
        return [c for c in dict.fromkeys(self.writing.shown(text)) if c not in self._index]

    def encode(self, text: str) -> list[int]:
        """Turn `text` into class indices from left to right; raises `UnknownCharacters` for what has none."""
        try:
            return [self._index[symbol] for symbol in self.writing.shown(text)]
        except KeyError:
            raise UnknownCharacters(text, self.unknown(text)) from None

    def encode_known(self, text: str) -> list[int]:
        """Turn `text` into class indices, without the symbols that have none."""
        return [self._index[symbol] for symbol in self.writing.shown(text) if symbol in self._index]

    def decode(self, labels: Iterable[int]) -> str:
        """Turn class indices from left to right (no blanks) into text."""
        return self.writing.text("".join(self.symbols[label - 1] for label in labels))
