"""Source of texts: the methods that all of them have."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Annotated, Any

from ocrtrain.settings import Limits
from ocrtrain.synthesis.hashed_random import HashedRandom
from ocrtrain.text import Charset

# Nobody writes longer lines, and a mistyped number would fill the memory.
LONGEST = 1000

Length = Annotated[int, Limits(1, LONGEST)]  # in characters
Lengths = Annotated[tuple[int, int], Limits(1, LONGEST)]  # the least and the most


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
