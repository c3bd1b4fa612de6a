"""Random numbers that depend on a name alone."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from hashlib import shake_128
from typing import TypeVar

Item = TypeVar("Item")


class Draws:
    """`count` uniform numbers, used up one after the other; the same for the same name on any machine.

    A hash of the name, and no generator with a state: line `i` costs the same whether or not the lines before
    it were drawn, and no release of NumPy changes it.
    """

    __slots__ = ("_values",)

    def __init__(self, name: str, count: int) -> None:
        self._values = iter(struct.unpack(f"<{count}I", shake_128(name.encode()).digest(4 * count)))

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """Draw from [low, high)."""
        return low + (high - low) * (next(self._values) * 2.0**-32)

    def below(self, n: int) -> int:
        """Draw from 0 ... n - 1."""
        return (next(self._values) * n) >> 32

    def chance(self, probability: float) -> bool:
        """Say yes with this probability."""
        return next(self._values) * 2.0**-32 < probability

    def bytes(self) -> tuple[int, int, int]:
        """Draw three bytes from one number."""
        number = next(self._values)
        return number & 255, number >> 8 & 255, number >> 16 & 255

    def pick(self, items: Sequence[Item]) -> Item:
        """Draw one of `items`."""
        return items[self.below(len(items))]
