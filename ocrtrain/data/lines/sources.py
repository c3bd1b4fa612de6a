"""The interface of a source of lines, for everything that reads them."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ocrtrain.line import Line


class LineSource(Protocol):
    """An indexed set of lines; sample `index` of `epoch` depends on nothing else."""

    def __len__(self) -> int:
        """Count the lines of one epoch."""

    def line(self, index: int, epoch: int) -> Line:
        """Read or draw one line; raises `InputError` if its image cannot be read."""

    def widths(self, epoch: int) -> NDArray[np.float32]:
        """Tell each line's width at height 1 (its aspect ratio), float32 [lines]; it only groups lines."""

    def part_of(self, index: int) -> str:
        """Name the source within this one that line `index` is from; "" where there is but one."""
