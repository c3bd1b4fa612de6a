"""The selective scan compiled for CPUs by Numba: one pass over time per line and block of channels.

The state of a block of channels stays in the first-level cache; nothing of size [N, T, D, S] is ever stored.
The forward pass keeps the state at the start of every `CHUNK` frames, and the backward pass recomputes the
states of one chunk at a time, so both are linear in T and the memory for states is S / CHUNK of an input's.
"""

# The loops over states are unrolled by hand, for S a multiple of 4 (see `UNROLL`), so that a block's step
# sizes are read once for several states. Numba compiles these functions from their source: their arrays are
# float32 and C-contiguous, their names are the paper's, and annotations would only repeat that.
# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import numba
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.core.extending import intrinsic

BLOCK = 128  # channels that one task carries: 8 KiB of state for S = 16
CHUNK = 32  # frames between two stored states
UNROLL = 4  # states must come in multiples of this; more of them, with B = C = 0, change nothing

# How the loops are compiled. Not by parallel=True: what then runs in the process that compiles it rounds
# otherwise than what later ones read from Numba's cache, and a run that is interrupted and goes on would end
# with other weights. With "numpy", divisions are not checked for zero, which would keep loops from becoming
# vectors.
COMPILED = {"fastmath": True, "error_model": "numpy", "cache": True, "nogil": True}

LOG2_E = 1.4426950408889634
LN_2 = 0.6931471805599453

_F = np.float32


def tasks_of(lines, channels):
    """Count the tasks: a block of channels of a line each."""
    return lines * ((channels + BLOCK - 1) // BLOCK)


@intrinsic
def _float_of_bits(typing_context, bits):
    """Read the bits of an int32 as a float32 (a register move, which vectorizes)."""

    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), generate


@numba.njit(inline="always")
def _exp2_negative(y):
    """2^y for y <= 0, with a relative error of 2e-7 and never below 2^-126.

    y = n + f with |f| <= 1/2; 2^f by a polynomial (Chebyshev's, of degree 5), 2^n by its exponent bits: a
    call of a library would not vectorize.
    """
    y = max(y, _F(-126.0))
    n = np.int32(y - _F(0.5))
    f = y - _F(n)
    p = _F(1.340043217e-03)
    p = p * f + _F(9.676037098e-03)
    p = p * f + _F(5.550327214e-02)
    p = p * f + _F(2.402210736e-01)
    p = p * f + _F(6.931472067e-01)
    p = p * f + _F(1.000000075e00)
    return p * _float_of_bits(np.int32((n + np.int32(127)) << np.int32(23)))


@numba.njit(inline="always")
def sigmoid(x):
    """1 / (1 + e^-x), from the side on which the exponential is small."""
    e = _exp2_negative(_F(-LOG2_E) * abs(x))
    return (_F(1.0) if x >= _F(0.0) else e) / (_F(1.0) + e)


@numba.njit(**COMPILED)
def scan_forward(u, delta, A, B, C, D, z, lengths, reverse, y, states, part, parts):
    """Fill y [N, T, D] and states [N, ceil(T / CHUNK), S, D] (the state before each chunk's first frame).

    u, delta, z: [N, T, D] (z may have T = 0: no gate); A: [S, D]; B, C: [N, T, S]; D: [D];
    lengths: int64 [N]. Of the tasks, it does every `parts`-th from `part`.
    """
    lines, _, channels = u.shape
    rows = A.shape[0]
    blocks = (channels + BLOCK - 1) // BLOCK
    gated = z.shape[1] > 0
    for task in range(part, lines * blocks, parts):
        n = task // blocks
        first = (task % blocks) * BLOCK
        width = min(BLOCK, channels - first)
        h = np.zeros((rows, BLOCK), np.float32)
        a = A[:, first : first + width] * _F(LOG2_E)  # powers of two are cheaper than of e
        du = np.empty(BLOCK, np.float32)
        out = np.empty(BLOCK, np.float32)
        length = lengths[n]
        for k in range(length):
            t = length - 1 - k if reverse else k
            if k % CHUNK == 0:
                for s in range(rows):
                    for j in range(width):
                        states[n, k // CHUNK, s, first + j] = h[s, j]
            dt = delta[n, t, first : first + width]
            x = u[n, t, first : first + width]
            for j in range(width):
                du[j] = dt[j] * x[j]
                out[j] = D[first + j] * x[j]
            for s in range(0, rows, 4):
                b0, b1, b2, b3 = B[n, t, s], B[n, t, s + 1], B[n, t, s + 2], B[n, t, s + 3]
                c0, c1, c2, c3 = C[n, t, s], C[n, t, s + 1], C[n, t, s + 2], C[n, t, s + 3]
                h0, h1, h2, h3 = h[s], h[s + 1], h[s + 2], h[s + 3]
                a0, a1, a2, a3 = a[s], a[s + 1], a[s + 2], a[s + 3]
                for j in range(width):
                    step, inflow = dt[j], du[j]
                    v0 = _exp2_negative(step * a0[j]) * h0[j] + inflow * b0
                    v1 = _exp2_negative(step * a1[j]) * h1[j] + inflow * b1
                    v2 = _exp2_negative(step * a2[j]) * h2[j] + inflow * b2
                    v3 = _exp2_negative(step * a3[j]) * h3[j] + inflow * b3
                    h0[j], h1[j], h2[j], h3[j] = v0, v1, v2, v3
                    out[j] += v0 * c0 + v1 * c1 + v2 * c2 + v3 * c3
            target = y[n, t, first : first + width]
            if gated:
                g = z[n, t, first : first + width]
                for j in range(width):
                    target[j] = out[j] * g[j] * sigmoid(g[j])
            else:
                for j in range(width):
                    target[j] = out[j]
        y[n, length:, first : first + width] = _F(0.0)


@numba.njit(**COMPILED)
def scan_backward(
    u, delta, A, B, C, D, z, lengths, reverse, states, dy, du, ddelta, dA, dB, dC, dD, dz, part, parts
):
    """Fill the gradients for the output's gradient dy [N, T, D].

    du, ddelta, dz: [N, T, D]; dA: [N, S, D] and dD: [N, D], to be summed over lines;
    dB, dC: [blocks, N, T, S], to be summed over blocks.
    """
    lines, _, channels = u.shape
    rows = A.shape[0]
    blocks = (channels + BLOCK - 1) // BLOCK
    gated = z.shape[1] > 0
    for task in range(part, lines * blocks, parts):
        n = task // blocks
        block = task % blocks
        first = block * BLOCK
        width = min(BLOCK, channels - first)
        a = A[:, first : first + width] * _F(LOG2_E)
        before = np.empty((CHUNK + 1, rows, BLOCK), np.float32)
        decays = np.empty((CHUNK, rows, BLOCK), np.float32)
        dh = np.zeros((rows, BLOCK), np.float32)
        dtu = np.empty(BLOCK, np.float32)
        out = np.empty(BLOCK, np.float32)
        grad = np.empty(BLOCK, np.float32)
        ddtu = np.empty(BLOCK, np.float32)
        ddt = np.empty(BLOCK, np.float32)
        length = lengths[n]
        du[n, length:, first : first + width] = _F(0.0)
        ddelta[n, length:, first : first + width] = _F(0.0)
        dz[n, length:, first : first + width] = _F(0.0)
        dB[block, n, length:] = _F(0.0)
        dC[block, n, length:] = _F(0.0)
        dA[n, :, first : first + width] = _F(0.0)
        dD[n, first : first + width] = _F(0.0)
        chunks = (length + CHUNK - 1) // CHUNK
        for chunk in range(chunks - 1, -1, -1):
            start = chunk * CHUNK
            stop = min(start + CHUNK, length)
            for s in range(rows):
                for j in range(width):
                    before[0, s, j] = states[n, chunk, s, first + j]
            for k in range(start, stop):
                t = length - 1 - k if reverse else k
                dt = delta[n, t, first : first + width]
                x = u[n, t, first : first + width]
                for j in range(width):
                    dtu[j] = dt[j] * x[j]
                for s in range(0, rows, 2):
                    b0, b1 = B[n, t, s], B[n, t, s + 1]
                    a0, a1 = a[s], a[s + 1]
                    now0, now1 = before[k - start, s], before[k - start, s + 1]
                    then0, then1 = before[k - start + 1, s], before[k - start + 1, s + 1]
                    decay0, decay1 = decays[k - start, s], decays[k - start, s + 1]
                    for j in range(width):
                        e0, e1 = _exp2_negative(dt[j] * a0[j]), _exp2_negative(dt[j] * a1[j])
                        decay0[j], decay1[j] = e0, e1
                        then0[j] = e0 * now0[j] + dtu[j] * b0
                        then1[j] = e1 * now1[j] + dtu[j] * b1
            for k in range(stop - 1, start - 1, -1):
                t = length - 1 - k if reverse else k
                dt = delta[n, t, first : first + width]
                x = u[n, t, first : first + width]
                g = dy[n, t, first : first + width]
                if gated:
                    gate = z[n, t, first : first + width]
                    for j in range(width):
                        out[j] = D[first + j] * x[j]
                    for s in range(rows):
                        c = C[n, t, s]
                        then = before[k - start + 1, s]
                        for j in range(width):
                            out[j] += then[j] * c
                    dgate = dz[n, t, first : first + width]
                    for j in range(width):
                        sigma = sigmoid(gate[j])
                        dgate[j] = g[j] * out[j] * sigma * (_F(1.0) + gate[j] * (_F(1.0) - sigma))
                        grad[j] = g[j] * gate[j] * sigma
                else:
                    for j in range(width):
                        grad[j] = g[j]
                for j in range(width):
                    dtu[j] = dt[j] * x[j]
                    ddtu[j] = _F(0.0)
                    ddt[j] = _F(0.0)
                for s in range(0, rows, 2):
                    b0, b1 = B[n, t, s], B[n, t, s + 1]
                    c0, c1 = C[n, t, s], C[n, t, s + 1]
                    a0, a1 = a[s], a[s + 1]
                    now0, now1 = before[k - start, s], before[k - start, s + 1]
                    then0, then1 = before[k - start + 1, s], before[k - start + 1, s + 1]
                    decay0, decay1 = decays[k - start, s], decays[k - start, s + 1]
                    dh0, dh1 = dh[s], dh[s + 1]
                    dA0, dA1 = dA[n, s, first : first + width], dA[n, s + 1, first : first + width]
                    db0, db1, dc0, dc1 = _F(0.0), _F(0.0), _F(0.0), _F(0.0)
                    for j in range(width):
                        g, inflow, step = grad[j], dtu[j], dt[j]
                        d0, d1 = dh0[j] + g * c0, dh1[j] + g * c1
                        dc0 += g * then0[j]
                        dc1 += g * then1[j]
                        db0 += d0 * inflow
                        db1 += d1 * inflow
                        ddtu[j] += d0 * b0 + d1 * b1
                        d0 *= decay0[j]
                        d1 *= decay1[j]
                        dh0[j], dh1[j] = d0, d1
                        d0 *= now0[j]
                        d1 *= now1[j]
                        ddt[j] += d0 * a0[j] + d1 * a1[j]
                        dA0[j] += d0 * step
                        dA1[j] += d1 * step
                    dB[block, n, t, s], dB[block, n, t, s + 1] = db0, db1
                    dC[block, n, t, s], dC[block, n, t, s + 1] = dc0, dc1
                dx = du[n, t, first : first + width]
                ddt_out = ddelta[n, t, first : first + width]
                dDn = dD[n, first : first + width]
                for j in range(width):
                    dx[j] = ddtu[j] * dt[j] + grad[j] * D[first + j]
                    ddt_out[j] = ddt[j] * _F(LN_2) + ddtu[j] * x[j]
                    dDn[j] += grad[j] * x[j]
