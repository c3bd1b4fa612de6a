"""The gated root-mean-square norm in one pass each way, compiled for CPUs by Numba."""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import numba
import numpy as np

from ocrtrain.model.ssm.scan.numba import COMPILED, sigmoid

TASKS = 32  # parts into which the rows are cut, whatever the number of threads: sums stay the same

_F = np.float32


@numba.njit(**COMPILED)
def norm_forward(x, gate, weight, eps, y, scale, part, parts):
    """Fill y [R, F] and scale [R], one over the root mean square of x silu(gate), for x, gate [R, F].

    Row r has the weight [G, F] of group r modulo G.
    """
    rows, width = x.shape
    groups = weight.shape[0]
    for task in range(part, TASKS, parts):
        for r in range(task * rows // TASKS, (task + 1) * rows // TASKS):
            v, g, out, w = x[r], gate[r], y[r], weight[r % groups]
            total = _F(0.0)
            for j in range(width):
                gated = v[j] * g[j] * sigmoid(g[j])
                out[j] = gated
                total += gated * gated
            factor = _F(1.0) / np.sqrt(total / _F(width) + _F(eps))
            scale[r] = factor
            for j in range(width):
                out[j] *= factor * w[j]


@numba.njit(**COMPILED)
def norm_backward(x, gate, weight, scale, dy, dx, dgate, dweight, part, parts):
    """Fill dx, dgate [R, F] and dweight [TASKS, G, F], to be summed over tasks, for dy [R, F]."""
    rows, width = x.shape
    groups = weight.shape[0]
    for task in range(part, TASKS, parts):
        dweight[task] = _F(0.0)
        for r in range(task * rows // TASKS, (task + 1) * rows // TASKS):
            v, g, w, d = x[r], gate[r], weight[r % groups], dy[r]
            dv, dg, dw = dx[r], dgate[r], dweight[task, r % groups]
            factor = scale[r]
            along = _F(0.0)
            for j in range(width):
                opened = g[j] * sigmoid(g[j])
                gated = v[j] * opened
                along += d[j] * w[j] * gated
                dw[j] += d[j] * gated * factor
            along *= factor * factor * factor / _F(width)
            for j in range(width):
                sigma = sigmoid(g[j])
                opened = g[j] * sigma
                inner = d[j] * w[j] * factor - v[j] * opened * along
                dv[j] = inner * opened
                dg[j] = inner * v[j] * sigma * (_F(1.0) + g[j] * (_F(1.0) - sigma))
