"""What the lines say: random strings of a charset, or words and lines from a file."""

from __future__ import annotations

import hashlib
import unicodedata
from pathlib import Path

from ocrtrain.errors import InputError
from ocrtrain.synthesis.draws import Draws
from ocrtrain.text import Charset, normalize
from ocrtrain.text.charset import describe


class RandomStrings:
    """Strings of `min_length` to `max_length` symbols of a charset, every symbol equally likely.

    Nothing that a picture cannot show gets into a label: no space at either end or beside another one, no
    mark without a letter to sit on. Every string is in NFC.
    """

    def __init__(self, charset: Charset, min_length: int, max_length: int) -> None:
        self.min_length, self.max_length = min_length, max_length
        self.symbols = charset.symbols
        self.standalone = tuple(symbol for symbol in self.symbols if _stands_alone(symbol))
        self._standalone = frozenset(self.standalone)
        if not self.standalone:
            raise InputError("charset", "has nothing but spaces and marks", "add letters or digits to it.")

    def draw(self, draws: Draws) -> str:
        """Draw one string; uses up 1 + 2 * max_length numbers at most."""
        length = self.min_length + draws.below(self.max_length - self.min_length + 1)
        if len(self.standalone) == len(self.symbols):
            return "".join([draws.pick(self.symbols) for _ in range(length)])
        text = ""
        for position in range(length):
            symbol = draws.pick(self.symbols)
            if symbol not in self._standalone and not self._may_follow(text, symbol, position == length - 1):
                symbol = draws.pick(self.standalone)
            text += symbol
        return text

    def _may_follow(self, text: str, symbol: str, last: bool) -> bool:
        if not text or text[-1] not in self._standalone or (last and symbol.isspace()):
            return False
        return normalize(text[-1] + symbol) == text[-1] + symbol


class Words:
    """The lines of a UTF-8 text file: each line that is not blank is one text, be it a word or a sentence.

    Texts are NFC and without the spaces at their ends, which no picture shows.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            content = path.read_bytes()
        except OSError as error:
            raise InputError(
                f"synthesis.words={path}",
                error.strerror or str(error),
                "name a text file with one text a line.",
            ) from None
        self.digest = hashlib.sha256(content).hexdigest()
        try:
            decoded = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            raise InputError(str(path), f"line {line} is not UTF-8", "save the file as UTF-8.") from None
        self.texts = tuple(text for line in decoded.splitlines() if (text := normalize(line.strip())))
        if not self.texts:
            raise InputError(str(path), "has no text in it", "give one text a line.")

    def check(self, charset: Charset) -> None:
        """Raise `InputError` if the charset lacks characters of the texts, with the first text of each."""
        lacking = sorted(set().union(*self.texts) - set(charset.symbols))
        if lacking:
            examples = (
                f"{describe(c)} in {next(text for text in self.texts if c in text)!r}" for c in lacking[:5]
            )
            more = f" and {len(lacking) - 5} more" if len(lacking) > 5 else ""
            raise InputError(
                str(self.path),
                "the charset lacks " + ", ".join(examples) + more,
                "add them to synthesis.charset, or take those of the words with synthesis.charset=null.",
            )

    def draw(self, draws: Draws) -> str:
        """Draw one text; uses up one number."""
        return draws.pick(self.texts)


def check_charset(charset: Charset) -> None:
    """Raise `InputError` for symbols that no line shows and no list of labels can hold (tab, line ends)."""
    if unseen := [s for s in charset.symbols if unicodedata.category(s) in ("Cc", "Cs", "Zl", "Zp")]:
        raise InputError(
            "synthesis.charset", "nothing shows " + ", ".join(map(describe, unseen[:5])), "leave them out."
        )


def _stands_alone(symbol: str) -> bool:
    # Marks and the later letters of a Hangul syllable need one before them, and may melt with it in NFC.
    jamo = "\u1160" <= symbol <= "\u11ff"
    return not (jamo or symbol.isspace() or unicodedata.category(symbol) in ("Mn", "Mc", "Me", "Cf"))
