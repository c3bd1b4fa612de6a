"""What a recognizer reads in a line."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Character:
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
class Transcript:
    """The text of one line, how sure the recognizer is of it, and its characters in logical order.

    `text` is the characters' texts, joined. `confidence`: 0..1, the recognizer's probability that the line
    reads exactly so.
    """

    text: str
    confidence: float
    characters: tuple[Character, ...]
