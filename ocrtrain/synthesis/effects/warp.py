"""Pictures resampled: column by column, or along a grid of displacements."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ocrtrain.synthesis.effects.effect import Picture, as_channels, paper_of

Points = NDArray[np.float32]


def shift_columns(picture: Picture, shifts: NDArray[np.float32]) -> Picture:
    """Move column x down by shifts[x] pixels, float32 [W]; paper fills what comes in."""
    from ocrtrain.synthesis.effects.kernels import warp

    out = np.empty_like(picture, order="C")
    steps = np.rint(shifts * np.float32(warp.STEPS)).astype(np.int32)
    warp.shift_columns(as_channels(picture), steps, paper_of(picture), as_channels(out))
    return out


def displace(
    picture: Picture, displacement: Callable[[Points, Points], tuple[Points, Points]], cell: float
) -> Picture:
    """Show at each point what lies `displacement` away from it; paper lies outside.

    displacement(x, y) takes the points of a grid, float32 [rows, columns] each, and returns how far to the
    right and down of each to look. Between the points, `cell` pixels apart at most, it is interpolated.
    """
    from ocrtrain.synthesis.effects.kernels import warp

    height, width = picture.shape[:2]
    rows, columns = (max(2, int(np.ceil(size / max(cell, 2.0))) + 1) for size in (height, width))
    x = np.empty((rows, columns), np.float32)
    y = np.empty((rows, columns), np.float32)
    x[:] = np.arange(columns, dtype=np.float32) * np.float32((width - 1) / (columns - 1))
    y[:] = np.arange(rows, dtype=np.float32)[:, None] * np.float32((height - 1) / (rows - 1))
    right, down = displacement(x, y)
    out = np.empty_like(picture, order="C")
    warp.displace(as_channels(picture), x + right, y + down, paper_of(picture), as_channels(out))
    return out
