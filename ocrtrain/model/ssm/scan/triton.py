"""The selective scan on GPUs, written in Triton: nothing to build, forward and backward."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

import torch
import triton
from torch import Tensor
from torch.autograd.function import once_differentiable

from ocrtrain.model.ssm.scan.triton_backward import scan_backward
from ocrtrain.model.ssm.scan.triton_forward import scan_forward

INTERPRETED = not isinstance(scan_forward, triton.JITFunction)

# What the backward kernel holds of a group of frames should fit into registers. Older compilers need more:
# of 4 frames, 32 channels and 16 states, Triton 3.6 keeps 960 bytes of a thread in memory, 3.8 keeps 40.
_NEWER = tuple(map(int, triton.__version__.split(".")[:2])) >= (3, 8)
FORWARD_FRAMES, BACKWARD_FRAMES = 8, 4 if _NEWER else 2

CHUNK = 32  # frames between two states that the forward pass keeps


@dataclass(frozen=True)
class Tiling:
    """Share of one program: channels at once, frames between two groups of stores, its warps."""

    channels: int
    frames: int
    warps: int = 1


# Set these to try others than `choose_tiling` picks.
forward_tiling: Tiling | None = None
backward_tiling: Tiling | None = None


def choose_tiling(lines: int, channels: int, states: int, backward: bool) -> Tiling:
    """Give a warp as many channels as its registers hold, or fewer where too few warps would run at once."""
    if fixed := backward_tiling if backward else forward_tiling:
        return fixed
    width = max(1, min(32, 512 // triton.next_power_of_2(states)))
    if INTERPRETED:  # one program runs after another, and pays for frames beyond a line's end
        return Tiling(width, 2)
    while width > 8 and lines * triton.cdiv(channels, width) < 256:
        width //= 2
    return Tiling(width, BACKWARD_FRAMES if backward else FORWARD_FRAMES)


def on_device_of(x: Tensor) -> contextlib.AbstractContextManager[Any]:
    """Launch on the GPU that holds x, which need not be the current one."""
    return torch.cuda.device(x.device) if x.is_cuda else contextlib.nullcontext()


def scan_triton(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    delta_bias: Tensor | None,
    delta_softplus: bool,
    lengths: Tensor | None,
    reverse: bool,
) -> Tensor:
    """Run `selective_scan` on the GPU; inputs are read in their own types, all arithmetic is float32."""
    u, delta, B, C = (in_rows(x) for x in (u, delta, B, C))
    z = None if z is None else in_rows(z)
    D, delta_bias = (None if x is None else x.float().contiguous() for x in (D, delta_bias))
    lengths = None if lengths is None else lengths.to(u.device).contiguous()
    return _ScanTriton.apply(u, delta, A.float(), B, C, D, z, delta_bias, lengths, delta_softplus, reverse)


def in_rows(x: Tensor) -> Tensor:
    """Have the last axis of x lie in one piece; chunks and splits along it are taken as they are."""
    return x if x.stride(-1) == 1 else x.contiguous()


class _ScanTriton(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> Tensor:
        *inputs, softplus, reverse = arguments
        u, delta, A, B, C, _, z, _, _ = inputs
        N, T, channels = u.shape
        S = A.shape[1]
        y = torch.empty(u.shape, dtype=u.dtype, device=u.device)
        states = None
        if any(ctx.needs_input_grad):
            states = torch.empty(N, triton.cdiv(T, CHUNK), S, channels, dtype=torch.float32, device=u.device)
        ctx.save_for_backward(*inputs, states)
        ctx.softplus, ctx.reverse = softplus, reverse
        tiling = choose_tiling(N, channels, S, backward=False)
        with on_device_of(u):
            scan_forward[(N * triton.cdiv(channels, tiling.channels),)](
                *inputs,
                states,
                y,
                *_strides(u, delta, B, C, z),
                *A.stride(),
                1,
                T,
                channels,
                STATES=S,
                SOFTPLUS=softplus,
                REVERSE=reverse,
                BLOCK_D=tiling.channels,
                BLOCK_S=triton.next_power_of_2(S),
                GROUP=tiling.frames,
                CHUNK=CHUNK,
                num_warps=tiling.warps,
            )
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        *inputs, states = ctx.saved_tensors
        u, delta, A, B, C, D, z, delta_bias, _ = inputs
        N, T, channels = u.shape
        S = A.shape[1]
        tiling = choose_tiling(N, channels, S, backward=True)
        blocks = triton.cdiv(channels, tiling.channels)
        programs = min(N * blocks, _resident_warps(u.device))
        dy = in_rows(dy)
        single = {"dtype": torch.float32, "device": u.device}
        slots = CHUNK // tiling.frames
        scratch = torch.empty(programs, slots, triton.next_power_of_2(S), tiling.channels, **single)
        du, ddelta, dz = (
            None if x is None else torch.empty(x.shape, dtype=x.dtype, device=x.device) for x in (u, delta, z)
        )
        dA = torch.empty(N, S, channels, **single)
        dD, dbias = (None if x is None else torch.empty(N, channels, **single) for x in (D, delta_bias))
        # Blocks of channels add to the same sums, in an order that changes from run to run.
        apart = blocks if torch.are_deterministic_algorithms_enabled() else 1
        dB, dC = (torch.zeros(apart, N, T, S, **single) for _ in range(2))
        with on_device_of(u):
            scan_backward[(programs,)](
                *inputs,
                states,
                scratch,
                dy,
                du,
                ddelta,
                dA,
                dB,
                dC,
                dD,
                dz,
                dbias,
                *_strides(u, delta, B, C, z, dy),
                *A.stride(),
                1,
                1.0,
                N * T * S if apart > 1 else 0,
                N * blocks,
                T,
                channels,
                STATES=S,
                SOFTPLUS=ctx.softplus,
                REVERSE=ctx.reverse,
                BLOCK_D=tiling.channels,
                BLOCK_S=triton.next_power_of_2(S),
                GROUP=tiling.frames,
                CHUNK=CHUNK,
                num_warps=tiling.warps,
            )
        dB, dC = (x[0] if apart == 1 else x.sum(0) for x in (dB, dC))
        dD, dbias = (None if x is None else x.sum(0) for x in (dD, dbias))
        return du, ddelta, dA.sum(0).t(), dB.to(B.dtype), dC.to(C.dtype), dD, dz, dbias, None, None, None


def _resident_warps(device: torch.device) -> int:
    """Count the backward programs that run at once: their registers let eight of them share a processor."""
    if device.type != "cuda":
        return 4
    return 8 * torch.cuda.get_device_properties(device).multi_processor_count


def _strides(*tensors: Tensor | None) -> list[int]:
    return [stride for x in tensors for stride in ((0, 0) if x is None else x.stride()[:2])]
