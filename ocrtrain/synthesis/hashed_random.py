"""Random numbers that depend on a name alone."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from hashlib import shake_128
from typing import Annotated, TypeVar

from ocrtrain.settings import Limits

Item = TypeVar("Item")
# How often one of several things is drawn, beside the weights of the others.
Weight = Annotated[float, Limits(0, 1e9)]


class HashedRandom:
    """Uniform numbers, used up one after the other; the same for the same name on any machine.

    They come from a hash of the name, not from a generator with a state: line `i` costs the same whether or
    not the lines before it were drawn, and no release of NumPy changes it. `count` numbers are made at once;
    more on demand, and the same ones whatever the `count`.
    """

    __slots__ = ("_values",)

    def __init__(self, name: str, count: int = 16) -> None:
        self._values = _numbers(name.encode(), count)

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


def _numbers(name: bytes, count: int) -> Iterator[int]:
    made = 0
    while True:
        # The first bytes of a longer digest are those of a shorter one.
        yield from struct.unpack(f"<{count - made}I", shake_128(name).digest(4 * count)[4 * made :])
        made, count = count, 2 * count
