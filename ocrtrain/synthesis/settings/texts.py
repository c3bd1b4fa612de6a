"""Texts of drawn lines, and the charset that they are made of."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Any

from ocrtrain.errors import InputError
from ocrtrain.settings import Share
from ocrtrain.synthesis.texts import Lines, Mixture, RandomStrings
from ocrtrain.synthesis.texts.source import Length
from ocrtrain.text import Charset
from ocrtrain.text.alphabets import charset_of
from ocrtrain.text.charset import describe

ALPHANUMERIC = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class TextSettings:
    """Choice of the texts.

    charset: the symbols to draw, as `charset_of` takes them; None takes those of the texts.
    min_length, max_length: of random strings, in symbols.
    words: a UTF-8 file, each line of it a text.
    random_share: share of random strings among them.
    texts: sources by name (see `TextSource`), in place of the last four.
    floor: the least share of each symbol among all characters.
    """

    charset: str | list[str | int] | Charset | None = ALPHANUMERIC
    min_length: Length = 3
    max_length: Length = 10
    words: str | list[str] | None = None
    random_share: Share = 0.0
    texts: dict[str, Any] | None = None
    floor: Share = 0.0

    def __post_init__(self) -> None:
        if self.max_length < self.min_length:
            raise InputError(
                f"synthesis.max_length={self.max_length}",
                f"must be at least synthesis.min_length, which is {self.min_length}",
                "raise the one or lower the other.",
            )

    def open(self) -> tuple[Mixture, Charset]:
        """Make the source of the texts ready to draw; raises `InputError` if it does not fit the charset."""
        mixture = Mixture(self.texts if self.texts is not None else self._default_texts(), self.floor)
        symbols = sorted(mixture.symbols()) if self.charset is None else self.charset
        if not symbols and self.charset is None:
            raise InputError(
                "synthesis.charset",
                "is null, and the texts have no characters of their own",
                "name the characters or an alphabet, or give texts: synthesis.words=FILE.",
            )
        charset = charset_of(symbols)
        _check_visible(charset)
        mixture.open(charset)
        return mixture, charset

    def _default_texts(self) -> dict[str, Any]:
        if self.words is None:
            return {"strings": RandomStrings(1.0, self.min_length, self.max_length)}
        return {
            "strings": RandomStrings(self.random_share, self.min_length, self.max_length),
            "words": Lines(1.0 - self.random_share, self.words, max_length=None),
        }


def _check_visible(charset: Charset) -> None:
    """Raise `InputError` for symbols that no line shows and no list of labels can hold (tab, line ends)."""
    if unseen := [s for s in charset.symbols if unicodedata.category(s) in ("Cc", "Cs", "Zl", "Zp")]:
        raise InputError(
            "synthesis.charset", "nothing shows " + ", ".join(map(describe, unseen[:5])), "leave them out."
        )
