"""The transform of JPEG's blocks, compiled by Numba."""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import numba
import numpy as np

_F = np.float32


@numba.njit(cache=True, nogil=True)
def _combine(weights, rows, out):
    """Fill each row of out, float32 [8, N], with the sum of 8 rows, weighed by a row of weights [8, 8]."""
    for k in range(8):
        a, b, c, d = weights[k, 0], weights[k, 1], weights[k, 2], weights[k, 3]
        e, f, g, h = weights[k, 4], weights[k, 5], weights[k, 6], weights[k, 7]
        row = out[k]
        r0, r1, r2, r3, r4, r5, r6, r7 = (
            rows[0], rows[1], rows[2], rows[3], rows[4], rows[5], rows[6], rows[7]
        )  # fmt: skip
        for x in range(len(row)):
            row[x] = a * r0[x] + b * r1[x] + c * r2[x] + d * r3[x]
        for x in range(len(row)):
            row[x] += e * r4[x] + f * r5[x] + g * r6[x] + h * r7[x]


@numba.njit(cache=True, nogil=True)
def _turn(rows, out):
    """Transpose each block of 8 columns, float32 [8, 8 B]."""
    for start in range(0, rows.shape[1], 8):
        for i in range(8):
            for j in range(8):
                out[j, start + i] = rows[i, start + j]


@numba.njit(cache=True, nogil=True)
def quantise_blocks(plane, waves, steps, out):
    """Round the cosine coefficients of each 8 x 8 block of a plane, float32 [H, W], to multiples of `steps`.

    waves: the cosine transform, float32 [8, 8], orthonormal; steps: float32 [8, 8]. Beyond an edge a block
    goes on as the edge is. All blocks of eight rows are worked on at once, for long loops are fast.
    """
    height, width = plane.shape
    columns = (width + 7) // 8 * 8
    one, other = np.empty((8, columns), _F), np.empty((8, columns), _F)
    back = np.ascontiguousarray(waves.T)
    tiles = np.empty((8, columns), _F)
    for start in range(0, columns, 8):
        tiles[:, start : start + 8] = steps.T
    for top in range(0, height, 8):
        for i in range(8):
            row, into = plane[min(top + i, height - 1)], one[i]
            for x in range(width):
                into[x] = row[x] - _F(128)
            into[width:] = row[width - 1] - _F(128)
        _combine(waves, one, other)  # down the columns
        _turn(other, one)
        _combine(waves, one, other)  # along the rows
        for j in range(8):
            row, step = other[j], tiles[j]
            for x in range(columns):
                row[x] = np.rint(row[x] / step[x]) * step[x]
        _combine(back, other, one)
        _turn(one, other)
        _combine(back, other, one)
        for i in range(min(8, height - top)):
            row, into = one[i], out[top + i]
            for x in range(width):
                into[x] = min(max(row[x] + _F(128), _F(0)), _F(255))
