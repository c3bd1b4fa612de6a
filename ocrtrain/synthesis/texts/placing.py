"""Places in a text where a symbol may stand, so that its picture shows all of it."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from ocrtrain.fonts.shaping import is_invisible, script_of
from ocrtrain.text import normalize

_INDIC = ("DEVANAGARI", "BENGALI", "GURMUKHI", "GUJARATI", "ORIYA", "TAMIL", "TELUGU", "KANNADA", "MALAYALAM")


@lru_cache(maxsize=1 << 14)
def stands_alone(symbol: str) -> bool:
    """Tell whether `symbol` may stand anywhere: marks and spaces and late letters of a syllable may not."""
    jamo = "\u1160" <= symbol <= "\u11ff"
    mark = unicodedata.category(symbol) in ("Mn", "Mc", "Me")
    return not (jamo or mark or symbol.isspace() or is_invisible(symbol))


def may_follow(before: str, symbol: str) -> bool:
    """Tell whether `symbol`, which does not stand alone, can be seen behind `before`, one symbol or none.

    A mark sits on a letter of its script, in the scripts of India and Thailand on a consonant, and must not
    melt with it in NFC; elsewhere, shaping draws it on a dotted circle. A joiner changes how letters join,
    and does nothing elsewhere.
    """
    if not before or before.isspace() or is_invisible(before):
        return False
    if symbol.isspace():
        return True
    if is_invisible(symbol):
        joins = unicodedata.bidirectional(before) == "AL" and unicodedata.category(before) == "Lo"
        return symbol in "\u200c\u200d" and (joins or unicodedata.combining(before) == 9)
    if not stands_alone(before) or not _takes_marks(before):
        return False
    script = script_of(symbol)
    return (script in ("", script_of(before))) and normalize(before + symbol) == before + symbol


def _takes_marks(letter: str) -> bool:
    if unicodedata.category(letter)[0] != "L":
        return False
    script = script_of(letter)
    if script == "THAI":
        return letter <= "\u0e2e"
    if script in _INDIC:  # consonants are named with their vowel: KA, RRA; vowels are A, AA, VOCALIC L
        name = unicodedata.name(letter).partition(" LETTER ")[2]
        return len(name) > 1 and name[-1] == "A" and name[-2:] != "AA"
    return True


def cuts_at(text: str, place: int) -> bool:
    """Tell whether `text` can be cut before `place` without tearing a letter from its marks."""
    if not 0 < place < len(text):
        return True
    if not stands_alone(text[place]) and not text[place].isspace():
        return False
    return unicodedata.combining(text[place - 1]) != 9 and text[place - 1] not in "\u200c\u200d"


def shorten(text: str, longest: int, least: int = 1) -> str:
    """Cut `text` to at most `longest` characters, after a word if that leaves `least` of them."""
    if len(text) <= longest:
        return text
    space = text.rfind(" ", 1, longest + 1)
    if space >= least:
        return text[:space]
    cut = longest
    while cut > 1 and not cuts_at(text, cut):
        cut -= 1
    return text[:cut].rstrip()
