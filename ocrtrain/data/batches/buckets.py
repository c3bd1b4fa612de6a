"""Plans of batches: lines of similar width go together, drawn anew in each epoch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, overload

import numpy as np
from numpy.typing import NDArray

# An epoch's lines, sorted by width, are cut into this many groups, or fewer; mates are drawn within a group.
GROUPS = 64
# Batches of one group: two at least, or the same lines would meet for ever; few enough for little padding.
POOL = 2, 32


@dataclass(frozen=True, slots=True)
class BatchLimit:
    """How large a batch may become: `columns` in all, its lines padded to a multiple of `multiple`."""

    columns: float
    multiple: int = 1

    def lines(self, widest: float) -> int:
        """Count the lines of a batch whose widest has so many columns: one at least."""
        return max(
            1, int(self.columns / max(self.multiple, math.ceil(widest / self.multiple) * self.multiple))
        )


class Plan(Sequence[NDArray[np.int64]]):
    """Batches of line numbers: a list of arrays that holds no arrays, since an epoch may have a million.

    order: line numbers [lines], of any integer type; starts: where batch b begins in it, [batches + 1] with
    the end; turn: the batches' own order, [batches].
    """

    def __init__(
        self, order: NDArray[Any], starts: NDArray[np.int64], turn: NDArray[np.int64] | None = None
    ) -> None:
        self.order, self.starts, self.turn = order, starts, turn

    def __len__(self) -> int:
        return len(self.starts) - 1

    @overload
    def __getitem__(self, index: int) -> NDArray[np.int64]: ...

    @overload
    def __getitem__(self, index: slice) -> list[NDArray[np.int64]]: ...

    def __getitem__(self, index: int | slice) -> NDArray[np.int64] | list[NDArray[np.int64]]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        batch = index % len(self) if self.turn is None else int(self.turn[index])
        return self.order[int(self.starts[batch]) : int(self.starts[batch + 1])]


def plan_epoch(
    widths: NDArray[np.float32],
    batch_size: int,
    seed: int,
    epoch: int,
    limit: BatchLimit | None = None,
    batches: int | None = None,
) -> Plan:
    """Sort the lines by width, mix those of similar width, cut them into batches, and shuffle these.

    widths: float32 [lines], in any unit.
    batch_size: lines of a batch, at most.
    seed, epoch: what the plan depends on, beside the widths.
    limit: columns of a batch, padded to its widest line, at most, in the unit of `widths` (but a batch has
        always one line).
    batches: so many are made, for which `limit` may have to give way a little; None: as many as `limit`
        makes, which depends on the set of widths alone.

    Every line occurs once.
    """
    rng = np.random.default_rng((seed, epoch, 0x6275636B))
    # Many lines are equally wide; shuffled first, they get other neighbours in each epoch.
    order = np.arange(len(widths), dtype=np.int32 if len(widths) < 2**31 else np.int64)
    rng.shuffle(order)
    order = order[_sorting(widths[order])[::-1]]
    groups = _groups(widths[order], batch_size, limit)
    if batches is not None and sum(-(-count // size) for count, size in groups) != batches:
        groups = _groups_for(widths[order], batch_size, limit, batches)
    starts, place = [0], 0
    for count, size in groups:
        rng.shuffle(order[place : place + count])
        starts += [min(at + size, place + count) for at in range(place, place + count, size)]
        place += count
    turn = rng.permutation(len(starts) - 1)
    return Plan(order, np.array(starts, np.int64), turn)


def _sorting(widths: NDArray[np.float32]) -> NDArray[np.int64]:
    """Order `widths` from the narrowest on, equal ones as they stand."""
    with np.errstate(invalid="ignore"):
        whole = widths.astype(np.uint16)
    # Columns of lines are whole numbers, and small ones: those NumPy sorts in a tenth of the time, by digits.
    return np.argsort(whole if np.array_equal(whole, widths) else widths, kind="stable")


def _groups(widths: NDArray[np.float32], batch_size: int, limit: BatchLimit | None) -> list[tuple[int, int]]:
    """Cut lines that are sorted, wide ones first, into groups: each the number of lines and the batch size.

    A group's batches are as large as its first line, which is its widest, allows.
    """
    pool = max(POOL[0], min(POOL[1], -(-len(widths) // (batch_size * GROUPS))))
    groups, place = [], 0
    while place < len(widths):
        size = batch_size
        if limit is not None:
            size = min(batch_size, limit.lines(float(widths[place])))
        count = min(size * pool, len(widths) - place)
        groups.append((count, size))
        place += count
    return groups


def _groups_for(
    widths: NDArray[np.float32], batch_size: int, limit: BatchLimit | None, batches: int
) -> list[tuple[int, int]]:
    """Cut as `_groups` does, into exactly so many batches: with a limit just as high as that needs.

    Where the next lower limit gives too many batches and this one too few, large batches are halved.
    """

    multiple = 1 if limit is None else limit.multiple

    def cut(most: float) -> list[tuple[int, int]]:
        groups = _groups(widths, batch_size, BatchLimit(most, multiple))
        return [(min(size, count - at), size) for count, size in groups for at in range(0, count, size)]

    low = 0.0
    largest = (float(widths.max()) + multiple) * batch_size  # no batch can be larger
    high = largest if limit is None else limit.columns
    while len(cut(high)) > batches:
        if high > largest:
            raise ValueError(f"{len(widths)} lines cannot be put into {batches} batches of {batch_size}")
        low, high = high, high * 1.1
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (low, middle) if len(cut(middle)) <= batches else (middle, high)
    sizes = [count for count, _ in cut(high)]
    while len(sizes) < batches:
        place = int(np.argmax(sizes))
        half = sizes[place] // 2
        if not half:
            raise ValueError(f"{len(widths)} lines cannot be put into {batches} batches")
        sizes[place : place + 1] = [half, sizes[place] - half]
    return [(size, size) for size in sizes]


def plan_by_width(
    widths: NDArray[np.float32], batch_size: int, limit: BatchLimit | None = None
) -> list[NDArray[np.int64]]:
    """Group all lines by width, narrow ones first: for reading, where order does not matter."""
    order = _sorting(widths)
    if limit is None:
        return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
    descending, batches, place = order[::-1], [], 0
    for count, size in _groups(widths[descending], batch_size, limit):
        group = descending[place : place + count][::-1]
        batches += [group[i : i + size] for i in range(0, count, size)][::-1]
        place += count
    return batches[::-1]


def padding_share(
    widths: NDArray[np.float32],
    batches: Sequence[NDArray[np.int64]],
    padded: Callable[[float], float] = lambda widest: widest,
) -> float:
    """Share of the columns in `batches` that are padding; `padded` tells how wide a batch is made."""
    if not len(batches):
        return 0.0
    if isinstance(batches, Plan):  # of maybe a million batches
        widest = np.maximum.reduceat(widths[batches.order], batches.starts[:-1])
        lines = np.diff(batches.starts)
    else:
        widest = np.array([widths[batch].max() for batch in batches])
        lines = np.array([len(batch) for batch in batches])
    different, which = np.unique(widest, return_inverse=True)
    columns = float((np.array([padded(float(w)) for w in different])[which] * lines).sum())
    return 1.0 - float(widths.sum(dtype=np.float64)) / columns


class HasWidths(Protocol):
    """What a plan needs to know of a source of lines."""

    def __len__(self) -> int: ...

    def widths(self, epoch: int) -> NDArray[np.float32]: ...


class EndlessBatches:
    """The batches of epoch 0, 1, 2, ... one after the other, from any batch on: a DataLoader's batch sampler.

    source, batch_size, seed, limit: as in `plan_epoch`.
    start: number of the first batch, counted from epoch 0 on.
    rank, ranks: a batch is shared out among `ranks` processes. Each takes every ranks-th of its lines, which
        are sorted by width, so all have as much to do. Each line is seen once an epoch, whatever the number
        of ranks; of the last batch of an epoch, some may get nothing.
    first: the plan of epoch 0, where it is there already.

    Yields lists of (epoch, line number). Every epoch has as many batches as the first, so that batch k can be
    found without the epochs before it.
    """

    def __init__(
        self,
        source: HasWidths,
        batch_size: int,
        seed: int,
        start: int = 0,
        rank: int = 0,
        ranks: int = 1,
        limit: BatchLimit | None = None,
        first: Plan | None = None,
    ) -> None:
        self.source, self.batch_size, self.seed = source, batch_size, seed
        self.start, self.rank, self.ranks, self.limit = start, rank, ranks, limit
        self._first = first
        self._batches = batches_in(source, batch_size, limit)

    @property
    def batches_per_epoch(self) -> int:
        """Batches in an epoch, the same on every rank."""
        return self._batches

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        epoch, skip = divmod(self.start, self.batches_per_epoch)
        while True:
            plan = self._plan(epoch)
            for number in range(skip, len(plan)):
                yield [(epoch, int(i)) for i in plan[number][self.rank :: self.ranks]]
            epoch, skip = epoch + 1, 0

    def _plan(self, epoch: int) -> Plan:
        first, self._first = self._first, None  # it is large, and not needed twice
        if epoch == 0 and first is not None:
            return first
        widths = self.source.widths(epoch)
        return plan_epoch(widths, self.batch_size, self.seed, epoch, self.limit, self._batches)


def batches_in(source: HasWidths, batch_size: int, limit: BatchLimit | None = None) -> int:
    """Count the batches of an epoch over all ranks: those that the lines of epoch 0 make."""
    if limit is None:
        return math.ceil(len(source) / batch_size)
    widths = np.sort(source.widths(0))[::-1]
    return sum(-(-count // size) for count, size in _groups(widths, batch_size, limit))
