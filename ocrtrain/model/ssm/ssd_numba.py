"""Mamba-2's recurrence compiled for CPUs by Numba: one pass over time per line and head.

With one decay per head there is no exponential per state, and a step is two multiply-adds for each number of
the state: fewer operations than the matrix products of the chunked form, and memory that does not grow with
chunks. A head's state [S, P] stays in the cache. The forward pass keeps it at the start of every `CHUNK`
frames, and the backward pass recomputes the states of one chunk at a time.
"""

# The loops over states are unrolled by hand, for S a multiple of 4 (see `UNROLL`), so that a frame's channels
# are read once for several states. Arrays are float32 and C-contiguous.
# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import numba
import numpy as np

CHUNK = 32  # frames between two stored states
UNROLL = 4  # states must come in multiples of this; more of them, with B = C = 0, change nothing

_F = np.float32


@numba.njit(parallel=True, fastmath=True, cache=True, nogil=True)
def ssd_forward(x, dt, decay, B, C, D, lengths, reverse, y, states):
    """Fill y [N, T, H, P] and states [N, H, ceil(T / CHUNK), S, P] (before each chunk's first frame).

    x: [N, T, H, P]; dt, decay: [N, T, H]; B, C: [N, T, G, S]; D: [H]; lengths: int64 [N].
    """
    lines, _, heads, width = x.shape
    groups, rows = B.shape[2], B.shape[3]
    for task in numba.prange(lines * heads):
        n, i = task // heads, task % heads
        group = i * groups // heads
        h = np.zeros((rows, width), np.float32)
        inflow = np.empty(width, np.float32)
        length = lengths[n]
        for k in range(length):
            t = length - 1 - k if reverse else k
            if k % CHUNK == 0:
                states[n, i, k // CHUNK] = h
            step, a = dt[n, t, i], decay[n, t, i]
            v, out = x[n, t, i], y[n, t, i]
            for j in range(width):
                inflow[j] = step * v[j]
                out[j] = D[i] * v[j]
            for s in range(0, rows, 4):
                b0, b1, b2, b3 = (
                    B[n, t, group, s],
                    B[n, t, group, s + 1],
                    B[n, t, group, s + 2],
                    B[n, t, group, s + 3],
                )
                c0, c1, c2, c3 = (
                    C[n, t, group, s],
                    C[n, t, group, s + 1],
                    C[n, t, group, s + 2],
                    C[n, t, group, s + 3],
                )
                h0, h1, h2, h3 = h[s], h[s + 1], h[s + 2], h[s + 3]
                for j in range(width):
                    v0 = a * h0[j] + b0 * inflow[j]
                    v1 = a * h1[j] + b1 * inflow[j]
                    v2 = a * h2[j] + b2 * inflow[j]
                    v3 = a * h3[j] + b3 * inflow[j]
                    h0[j], h1[j], h2[j], h3[j] = v0, v1, v2, v3
                    out[j] += v0 * c0 + v1 * c1 + v2 * c2 + v3 * c3
        y[n, length:, i] = _F(0.0)


@numba.njit(parallel=True, fastmath=True, cache=True, nogil=True)
def ssd_backward(x, dt, decay, B, C, D, lengths, reverse, states, dy, dx, ddt, ddecay, dB, dC, dD):
    """Fill the gradients for the output's gradient dy [N, T, H, P].

    dx: [N, T, H, P]; ddt, ddecay: [N, T, H]; dB, dC: [H, N, T, S], to be summed over the heads of a group;
    dD: [N, H], to be summed over lines.
    """
    lines, _, heads, width = x.shape
    groups, rows = B.shape[2], B.shape[3]
    for task in numba.prange(lines * heads):
        n, i = task // heads, task % heads
        group = i * groups // heads
        before = np.empty((CHUNK + 1, rows, width), np.float32)
        dh = np.zeros((rows, width), np.float32)
        inflow = np.empty(width, np.float32)
        dinflow = np.empty(width, np.float32)
        length = lengths[n]
        dx[n, length:, i] = _F(0.0)
        ddt[n, length:, i] = _F(0.0)
        ddecay[n, length:, i] = _F(0.0)
        dB[i, n, length:] = _F(0.0)
        dC[i, n, length:] = _F(0.0)
        skipped = _F(0.0)
        for chunk in range((length + CHUNK - 1) // CHUNK - 1, -1, -1):
            start, stop = chunk * CHUNK, min((chunk + 1) * CHUNK, length)
            before[0] = states[n, i, chunk]
            for k in range(start, stop):
                t = length - 1 - k if reverse else k
                step, a, v = dt[n, t, i], decay[n, t, i], x[n, t, i]
                for j in range(width):
                    inflow[j] = step * v[j]
                for s in range(rows):
                    b = B[n, t, group, s]
                    now, then = before[k - start, s], before[k - start + 1, s]
                    for j in range(width):
                        then[j] = a * now[j] + b * inflow[j]
            for k in range(stop - 1, start - 1, -1):
                t = length - 1 - k if reverse else k
                step, a, v, g = dt[n, t, i], decay[n, t, i], x[n, t, i], dy[n, t, i]
                for j in range(width):
                    inflow[j] = step * v[j]
                    dinflow[j] = _F(0.0)
                faded = _F(0.0)
                for s in range(0, rows, 2):
                    b0, b1 = B[n, t, group, s], B[n, t, group, s + 1]
                    c0, c1 = C[n, t, group, s], C[n, t, group, s + 1]
                    now0, now1 = before[k - start, s], before[k - start, s + 1]
                    then0, then1 = before[k - start + 1, s], before[k - start + 1, s + 1]
                    dh0, dh1 = dh[s], dh[s + 1]
                    db0, db1, dc0, dc1 = _F(0.0), _F(0.0), _F(0.0), _F(0.0)
                    for j in range(width):
                        d0, d1 = dh0[j] + g[j] * c0, dh1[j] + g[j] * c1
                        dc0 += g[j] * then0[j]
                        dc1 += g[j] * then1[j]
                        db0 += d0 * inflow[j]
                        db1 += d1 * inflow[j]
                        dinflow[j] += d0 * b0 + d1 * b1
                        faded += d0 * now0[j] + d1 * now1[j]
                        dh0[j], dh1[j] = d0 * a, d1 * a
                    dB[i, n, t, s], dB[i, n, t, s + 1] = db0, db1
                    dC[i, n, t, s], dC[i, n, t, s + 1] = dc0, dc1
                ddecay[n, t, i] = faded
                out = dx[n, t, i]
                along, through = _F(0.0), _F(0.0)
                for j in range(width):
                    out[j] = step * dinflow[j] + D[i] * g[j]
                    along += dinflow[j] * v[j]
                    through += g[j] * v[j]
                ddt[n, t, i] = along
                skipped += through
        dD[n, i] = skipped
