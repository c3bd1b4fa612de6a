"""Scripts of characters, and words that mix scripts by letters that look alike."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

_COMMON = frozenset(("Zyyy", "Zinh", "Zzzz"))  # common to all, inherited from the letter before, unknown
_WORD = re.compile(r"[^\W\d_]+")
# Written together as a rule: kanji and kana, hanja and hangul.
_TOGETHER = frozenset(("Hani", "Hira", "Kana", "Hang", "Bopo"))


@lru_cache(maxsize=65536)
def script_of(character: str) -> str | None:
    """Name the script of a letter by its ISO 15924 code; None for a character of no single script."""
    if character.isascii():
        return "Latn" if character.isalpha() else None
    from fontTools.unicodedata import script

    if unicodedata.category(character)[0] != "L":
        return None
    code = str(script(character))
    return None if code in _COMMON else code


def script_name(code: str) -> str:
    """The name of a script for a reader."""
    from fontTools.unicodedata import script_name as name

    return str(name(code, code)).replace("_", " ")


def foreign_letters(words: Iterable[str]) -> Counter[str]:
    """Count the letters of `words` that are of another script than most of their word.

    A Cyrillic `а` in a Latin word looks right and is wrong. Of a word with as many letters of each, those of
    the script that comes second are counted. Scripts that are written together are no mix.
    """
    found: Counter[str] = Counter()
    for word in words:
        scripts = Counter(code for code in map(script_of, word) if code is not None)
        if len(scripts) > 1 and not scripts.keys() <= _TOGETHER:
            main = scripts.most_common(1)[0][0]
            found.update(c for c in word if script_of(c) not in (None, main))
    return found


def mixed_words(text: str) -> list[str]:
    """List the words of `text` that have letters of more than one script."""
    if text.isascii():
        return []
    return [word for word in _WORD.findall(text) if foreign_letters([word])]
