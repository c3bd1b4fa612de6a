"""Truth and reading side by side, character by character."""

from __future__ import annotations

import unicodedata
from itertools import zip_longest
from typing import NamedTuple

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


def is_right_to_left(text: str) -> bool:
    """Whether any character of `text` is written from right to left."""
    return any(unicodedata.bidirectional(character) in ("R", "AL") for character in text)
