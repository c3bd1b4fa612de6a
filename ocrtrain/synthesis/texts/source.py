"""What every source of texts can be asked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

from ocrtrain.errors import InputError
from ocrtrain.synthesis.hashed_random import HashedRandom
from ocrtrain.text import Charset

# Beyond it a line is no line, and a mistyped number would fill the memory.
LONGEST = 1000


class TextSource(ABC):
    """Gives texts in NFC, in logical order, with no space at the ends nor two in a row.

    `weight` is the source's share of the lines, beside the weights of the others; a source of weight 0 is
    never opened. `max_length` is the length of its longest text, known once the source is open. First
    `symbols`, then `open`, then `draw` and the rest.
    """

    weight: float
    max_length: int

    def symbols(self) -> frozenset[str]:
        """Collect the characters that its texts have whatever the charset is; none if they follow it."""
        return frozenset()

    @abstractmethod
    def open(self, charset: Charset) -> None:
        """Make ready to draw texts of `charset`; raises `InputError` if it cannot write what it must."""

    @abstractmethod
    def draw(self, rng: HashedRandom) -> str:
        """Draw one text."""

    @abstractmethod
    def repertoires(self) -> Iterable[frozenset[str]]:
        """List sets of symbols such that every text stays within one of them, so that a font can be found."""

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """List in plain types all that its texts depend on, besides the charset and the numbers drawn."""


def check_lengths(name: str, least: int, most: int) -> None:
    """Raise `InputError` unless 1 <= least <= most <= LONGEST."""
    fits = all(isinstance(n, int) and not isinstance(n, bool) for n in (least, most))
    if not fits or not 1 <= least <= most <= LONGEST:
        raise InputError(
            f"synthesis.{name}",
            f"lengths from {least} to {most} do not fit",
            f"give whole numbers, 1 <= min_length <= max_length <= {LONGEST}.",
        )


def check_share(name: str, value: float) -> float:
    """Return `value`; raises `InputError` unless it is a number from 0 to 1."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise InputError(f"synthesis.{name}={value}", "does not fit", "give a number from 0 to 1.")
    return float(value)
