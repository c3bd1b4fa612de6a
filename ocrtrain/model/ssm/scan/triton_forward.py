"""The selective scan on GPUs: the forward kernel, and what the backward one shares with it.

One warp carries the states of some channels of one line through time in its registers, so that lines of
different lengths and both directions of time cost only other addresses, and nothing of size [N, T, D, S] is
ever stored. Time is walked in groups of frames whose loads come before all their stores, so that they can be
under way together. The state before every chunk of frames is kept for the backward pass.
"""

# Triton compiles these functions from their source: annotations other than tl.constexpr would only repeat it,
# and tuples grow by addition there.
# mypy: disable-error-code="no-untyped-def, assignment, var-annotated"
# ruff: noqa: RUF005
from __future__ import annotations

import triton
import triton.language as tl

LOG2_E = tl.constexpr(1.4426950408889634)
LN_2 = tl.constexpr(0.6931471805599453)


@triton.jit
def sigmoid(x):
    e = tl.exp(-tl.abs(x))
    return tl.where(x >= 0, 1.0, e) / (1.0 + e)


@triton.jit
def softplus(x):
    # log(1 + e) = 2 atanh(e / (2 + e)), as a series: exact to float32 also where e is far below 1, as step
    # sizes are, and 1 + e would round it off.
    e = tl.exp(-tl.abs(x))
    r = e / (2.0 + e)
    q = r * r
    p = q * (1.0 / 15.0) + 1.0 / 13.0
    p = p * q + 1.0 / 11.0
    p = p * q + 1.0 / 9.0
    p = p * q + 1.0 / 7.0
    p = p * q + 1.0 / 5.0
    p = p * q + 1.0 / 3.0
    p = p * q + 1.0
    return tl.maximum(x, 0.0) + 2.0 * r * p


@triton.jit
def line_length(lengths, n, frames):
    # Less than nothing is nothing, as for `frame_mask`: zeros would else be written before the line.
    return frames if lengths is None else tl.maximum(tl.minimum(tl.load(lengths + n), frames), 0).to(tl.int32)


@triton.jit
def fill_zeros(out, length, frames, channels, d):
    """Set a line's frames from `length` on to zero; `out` points at the line's first frame."""
    out += length.to(tl.int64) * channels
    for _ in range(length, frames):
        tl.store(out + d, tl.zeros([d.shape[0]], out.dtype.element_ty), mask=d < channels)
        out += channels


# A number that is 1 becomes a constant of the compiled kernel. A length must stay a number.
@triton.jit(do_not_specialize=["A_d", "A_s", "states_d", "frames"])
def scan_forward(
    u,
    delta,
    A,
    B,
    C,
    D,
    z,
    delta_bias,
    lengths,
    states,
    y,
    u_n,
    u_t,
    delta_n,
    delta_t,
    B_n,
    B_t,
    C_n,
    C_t,
    z_n,
    z_t,
    A_d,
    A_s,
    states_d,
    frames,
    channels,
    STATES: tl.constexpr,
    SOFTPLUS: tl.constexpr,
    REVERSE: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_S: tl.constexpr,
    GROUP: tl.constexpr,
    CHUNK: tl.constexpr,
):
    """Fill y [N, T, D] and, if given, states [N, ceil(T / CHUNK), S, D], the state before each chunk."""
    blocks = tl.cdiv(channels, BLOCK_D)
    n = (tl.program_id(0) // blocks).to(tl.int64)
    d = (tl.program_id(0) % blocks) * BLOCK_D + tl.arange(0, BLOCK_D)
    s = tl.arange(0, BLOCK_S)
    in_d = d < channels
    in_state = (s < STATES)[:, None] & in_d[None, :]
    length = line_length(lengths, n, frames)
    origin = (length - 1 if REVERSE else length * 0).to(tl.int64)

    # A thread holds all states of its channels and sums over them alone. The compiler would rather lay them
    # out for wide loads of A and the states; it does not where it cannot know that their strides allow these.
    a = tl.load(A + d[None, :] * A_d + s[:, None] * A_s, mask=in_state, other=0.0) * LOG2_E
    skip = 0.0 if D is None else tl.load(D + d, mask=in_d, other=0.0)
    bias = 0.0 if delta_bias is None else tl.load(delta_bias + d, mask=in_d, other=0.0)
    h = tl.zeros([BLOCK_S, BLOCK_D], tl.float32)
    u += n * u_n
    delta += n * delta_n
    B += n * B_n
    C += n * C_n
    y += n * frames * channels
    if z is not None:
        z += n * z_n
    if states is not None:
        states += n * tl.cdiv(frames, CHUNK) * STATES * channels

    for start in range(0, length, CHUNK):
        if states is not None:
            tl.store(states + s[:, None] * channels + d[None, :] * states_d, h, mask=in_state)
            states += STATES * channels
        for first in range(start, tl.minimum(start + CHUNK, length), GROUP):
            xs = ()
            raws = ()
            bs = ()
            cs = ()
            gates = ()
            for i in tl.static_range(GROUP):
                k = first + i
                t = origin - k if REVERSE else origin + k
                here = d < tl.where(k < length, channels, 0)
                here_s = s < tl.where(k < length, STATES, 0)
                xs = xs + (tl.load(u + t * u_t + d, mask=here, other=0.0),)
                raws = raws + (tl.load(delta + t * delta_t + d, mask=here, other=0.0),)
                bs = bs + (tl.load(B + t * B_t + s, mask=here_s, other=0.0),)
                cs = cs + (tl.load(C + t * C_t + s, mask=here_s, other=0.0),)
                if z is not None:
                    gates = gates + (tl.load(z + t * z_t + d, mask=here, other=0.0),)
            outs = ()
            for i in tl.static_range(GROUP):
                x = xs[i].to(tl.float32)
                raw = raws[i].to(tl.float32) + bias
                dt = softplus(raw) if SOFTPLUS else raw
                h = tl.exp2(dt[None, :] * a) * h + bs[i].to(tl.float32)[:, None] * (dt * x)[None, :]
                out = tl.sum(h * cs[i].to(tl.float32)[:, None], axis=0) + skip * x
                if z is not None:
                    gate = gates[i].to(tl.float32)
                    out = out * gate * sigmoid(gate)
                outs = outs + (out,)
            for i in tl.static_range(GROUP):
                k = first + i
                t = origin - k if REVERSE else origin + k
                here = d < tl.where(k < length, channels, 0)
                tl.store(y + t * channels + d, outs[i].to(y.dtype.element_ty), mask=here)
    fill_zeros(y, length, frames, channels, d)
