"""Mamba's depthwise convolution and SiLU in one pass on GPUs, written in Triton.

Frames do not wait for each other here: a program takes a tile of frames and channels and reads the frames
around it again from the cache. Lengths and the direction of time only change which frames those are.
"""

# Annotations would only repeat the kernels, whose tuples grow by addition; see scan/triton_forward.py.
# mypy: disable-error-code="no-untyped-def, assignment"
# ruff: noqa: RUF005
from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from ocrtrain.model.ssm.scan.triton import in_rows, on_device_of
from ocrtrain.model.ssm.scan.triton_forward import line_length, sigmoid

FRAMES, CHANNELS, WARPS = 16, 64, 4  # of a tile


@triton.jit
def _read(x, stride, t, d, length, channels):
    """Read frames t of a line as float32, zeros outside of the line."""
    mask = ((t >= 0) & (t < length))[:, None] & (d < channels)[None, :]
    return tl.load(x + t.to(tl.int64)[:, None] * stride + d[None, :], mask=mask, other=0.0).to(tl.float32)


@triton.jit(do_not_specialize=["frames"])
def convolve_forward(
    x,
    weight,
    bias,
    lengths,
    y,
    x_n,
    x_t,
    weight_d,
    weight_tap,
    frames,
    channels,
    TAPS: tl.constexpr,
    REVERSE: tl.constexpr,
    BLOCK_T: tl.constexpr,
    BLOCK_D: tl.constexpr,
):
    """Fill y [N, T, D] with silu(convolution of x [N, T, D] with weight [D, TAPS] + bias [D])."""
    tiles = tl.cdiv(frames, BLOCK_T)
    n = (tl.program_id(0) // tiles).to(tl.int64)
    t = (tl.program_id(0) % tiles) * BLOCK_T + tl.arange(0, BLOCK_T)
    d = tl.program_id(1) * BLOCK_D + tl.arange(0, BLOCK_D)
    in_d = d < channels
    length = line_length(lengths, n, frames)
    total = tl.zeros([BLOCK_T, BLOCK_D], tl.float32)
    if bias is not None:
        total += tl.load(bias + d, mask=in_d, other=0.0).to(tl.float32)[None, :]
    for ago in tl.static_range(TAPS):
        past = t + ago if REVERSE else t - ago
        w = tl.load(weight + d * weight_d + (TAPS - 1 - ago) * weight_tap, mask=in_d, other=0.0)
        total += w.to(tl.float32)[None, :] * _read(x + n * x_n, x_t, past, d, length, channels)
    out = tl.where((t < length)[:, None], total * sigmoid(total), 0.0)
    mask = (t < frames)[:, None] & in_d[None, :]
    y += n * frames * channels + t.to(tl.int64)[:, None] * channels + d[None, :]
    tl.store(y, out.to(y.dtype.element_ty), mask=mask)


@triton.jit(do_not_specialize=["frames"])
def convolve_backward(
    x,
    weight,
    bias,
    lengths,
    dy,
    dx,
    dweight,
    dbias,
    x_n,
    x_t,
    dy_n,
    dy_t,
    weight_d,
    weight_tap,
    frames,
    channels,
    TAPS: tl.constexpr,
    REVERSE: tl.constexpr,
    BLOCK_T: tl.constexpr,
    BLOCK_D: tl.constexpr,
):
    """Fill dx [N, T, D], and dweight [N * tiles, TAPS, D] and dbias [N * tiles, D], to be summed.

    A frame's gradient comes from the outputs at and after it, whose sums are computed once more.
    """
    tiles = tl.cdiv(frames, BLOCK_T)
    n = (tl.program_id(0) // tiles).to(tl.int64)
    t = (tl.program_id(0) % tiles) * BLOCK_T + tl.arange(0, BLOCK_T)
    d = tl.program_id(1) * BLOCK_D + tl.arange(0, BLOCK_D)
    in_d = d < channels
    length = line_length(lengths, n, frames)
    row = tl.program_id(0).to(tl.int64)
    x += n * x_n
    dy += n * dy_n
    offset = tl.zeros([BLOCK_T, BLOCK_D], tl.float32)
    if bias is not None:
        offset += tl.load(bias + d, mask=in_d, other=0.0).to(tl.float32)[None, :]
    near = ()  # the frames from TAPS - 1 before to TAPS - 1 after each of t, in the direction of time
    for i in tl.static_range(2 * TAPS - 1):
        ago = TAPS - 1 - i
        past = t + ago if REVERSE else t - ago
        near = near + (_read(x, x_t, past, d, length, channels),)
    weights = ()
    for tap in tl.static_range(TAPS):
        w = tl.load(weight + d * weight_d + tap * weight_tap, mask=in_d, other=0.0).to(tl.float32)
        weights = weights + (w[None, :],)
    gradient = tl.zeros([BLOCK_T, BLOCK_D], tl.float32)
    for later in tl.static_range(TAPS):
        total = offset
        for tap in tl.static_range(TAPS):
            total += weights[tap] * near[later + tap]
        at = t - later if REVERSE else t + later
        opened = sigmoid(total)
        g = _read(dy, dy_t, at, d, length, channels) * opened * (1.0 + total * (1.0 - opened))
        gradient += weights[TAPS - 1 - later] * g
        if later == 0:
            for tap in tl.static_range(TAPS):
                dw = tl.sum(g * near[tap], axis=0)
                tl.store(dweight + (row * TAPS + tap) * channels + d, dw, mask=in_d)
            if dbias is not None:
                tl.store(dbias + row * channels + d, tl.sum(g, axis=0), mask=in_d)
    out = tl.where((t < length)[:, None], gradient, 0.0)
    mask = (t < frames)[:, None] & in_d[None, :]
    dx += n * frames * channels + t.to(tl.int64)[:, None] * channels + d[None, :]
    tl.store(dx, out.to(dx.dtype.element_ty), mask=mask)


class ConvolveTriton(torch.autograd.Function):
    """`causal_convolution` on a GPU: x [N, T, D], weight [D, taps], bias [D] or None, lengths [N] or None."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, lengths: Tensor | None, reverse: bool
    ) -> Tensor:
        x = in_rows(x)
        lengths = None if lengths is None else lengths.to(x.device).contiguous()
        bias = None if bias is None else bias.contiguous()
        N, T, channels = x.shape
        y = torch.empty(x.shape, dtype=x.dtype, device=x.device)
        ctx.save_for_backward(x, weight, bias, lengths)
        ctx.reverse = reverse
        with on_device_of(x):
            convolve_forward[(N * triton.cdiv(T, FRAMES), triton.cdiv(channels, CHANNELS))](
                x,
                weight,
                bias,
                lengths,
                y,
                *x.stride()[:2],
                *weight.stride(),
                T,
                channels,
                TAPS=weight.shape[1],
                REVERSE=reverse,
                BLOCK_T=FRAMES,
                BLOCK_D=CHANNELS,
                num_warps=WARPS,
            )
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias, lengths = ctx.saved_tensors
        dy = in_rows(dy)
        N, T, channels = x.shape
        taps = weight.shape[1]
        tiles = N * triton.cdiv(T, FRAMES)
        single = {"dtype": torch.float32, "device": x.device}
        dx = torch.empty(x.shape, dtype=x.dtype, device=x.device)
        dweight = torch.empty(tiles, taps, channels, **single)
        dbias = None if bias is None else torch.empty(tiles, channels, **single)
        with on_device_of(x):
            convolve_backward[(tiles, triton.cdiv(channels, CHANNELS))](
                x,
                weight,
                bias,
                lengths,
                dy,
                dx,
                dweight,
                dbias,
                *x.stride()[:2],
                *dy.stride()[:2],
                *weight.stride(),
                T,
                channels,
                TAPS=taps,
                REVERSE=ctx.reverse,
                BLOCK_T=FRAMES,
                BLOCK_D=CHANNELS,
                num_warps=WARPS,
            )
        if dbias is not None:
            dbias = dbias.sum(0).to(bias.dtype)
        return dx, dweight.sum(0).t().to(weight.dtype), dbias, None, None
