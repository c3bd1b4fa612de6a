"""The selective scan in plain torch: any device, nothing to install, one step of Python per frame.

One autograd function that stores the state only every few frames and recomputes the ones between, so
that memory stays within a small multiple of the inputs' and no [N, T, D, S] tensor ever exists.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from ocrtrain.model.mask import frame_mask


def scan_torch(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    z: Tensor | None,
    lengths: Tensor | None,
    reverse: bool,
) -> Tensor:
    """Run `selective_scan` on float32 inputs, with `delta` as it enters the recurrence."""
    valid, order = time_order(u, lengths, reverse)
    if valid is not None:
        delta = delta * valid  # a step of zero leaves the state as it is
    if order is not None:
        u, delta, B, C = (x.gather(1, order.expand_as(x)) for x in (u, delta, B, C))
    y = ScanTorch.apply(u, delta, A, B, C, D)
    if order is not None:
        y = y.gather(1, order.expand_as(y))
    y = y if z is None else y * F.silu(z)
    return y if valid is None else y * valid


def time_order(u: Tensor, lengths: Tensor | None, reverse: bool) -> tuple[Tensor | None, Tensor | None]:
    """Mark the valid frames of u [N, T, D] and give the order that turns each line around in its own length.

    Both are [N, T, 1]; None stands for all frames, and for the order in which they are. The order is its own
    inverse.
    """
    N, T, _ = u.shape
    valid = None if lengths is None else frame_mask(lengths, T)[..., None]
    if not reverse:
        return valid, None
    frames = torch.arange(T, device=u.device)[None, :, None]
    if lengths is None or valid is None:
        return None, (T - 1 - frames).expand(N, T, 1)
    return valid, torch.where(valid, lengths[:, None, None] - 1 - frames, frames)


class ScanTorch(torch.autograd.Function):
    """y_t = C_t h_t + D u_t with h_t = exp(delta_t A) h_{t-1} + delta_t u_t B_t, forward in time.

    u, delta: [N, T, D]; A: [D, S]; B, C: [N, T, S]; D: [D]; frames beyond a line's end must have delta = 0.
    """

    @staticmethod
    def forward(ctx: Any, u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor) -> Tensor:
        chunk = max(16, A.shape[1])  # stored states then weigh no more than one input
        h = u.new_zeros(u.shape[0], *A.shape)
        stored = []
        y = u * D
        for t in range(u.shape[1]):
            if t % chunk == 0:
                stored.append(h)
            h = _step(h, u, delta, A, B, t)
            y[:, t] += torch.bmm(h, C[:, t, :, None])[..., 0]
        ctx.chunk, ctx.stored = chunk, stored
        ctx.save_for_backward(u, delta, A, B, C, D)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, ...]:
        u, delta, A, B, C, D = ctx.saved_tensors
        du, ddelta = dy * D, torch.zeros_like(delta)
        dA, dB, dC = torch.zeros_like(A), torch.zeros_like(B), torch.zeros_like(C)
        dh = torch.zeros_like(ctx.stored[0]) if ctx.stored else None
        for index in range(len(ctx.stored) - 1, -1, -1):
            states = [ctx.stored[index]]
            start, stop = index * ctx.chunk, min((index + 1) * ctx.chunk, u.shape[1])
            for t in range(start, stop):
                states.append(_step(states[-1], u, delta, A, B, t))
            for t in range(stop - 1, start - 1, -1):
                now = states.pop()
                dh = dh + dy[:, t, :, None] * C[:, t, None, :]
                dC[:, t] = torch.bmm(dy[:, t, None, :], now)[:, 0]
                weighted = delta[:, t] * u[:, t]
                dB[:, t] = torch.bmm(weighted[:, None, :], dh)[:, 0]
                dweighted = torch.bmm(dh, B[:, t, :, None])[..., 0]
                dh = dh * torch.exp(delta[:, t, :, None] * A)
                through = dh * states[-1]
                dA += (through * delta[:, t, :, None]).sum(0)
                ddelta[:, t] = (through * A).sum(-1) + dweighted * u[:, t]
                du[:, t] += dweighted * delta[:, t]
        return du, ddelta, dA, dB, dC, (dy * u).sum((0, 1))


def _step(h: Tensor, u: Tensor, delta: Tensor, A: Tensor, B: Tensor, t: int) -> Tensor:
    decayed = torch.exp(delta[:, t, :, None] * A) * h
    return decayed + (delta[:, t] * u[:, t])[..., None] * B[:, t, None, :]
