"""Mamba-2's recurrence compiled for CPUs by Numba: one pass over time per line and block of heads.

With one decay per head there is no exponential per state, and a step is two multiply-adds for each number of
the state: fewer operations than the matrix products of the chunked form, and memory that does not grow with
chunks. The state of a block of heads stays in the cache. The forward pass keeps it at the start of every
`CHUNK` frames, and the backward pass recomputes the states of one chunk at a time.
"""

# The loops over states are unrolled by hand, for S a multiple of 4 (see `UNROLL`), so that a frame's channels
# are read once for several states; several heads share a loop, since one has too few channels to fill it.
# Arrays are float32 and C-contiguous. Names and layouts are those of `scan/numba.py`.
# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import numba
import numpy as np

from ocrtrain.model.ssm.scan.numba import COMPILED

CHANNELS = 256  # that one task carries at most, if a head has no more
CHUNK = 32  # frames between two stored states
UNROLL = 4  # states must come in multiples of this; more of them, with B = C = 0, change nothing

_F = np.float32


def heads_together(heads: int, groups: int, channels: int) -> int:
    """Heads of a block: as many as fill the channels of a task, and a divisor of those of a group."""
    own = heads // groups
    return max(n for n in range(1, own + 1) if own % n == 0 and (n == 1 or n * channels <= CHANNELS))


@numba.njit(**COMPILED)
def fill_inflow(x, dt, decay, n, t, first, block, inflow, fade):
    """Fill inflow [block * P], what the inputs of frame t of line n add, and fade, what its decay leaves."""
    channels = x.shape[3]
    for i in range(block):
        step, a, v = dt[n, t, first + i], decay[n, t, first + i], x[n, t, first + i]
        for j in range(channels):
            inflow[i * channels + j] = step * v[j]
            fade[i * channels + j] = a


@numba.njit(**COMPILED)
def ssd_forward(x, dt, decay, B, C, D, lengths, reverse, block, y, states, part, parts):
    """Fill y [N, T, H, P] and states [N, H / block, ceil(T / CHUNK), S, block * P] (before each chunk).

    x: [N, T, H, P]; dt, decay: [N, T, H]; B, C: [N, T, G, S]; D: [H]; lengths: int64 [N]; block: heads of a
    task, which divides H / G.
    """
    lines, _, heads, channels = x.shape
    groups, rows = B.shape[2], B.shape[3]
    blocks, width = heads // block, block * channels
    for task in range(part, lines * blocks, parts):
        n, place = task // blocks, task % blocks
        first = place * block
        group = first * groups // heads
        h = np.zeros((rows, width), np.float32)
        fade = np.empty(width, np.float32)
        inflow = np.empty(width, np.float32)
        out = np.empty(width, np.float32)
        length = lengths[n]
        for k in range(length):
            t = length - 1 - k if reverse else k
            if k % CHUNK == 0:
                states[n, place, k // CHUNK] = h
            fill_inflow(x, dt, decay, n, t, first, block, inflow, fade)
            for i in range(block):
                skip, v = D[first + i], x[n, t, first + i]
                for j in range(channels):
                    out[i * channels + j] = skip * v[j]
            b, c = B[n, t, group], C[n, t, group]
            for s in range(0, rows, 4):
                b0, b1, b2, b3 = b[s], b[s + 1], b[s + 2], b[s + 3]
                c0, c1, c2, c3 = c[s], c[s + 1], c[s + 2], c[s + 3]
                h0, h1, h2, h3 = h[s], h[s + 1], h[s + 2], h[s + 3]
                for j in range(width):
                    v0 = fade[j] * h0[j] + b0 * inflow[j]
                    v1 = fade[j] * h1[j] + b1 * inflow[j]
                    v2 = fade[j] * h2[j] + b2 * inflow[j]
                    v3 = fade[j] * h3[j] + b3 * inflow[j]
                    h0[j], h1[j], h2[j], h3[j] = v0, v1, v2, v3
                    out[j] += v0 * c0 + v1 * c1 + v2 * c2 + v3 * c3
            for i in range(block):
                target = y[n, t, first + i]
                for j in range(channels):
                    target[j] = out[i * channels + j]
        y[n, length:, first : first + block] = _F(0.0)


@numba.njit(**COMPILED)
def ssd_backward(
    x, dt, decay, B, C, D, lengths, reverse, block, states, dy, dx, ddt, ddecay, dB, dC, dD, part, parts
):
    """Fill the gradients for the output's gradient dy [N, T, H, P].

    dx: [N, T, H, P]; ddt, ddecay: [N, T, H]; dB, dC: [H / block, N, T, S], to be summed over the blocks of a
    group; dD: [N, H], to be summed over lines.
    """
    lines, _, heads, channels = x.shape
    groups, rows = B.shape[2], B.shape[3]
    blocks, width = heads // block, block * channels
    for task in range(part, lines * blocks, parts):
        n, place = task // blocks, task % blocks
        first = place * block
        last = first + block
        group = first * groups // heads
        before = np.empty((CHUNK + 1, rows, width), np.float32)
        dh = np.zeros((rows, width), np.float32)
        fade = np.empty(width, np.float32)
        inflow = np.empty(width, np.float32)
        grad = np.empty(width, np.float32)
        dinflow = np.empty(width, np.float32)
        dfade = np.empty(width, np.float32)
        length = lengths[n]
        dx[n, length:, first:last] = _F(0.0)
        ddt[n, length:, first:last] = _F(0.0)
        ddecay[n, length:, first:last] = _F(0.0)
        dB[place, n, length:] = _F(0.0)
        dC[place, n, length:] = _F(0.0)
        dD[n, first:last] = _F(0.0)
        for chunk in range((length + CHUNK - 1) // CHUNK - 1, -1, -1):
            start, stop = chunk * CHUNK, min((chunk + 1) * CHUNK, length)
            before[0] = states[n, place, chunk]
            for k in range(start, stop):
                t = length - 1 - k if reverse else k
                fill_inflow(x, dt, decay, n, t, first, block, inflow, fade)
                for s in range(0, rows, 2):
                    b0, b1 = B[n, t, group, s], B[n, t, group, s + 1]
                    now0, now1 = before[k - start, s], before[k - start, s + 1]
                    then0, then1 = before[k - start + 1, s], before[k - start + 1, s + 1]
                    for j in range(width):
                        then0[j] = fade[j] * now0[j] + b0 * inflow[j]
                        then1[j] = fade[j] * now1[j] + b1 * inflow[j]
            for k in range(stop - 1, start - 1, -1):
                t = length - 1 - k if reverse else k
                fill_inflow(x, dt, decay, n, t, first, block, inflow, fade)
                for i in range(block):
                    g = dy[n, t, first + i]
                    for j in range(channels):
                        grad[i * channels + j] = g[j]
                for j in range(width):
                    dinflow[j] = _F(0.0)
                    dfade[j] = _F(0.0)
                for s in range(0, rows, 2):
                    b0, b1 = B[n, t, group, s], B[n, t, group, s + 1]
                    c0, c1 = C[n, t, group, s], C[n, t, group, s + 1]
                    now0, now1 = before[k - start, s], before[k - start, s + 1]
                    then0, then1 = before[k - start + 1, s], before[k - start + 1, s + 1]
                    dh0, dh1 = dh[s], dh[s + 1]
                    db0, db1, dc0, dc1 = _F(0.0), _F(0.0), _F(0.0), _F(0.0)
                    for j in range(width):
                        d0, d1 = dh0[j] + grad[j] * c0, dh1[j] + grad[j] * c1
                        dc0 += grad[j] * then0[j]
                        dc1 += grad[j] * then1[j]
                        db0 += d0 * inflow[j]
                        db1 += d1 * inflow[j]
                        dinflow[j] += d0 * b0 + d1 * b1
                        dfade[j] += d0 * now0[j] + d1 * now1[j]
                        dh0[j], dh1[j] = d0 * fade[j], d1 * fade[j]
                    dB[place, n, t, s], dB[place, n, t, s + 1] = db0, db1
                    dC[place, n, t, s], dC[place, n, t, s + 1] = dc0, dc1
                for i in range(block):
                    step, skip, v = dt[n, t, first + i], D[first + i], x[n, t, first + i]
                    out = dx[n, t, first + i]
                    along, faded, through = _F(0.0), _F(0.0), _F(0.0)
                    for j in range(channels):
                        d, g = dinflow[i * channels + j], grad[i * channels + j]
                        out[j] = step * d + skip * g
                        along += d * v[j]
                        faded += dfade[i * channels + j]
                        through += g * v[j]
                    ddt[n, t, first + i], ddecay[n, t, first + i] = along, faded
                    dD[n, first + i] += through
