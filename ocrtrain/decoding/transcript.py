"""Text of a line with its characters, their probabilities and their places."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray


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


class CharacterColumns(NamedTuple):
    """The characters of a batch, one line after another: fields of `Character`, positions in frames."""

    text: str
    probabilities: NDArray[np.floating[Any]]
    first: NDArray[np.integer[Any]]
    last: NDArray[np.integer[Any]]


class Characters(Sequence[Character]):
    """The characters of one line among those of a batch, each made when it is asked for.

    Equal to a tuple of the same characters. Most readers want the text alone, and making twenty objects takes
    longer than decoding them.
    """

    __slots__ = ("_begin", "_columns", "_end", "_scale")

    def __init__(self, columns: CharacterColumns, begin: int, end: int, scale: float) -> None:
        """columns: of which this line has `begin` to `end` - 1; scale: the width of a frame."""
        self._columns, self._begin, self._end, self._scale = columns, begin, end, scale

    def __len__(self) -> int:
        return self._end - self._begin

    @overload
    def __getitem__(self, index: int) -> Character: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Character, ...]: ...

    def __getitem__(self, index: int | slice) -> Character | tuple[Character, ...]:
        return tuple(self)[index]

    def __iter__(self) -> Iterator[Character]:
        own = slice(self._begin, self._end)
        text, probabilities = self._columns.text[own], self._columns.probabilities[own]
        first, last = self._columns.first[own], self._columns.last[own]
        x0, x1 = first * self._scale, (last + 1) * self._scale
        numbers = (column.tolist() for column in (probabilities, first, last, x0, x1))
        return map(Character._make, zip(text, *numbers, strict=True))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (Characters, tuple)) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return tuple, (tuple(self),)  # without the rest of the batch


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One of several readings of a line.

    `log_prob`: log P(text | line), summed over all alignments; `score`: what readings are ranked by, which
    is `log_prob` and whatever language model and word list add to it; `share`: this reading's part of
    exp(score), summed over the readings that it came with, 0..1.
    """

    text: str
    log_prob: float
    score: float
    share: float


@dataclass(frozen=True, slots=True)
class Transcript:
    """The text of one line, how sure the recognizer is of it, and its characters in logical order.

    `text` is the characters' texts, joined. `confidence`: 0..1, the recognizer's probability that the line
    reads exactly so, P(text | line) summed over all alignments; a language model has a say in which text
    that is, and none in how probable it looks. `nbest`: the best readings where they were asked for, this
    one first.
    """

    text: str
    confidence: float
    characters: Sequence[Character]
    nbest: tuple[Hypothesis, ...] = ()
