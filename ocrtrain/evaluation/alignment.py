"""Truth and reading side by side, character by character."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from itertools import zip_longest
from typing import NamedTuple

import regex
from rapidfuzz.distance import Levenshtein

from ocrtrain.text import normalize


class Pair(NamedTuple):
    """A character of the truth and what was read in its place; "" where it is missing or extra."""

    truth: str
    read: str


def align(truth: str, prediction: str) -> list[Pair]:
    """Pair up two texts, both in NFC, along a shortest alignment (the one that the counts are made of)."""
    truth, prediction = normalize(truth), normalize(prediction)
    pairs = []
    for step in Levenshtein.opcodes(truth, prediction):
        left = truth[step.src_start : step.src_end]
        right = prediction[step.dest_start : step.dest_end]
        # Equal or replaced stretches are of one length, of the others one is empty.
        pairs += [Pair(*pair) for pair in zip_longest(left, right, fillvalue="")]
    return pairs


def by_grapheme(pairs: Sequence[Pair]) -> list[Pair]:
    """Join the pairs within what readers take for one character: a letter with its marks, a syllable.

    A mark cannot be shown by itself, and a letter with a wrong mark is wrong as a whole.
    """
    truth, read = ("".join(side) for side in zip(*pairs, strict=True)) if pairs else ("", "")
    if truth.isascii() and read.isascii():
        return list(pairs)
    whole = [{0, *(match.end() for match in regex.finditer(r"\X", text))} for text in (truth, read)]
    joined: list[Pair] = []
    at = [0, 0]
    for pair in pairs:
        begins = all(place in places for place, places in zip(at, whole, strict=True))
        if begins or not joined:
            joined.append(pair)
        else:
            joined[-1] = Pair(*(a + b for a, b in zip(joined[-1], pair, strict=True)))
        at = [place + len(side) for place, side in zip(at, pair, strict=True)]
    return joined


def is_right_to_left(text: str) -> bool:
    """Tell whether any character of `text` is written from right to left."""
    return any(unicodedata.bidirectional(character) in ("R", "AL") for character in text)
