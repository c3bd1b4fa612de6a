"""The selective scan compiled for CPUs by Numba: one pass over time per line and block of channels.

The state of a block of channels stays in the first-level cache; nothing of size [N, T, D, S] is ever stored.
The forward pass keeps the state at the start of every `CHUNK` frames, and the backward pass recomputes the
states of one chunk at a time, so both are linear in T and the memory for states is S / CHUNK of an input's.
"""

# Numba compiles these functions from their source: their arrays are float32 and C-contiguous, their
# names are the paper's, and annotations would only repeat that.
# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import numba
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.core.extending import intrinsic

BLOCK = 128  # channels that one task carries: 8 KiB of state for S = 16
CHUNK = 32  # frames between two stored states

_F = np.float32


@intrinsic
def _float_of_bits(typing_context, bits):
    """Read the bits of an int32 as a float32 (a register move, which vectorizes)."""

    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), generate


@numba.njit(inline="always")
def _exp(x):
    """e^x to 2 ulp for x in [-87, 88] and clamped outside: a polynomial, because libm calls do not vectorize.

    x = n ln 2 + r with |r| <= ln 2 / 2; e^r by a degree-6 polynomial (Taylor's, economized), 2^n by its exponent bits.
    """
    x = min(max(x, _F(-87.0)), _F(88.0))
    n = np.int32(x * _F(1.4426950408889634) + _F(0.5) - (_F(1.0) if x < _F(0.0) else _F(0.0)))
    f = _F(n)
    r = x - f * _F(0.693359375) + f * _F(2.12194440e-4)
    p = _F(1.9875691500e-4)
    p = p * r + _F(1.3981999507e-3)
    p = p * r + _F(8.3334519073e-3)
    p = p * r + _F(4.1665795894e-2)
    p = p * r + _F(1.6666665459e-1)
    p = p * r + _F(5.0000001201e-1)
    p = p * r * r + r + _F(1.0)
    return p * _float_of_bits(np.int32((n + np.int32(127)) << np.int32(23)))


@numba.njit(inline="always")
def _advance(h, decay, du, b, c, y, width):
    """One state row forward: h = decay h + b du, y += c h."""
    for j in range(width):
        h[j] = decay[j] * h[j] + du[j] * b
        y[j] += h[j] * c


@numba.njit(parallel=True, fastmath=True, cache=True, nogil=True)
def scan_forward(u, delta, A, B, C, D, z, lengths, reverse, y, states):
    """Fill y [N, T, D] and states [N, ceil(T / CHUNK), S, D] (the state before each chunk's first frame).

    u, delta, z: [N, T, D] (z may have T = 0: no gate); A: [S, D]; B, C: [N, T, S]; D: [D]; lengths: int64 [N].
    """
    lines, _, channels = u.shape
    rows = A.shape[0]
    blocks = (channels + BLOCK - 1) // BLOCK
    gated = z.shape[1] > 0
    for task in numba.prange(lines * blocks):
        n = task // blocks
        first = (task % blocks) * BLOCK
        width = min(BLOCK, channels - first)
        h = np.zeros((rows, BLOCK), np.float32)
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
            for s in range(rows):
                b = B[n, t, s]
                c = C[n, t, s]
                hs = h[s]
                a = A[s, first : first + width]
                for j in range(width):
                    v = _exp(dt[j] * a[j]) * hs[j] + du[j] * b
                    hs[j] = v
                    out[j] += v * c
            target = y[n, t, first : first + width]
            if gated:
                g = z[n, t, first : first + width]
                for j in range(width):
                    target[j] = out[j] * g[j] / (_F(1.0) + _exp(-g[j]))
            else:
                for j in range(width):
                    target[j] = out[j]
        y[n, length:, first : first + width] = _F(0.0)


@numba.njit(parallel=True, fastmath=True, cache=True, nogil=True)
def scan_backward(u, delta, A, B, C, D, z, lengths, reverse, states, dy, du, ddelta, dA, dB, dC, dD, dz):
    """Fill the gradients for the output's gradient dy [N, T, D].

    du, ddelta, dz: [N, T, D]; dA: [N, S, D] and dD: [N, D], to be summed over lines;
    dB, dC: [blocks, N, T, S], to be summed over blocks.
    """
    lines, _, channels = u.shape
    rows = A.shape[0]
    blocks = (channels + BLOCK - 1) // BLOCK
    gated = z.shape[1] > 0
    for task in numba.prange(lines * blocks):
        n = task // blocks
        block = task % blocks
        first = block * BLOCK
        width = min(BLOCK, channels - first)
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
                for s in range(rows):
                    b = B[n, t, s]
                    a = A[s, first : first + width]
                    now = before[k - start, s]
                    then = before[k - start + 1, s]
                    decay = decays[k - start, s]
                    for j in range(width):
                        e = _exp(dt[j] * a[j])
                        decay[j] = e
                        then[j] = e * now[j] + dtu[j] * b
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
                        sigma = _F(1.0) / (_F(1.0) + _exp(-gate[j]))
                        dgate[j] = g[j] * out[j] * sigma * (_F(1.0) + gate[j] * (_F(1.0) - sigma))
                        grad[j] = g[j] * gate[j] * sigma
                else:
                    for j in range(width):
                        grad[j] = g[j]
                for j in range(width):
                    dtu[j] = dt[j] * x[j]
                    ddtu[j] = _F(0.0)
                    ddt[j] = _F(0.0)
                for s in range(rows):
                    b = B[n, t, s]
                    c = C[n, t, s]
                    a = A[s, first : first + width]
                    now = before[k - start, s]
                    then = before[k - start + 1, s]
                    decay = decays[k - start, s]
                    dhs = dh[s]
                    dAs = dA[n, s, first : first + width]
                    sum_b = _F(0.0)
                    sum_c = _F(0.0)
                    for j in range(width):
                        d = dhs[j] + grad[j] * c
                        sum_c += grad[j] * then[j]
                        sum_b += d * dtu[j]
                        ddtu[j] += d * b
                        d *= decay[j]
                        dhs[j] = d
                        d *= now[j]
                        ddt[j] += d * a[j]
                        dAs[j] += d * dt[j]
                    dB[block, n, t, s] = sum_b
                    dC[block, n, t, s] = sum_c
                dx = du[n, t, first : first + width]
                ddt_out = ddelta[n, t, first : first + width]
                dDn = dD[n, first : first + width]
                for j in range(width):
                    dx[j] = ddtu[j] * dt[j] + grad[j] * D[first + j]
                    ddt_out[j] = ddt[j] + ddtu[j] * x[j]
                    dDn[j] += grad[j] * x[j]
