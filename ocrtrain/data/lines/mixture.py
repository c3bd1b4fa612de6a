"""Several sources as one: mixed by weight for training, one after the other for validation."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ocrtrain.data.lines.sources import LineSource
from ocrtrain.line import Line


@dataclass(slots=True)
class Part:
    """One source of lines: its name ("" if it is the only one), its share, which lines to use (None: all)."""

    name: str
    source: LineSource
    weight: float = 1.0
    indices: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.source) if self.indices is None else len(self.indices)

    @property
    def key(self) -> str:
        """The setting that names it."""
        return f"data.mix.{self.name}" if self.name else "data.train"

    def number(self, position: int) -> int:
        """Tell the number that the source gives the part's line `position`."""
        return position if self.indices is None else int(self.indices[position])

    def widths(self, epoch: int) -> NDArray[np.float32]:
        """Give the widths of the part's lines, float32 [lines]."""
        widths = self.source.widths(epoch)
        return widths if self.indices is None else widths[self.indices]


class _Parts:
    """Parts one after the other; `starts`, int64 [parts + 1], is where each begins."""

    def __init__(self, parts: Sequence[Part], starts: NDArray[np.int64]) -> None:
        self.parts, self.starts = list(parts), starts

    def __len__(self) -> int:
        return int(self.starts[-1])

    def part_of(self, index: int) -> str:
        """Name the source of line `index`, the same in every epoch."""
        return self.parts[self._part(index)].name

    def _part(self, index: int) -> int:
        return int(np.searchsorted(self.starts, index, side="right")) - 1


class MixedLines(_Parts):
    """An endless stream of each source, shuffled anew whenever it begins again, dealt out by weight.

    An epoch has `lines` lines, by default as many as all sources together, and of each source the share that
    its weight is of all weights. A source's stream goes on from epoch to epoch, so all of its lines are used
    equally often, however large its share. A line that comes a second time is that of a later epoch to its
    source: a generator draws a new one. All of it depends on (seed, epoch) alone.
    """

    def __init__(self, parts: Sequence[Part], seed: int = 0, lines: int | None = None) -> None:
        self.seed = seed
        total = sum(map(len, parts)) if lines is None else lines
        weights = np.array([part.weight for part in parts], np.float64)
        # The places where shares end, rounded: no line is lost to rounding.
        ends = np.rint(np.cumsum(weights) / weights.sum() * total).astype(np.int64)
        super().__init__(parts, np.concatenate([[0], ends]))

    def line(self, index: int, epoch: int) -> Line:
        """Read or draw line `index` of `epoch`; raises `InputError` if its image cannot be read."""
        number = self._part(index)
        part, start = self.parts[number], int(self.starts[number])
        draw = epoch * int(self.starts[number + 1] - start) + index - start
        time, place = divmod(draw, len(part))
        return part.source.line(part.number(int(self._shuffled(number, time)[place])), time)

    @functools.lru_cache(maxsize=2)  # noqa: B019 - two epochs of one mixture, for as long as it lives
    def widths(self, epoch: int) -> NDArray[np.float32]:
        """Tell each line's width at height 1, float32 [lines]."""
        widths = np.empty(len(self), np.float32)
        for number, part in enumerate(self.parts):
            start, end = int(self.starts[number]), int(self.starts[number + 1])
            draws = np.arange(epoch * (end - start), (epoch + 1) * (end - start))
            times, places = np.divmod(draws, len(part))
            for time in np.unique(times).tolist():
                now = times == time
                widths[start:end][now] = part.widths(time)[self._shuffled(number, time)[places[now]]]
        return widths

    @functools.lru_cache(maxsize=8)  # noqa: B019 - of each source its last order or two
    def _shuffled(self, number: int, time: int) -> NDArray[np.int64]:
        rng = np.random.default_rng((self.seed, number, time, 0x6D6978))
        return rng.permutation(len(self.parts[number]))


class JoinedLines(_Parts):
    """All lines of several sources, one source after the other."""

    def __init__(self, parts: Sequence[Part]) -> None:
        super().__init__(parts, np.cumsum([0, *map(len, parts)]))

    def line(self, index: int, epoch: int) -> Line:
        """Read or draw line `index`; raises `InputError` if its image cannot be read."""
        number = self._part(index)
        part = self.parts[number]
        return part.source.line(part.number(index - int(self.starts[number])), epoch)

    def widths(self, epoch: int) -> NDArray[np.float32]:
        """Tell each line's width at height 1, float32 [lines]."""
        return np.concatenate([part.widths(epoch) for part in self.parts])
