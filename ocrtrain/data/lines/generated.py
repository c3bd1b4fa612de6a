"""Lines drawn as they are asked for: a source that no disk holds."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from ocrtrain.line import Line
from ocrtrain.synthesis import LineGenerator


class GeneratedLines:
    """`lines` new lines each epoch, or with `fixed` the same ones always (for validation).

    Line `index` of `epoch` depends on (seed, epoch, index) alone.
    """

    def __init__(self, generator: LineGenerator, lines: int, seed: int = 0, fixed: bool = False) -> None:
        self.generator, self.lines, self.seed, self.fixed = generator, lines, seed, fixed

    def __len__(self) -> int:
        return self.lines

    def line(self, index: int, epoch: int) -> Line:
        """Draw line `index` of `epoch`."""
        return self.generator.line(self.seed, 0 if self.fixed else epoch, index)

    def widths(self, epoch: int) -> NDArray[np.float32]:
        """Measure each line's width at height 1, without drawing it: float32 [lines]."""
        return self._widths(0 if self.fixed else epoch)

    def part_of(self, index: int) -> str:
        """There is but one source."""
        return ""

    @functools.lru_cache(maxsize=2)  # noqa: B019 - two epochs of one source, for as long as the source lives
    def _widths(self, epoch: int) -> NDArray[np.float32]:
        columns = (self.generator.columns(self.seed, epoch, i) for i in range(self.lines))
        return np.fromiter(columns, np.float32, self.lines) / np.float32(self.generator.size.height)
