"""Which lines go together into which batch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

# Batches whose lines are sorted together: enough for little padding, few enough to stay random.
POOL = 32


def plan_epoch(
    widths: NDArray[np.float32], batch_size: int, seed: int, epoch: int, pool: int = POOL
) -> list[NDArray[np.int64]]:
    """Shuffle the lines, group those of similar width, and shuffle the groups.

    widths: [lines], in any unit. Returns the line numbers of each batch; every line occurs once. The plan
    depends on (seed, epoch) and the widths alone.
    """
    rng = np.random.default_rng((seed, epoch, 0x6275636B))
    order = rng.permutation(len(widths))
    batches = []
    for start in range(0, len(order), batch_size * pool):
        chunk = order[start : start + batch_size * pool]
        chunk = chunk[np.argsort(widths[chunk], kind="stable")]
        batches += [chunk[i : i + batch_size] for i in range(0, len(chunk), batch_size)]
    return [batches[i] for i in rng.permutation(len(batches))]


def plan_by_width(widths: NDArray[np.float32], batch_size: int) -> list[NDArray[np.int64]]:
    """Group all lines by width, narrow ones first: for reading, where order does not matter."""
    order = np.argsort(widths, kind="stable")
    return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]


def padding_share(widths: NDArray[np.float32], batches: list[NDArray[np.int64]]) -> float:
    """Share of the columns in `batches` that are padding, before rounding up to a multiple."""
    padded = sum(float(widths[batch].max()) * len(batch) for batch in batches)
    return 1.0 - float(widths.sum()) / padded if padded else 0.0


class HasWidths(Protocol):
    """What a plan needs to know of a source of lines."""

    def __len__(self) -> int: ...

    def widths(self, epoch: int) -> NDArray[np.float32]: ...


class EndlessBatches:
    """The batches of epoch 0, 1, 2, ... one after the other, from any batch on: a DataLoader's batch sampler.

    Yields lists of (epoch, line number). A batch is shared out among `ranks` processes: `rank` takes every
    ranks-th of its lines, which are sorted by width, so all have as much to do. Each line is seen once an
    epoch, whatever the number of ranks; of the last batch of an epoch, some may get nothing.
    """

    def __init__(
        self, source: HasWidths, batch_size: int, seed: int, start: int = 0, rank: int = 0, ranks: int = 1
    ) -> None:
        self.source, self.batch_size, self.seed = source, batch_size, seed
        self.start, self.rank, self.ranks = start, rank, ranks

    @property
    def batches_per_epoch(self) -> int:
        """Batches in an epoch, the same on every rank."""
        return math.ceil(len(self.source) / self.batch_size)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        epoch, skip = divmod(self.start, self.batches_per_epoch)
        while True:
            plan = plan_epoch(self.source.widths(epoch), self.batch_size, self.seed, epoch)
            for batch in plan[skip:]:
                yield [(epoch, int(i)) for i in batch[self.rank :: self.ranks]]
            epoch, skip = epoch + 1, 0
