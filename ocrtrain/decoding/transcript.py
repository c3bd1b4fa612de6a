"""What a recognizer reads in a line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Character(NamedTuple):
    """One symbol of a reading, and where it stands.

    `probability`: 0..1, the largest that any of its frames gives it; `first_frame`, `last_frame`: the frames
    that it was read from, counted from 0, both included; `x0`, `x1`: the same range from left to right edge,
    in pixels of the input image, or in frames where the image's width was not given.
    """

    text: str
    probability: float
    first_frame: int
    last_frame: int
    x0: float
    x1: float


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One of several readings of a line.

    `log_prob`: log P(text | line), summed over all alignments; `score`: what readings are ranked by, which is
    `log_prob` and whatever language model and word list add to it; `share`: this reading's part of exp(score),
    summed over the readings that it came with, 0..1.
    """

    text: str
    log_prob: float
    score: float
    share: float


@dataclass(frozen=True, slots=True)
class Transcript:
    """The text of one line, how sure the recognizer is of it, and its characters in logical order.

    `text` is the characters' texts, joined. `confidence`: 0..1, the recognizer's probability that the line
    reads exactly so, P(text | line) summed over all alignments; a language model has a say in which text that
    is, and none in how probable it looks. `nbest`: the best readings where they were asked for, this one first.
    """

    text: str
    confidence: float
    characters: tuple[Character, ...]
    nbest: tuple[Hypothesis, ...] = ()
