"""Mamba's depthwise convolution and SiLU in one pass over time, compiled for CPUs by Numba."""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import numba
import numpy as np

from ocrtrain.model.ssm.scan.numba import BLOCK, COMPILED, sigmoid

_F = np.float32


@numba.njit(**COMPILED)
def convolve_forward(x, weight, bias, lengths, reverse, y, part, parts):
    """Fill y [N, T, D] with silu(convolution of x [N, T, D] with weight [taps, D] + bias [D]).

    The last tap weighs the present frame, the ones before it the frames already passed; nothing beyond
    lengths [N] is read, and y is zero there.
    """
    lines, _, channels = x.shape
    taps = weight.shape[0]
    blocks = (channels + BLOCK - 1) // BLOCK
    for task in range(part, lines * blocks, parts):
        n = task // blocks
        first = (task % blocks) * BLOCK
        width = min(BLOCK, channels - first)
        total = np.empty(BLOCK, np.float32)
        length = lengths[n]
        for k in range(length):
            _weigh(x, weight, bias, n, k, length, reverse, first, width, taps, total)
            out = y[n, length - 1 - k if reverse else k, first : first + width]
            for j in range(width):
                out[j] = total[j] * sigmoid(total[j])
        y[n, length:, first : first + width] = _F(0.0)


@numba.njit(**COMPILED)
def convolve_backward(x, weight, bias, lengths, reverse, dy, dx, dweight, dbias, part, parts):
    """Fill dx [N, T, D], dweight [N, taps, D] and dbias [N, D] for dy [N, T, D].

    The last two are to be summed over lines.
    """
    lines, _, channels = x.shape
    taps = weight.shape[0]
    blocks = (channels + BLOCK - 1) // BLOCK
    for task in range(part, lines * blocks, parts):
        n = task // blocks
        first = (task % blocks) * BLOCK
        width = min(BLOCK, channels - first)
        total = np.empty(BLOCK, np.float32)
        length = lengths[n]
        dx[n, :, first : first + width] = _F(0.0)
        dweight[n, :, first : first + width] = _F(0.0)
        dbias[n, first : first + width] = _F(0.0)
        db = dbias[n, first : first + width]
        for k in range(length):
            _weigh(x, weight, bias, n, k, length, reverse, first, width, taps, total)
            g = dy[n, length - 1 - k if reverse else k, first : first + width]
            for j in range(width):
                sigma = sigmoid(total[j])
                total[j] = g[j] * sigma * (_F(1.0) + total[j] * (_F(1.0) - sigma))
                db[j] += total[j]
            for tap in range(max(0, taps - 1 - k), taps):
                past = k - (taps - 1 - tap)
                t = length - 1 - past if reverse else past
                w = weight[tap, first : first + width]
                v = x[n, t, first : first + width]
                dv = dx[n, t, first : first + width]
                dw = dweight[n, tap, first : first + width]
                for j in range(width):
                    dv[j] += total[j] * w[j]
                    dw[j] += total[j] * v[j]


@numba.njit(inline="always")
def _weigh(x, weight, bias, n, k, length, reverse, first, width, taps, total):
    for j in range(width):
        total[j] = bias[first + j]
    for tap in range(max(0, taps - 1 - k), taps):
        past = k - (taps - 1 - tap)
        v = x[n, length - 1 - past if reverse else past, first : first + width]
        w = weight[tap, first : first + width]
        for j in range(width):
            total[j] += w[j] * v[j]
