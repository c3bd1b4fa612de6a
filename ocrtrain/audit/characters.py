"""The characters of a set of texts: how often each is, what it is called, what is odd about it."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ocrtrain.text.scripts import foreign_letters, mixed_words, script_of

# Characters that one takes for another in print and on keyboards; NFKC does not bring them together.
_FAMILIES = {
    "dashes": "-\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u00ad\u2e17\u05be",
    "single quotes": "'\u2018\u2019\u201a\u201b\u02bc\u02b9\u2032`\u00b4\u05f3",
    "double quotes": '"\u201c\u201d\u201e\u201f\u2033\u3003\u05f4\u02ba',
    "points": "\u00b7\u2022\u2219\u22c5\u2027\u30fb",
    "ellipses": "\u2026\u22ef",
}
_FAMILY_OF = {character: name for name, members in _FAMILIES.items() for character in members}

RARE = 5


@dataclass(frozen=True, slots=True)
class CharacterCount:
    """One code point of a set: how many there are, in how many lines, its name, script and what is odd.

    odd: of "private use", "combining mark", "invisible", "control", "unassigned", "compatibility form",
    "look-alike" (a letter in a word of another script).
    """

    character: str
    count: int
    lines: int
    name: str
    category: str
    script: str | None
    odd: tuple[str, ...]


def count_characters(texts: Sequence[str]) -> list[CharacterCount]:
    """Count the code points of `texts`, the most frequent first."""
    counts: Counter[str] = Counter()
    lines: Counter[str] = Counter()
    foreign: Counter[str] = Counter()
    for text in texts:
        counts.update(text)
        lines.update(set(text))
        foreign += foreign_letters(mixed_words(text))
    return [
        CharacterCount(
            c, n, lines[c], name_of(c), unicodedata.category(c), script_of(c), oddities(c, foreign)
        )
        for c, n in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    ]


def oddities(character: str, foreign: Mapping[str, int]) -> tuple[str, ...]:
    """Say what is odd about a character; `foreign` counts the letters in words of another script."""
    category = unicodedata.category(character)
    kinds = {"Co": "private use", "Cn": "unassigned", "Cc": "control", "Cs": "unassigned"}
    odd = [kinds[category]] if category in kinds else []
    if category in ("Mn", "Me", "Mc"):
        odd.append("combining mark")
    if invisible(character):
        odd.append("invisible")
    if (
        character != " "
        and not invisible(character)
        and unicodedata.normalize("NFKC", character) != character
    ):
        odd.append("compatibility form")
    if character in foreign:
        odd.append("look-alike")
    return tuple(odd)


def invisible(character: str) -> bool:
    """Tell whether `character` leaves no ink: a format sign, a variation selector, a space but U+0020."""
    category = unicodedata.category(character)
    if category in ("Cf", "Zl", "Zp"):
        return True
    return (category == "Zs" and character not in " \u3000") or "\ufe00" <= character <= "\ufe0f"


def name_of(character: str) -> str:
    """The Unicode name of a character, or what it is if it has none."""
    if unicodedata.category(character) == "Co":
        return "private use"
    return unicodedata.name(character, "control" if unicodedata.category(character) == "Cc" else "unnamed")


def families(counts: Sequence[CharacterCount]) -> list[tuple[str, list[CharacterCount]]]:
    """List the groups of characters that look much alike and of which a set has several."""
    groups: dict[str, list[CharacterCount]] = {}
    for found in counts:
        name = _FAMILY_OF.get(found.character)
        if name is None:
            plain = unicodedata.normalize("NFKC", found.character)
            name = f"forms of {plain!r}" if len(plain.strip()) == 1 else "spaces" if plain == " " else None
        if name is not None:
            groups.setdefault(name, []).append(found)
    return [(name, members) for name, members in sorted(groups.items()) if len(members) > 1]
