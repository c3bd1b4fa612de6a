"""Mamba-2's recurrence: compiled for CPUs, elsewhere matrix products within chunks and a state between them.

Source: Dao and Gu, "Transformers are SSMs: Generalized Models and Efficient Algorithms Through Structured
State Space Duality", 2024, section 6.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from ocrtrain.model.mask import frame_mask
from ocrtrain.model.ssm.backend import choose_backend
from ocrtrain.model.ssm.scan.dispatch import run_compiled

CHUNK = 64  # frames whose products are formed at once, about


def state_space_duality(
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    lengths: Tensor | None = None,
    reverse: bool = False,
    chunk: int = CHUNK,
    backend: str = "auto",
) -> Tensor:
    """Run Mamba-2's recurrence, whose decay is one number per head, over each line's own frames.

    For each head: h_t = exp(dt_t A) h_{t-1} + dt_t B_t x_t^T;  y_t = C_t h_t + D x_t. With `reverse`, time
    runs from each line's last frame to its first.

    x: [N, T, H, P], H heads of P channels; dt: float32 [N, T, H], not negative; A: float32 [H], negative;
    B, C: [N, T, G, S], each of the G groups shared by H / G heads; D: [H]; lengths: int64 [N], by default all
    T. Returns y [N, T, H, P] in the type of x, zero beyond a line's length. Time and memory are linear in T.
    `backend`: "numba" is compiled for CPUs and holds about 2 S numbers per frame and head beside copies of
    its inputs; "eager" is the chunked form, with about 2 `chunk` + 2 S of them, and P S per chunk and head;
    all others are the first of these that can run. Raises InputError for a backend that cannot.
    """
    if choose_backend(backend, x.device) == "numba":
        return _compiled(x, dt, A, B, C, D, lengths, reverse)
    n, frames, heads, channels = x.shape
    groups = B.shape[2]
    skip = x.new_zeros(heads, dtype=torch.float32) if D is None else D.float()
    skip = skip.expand(n, frames, heads)
    if lengths is not None:
        # A step of zero lets nothing in and nothing decay, in either direction of time; C and D let nothing
        # out. So only the small inputs need a mask.
        valid = frame_mask(lengths, frames)[..., None]
        dt, skip, C = dt * valid, skip * valid, C * valid[..., None].to(C.dtype)
    size = chunk_size(frames, chunk)
    chunks = -(-frames // size)

    def split(v: Tensor) -> Tensor:  # [N, T, G * E, F] -> [N, c, G, E, Q, F]
        if frames < chunks * size:
            v = F.pad(v, (0, 0, 0, 0, 0, chunks * size - frames))
        return v.unflatten(1, (chunks, size)).transpose(2, 3).unflatten(2, (groups, -1))

    # Products of C and B and the states between chunks may exceed float16's range where y does not.
    kind = torch.float32 if x.dtype == torch.float16 else x.dtype
    with torch.autocast(device_type=x.device.type, enabled=False):
        inputs = (split(x.to(kind)).contiguous(), split(B.to(kind)), split(C.to(kind)))
        steps, decays, skips = (split(v[..., None])[..., 0] for v in (dt, dt * A, skip))
        y = _chunked(*inputs, steps, decays, skips, reverse)
    y = y.flatten(2, 3).transpose(2, 3).reshape(n, chunks * size, heads, channels)[:, :frames]
    return y.to(x.dtype)


def chunk_size(frames: int, chunk: int) -> int:
    """Frames of a chunk: about `chunk`; a divisor of `frames` where one is near, so that nothing is lost."""
    near = [q for q in range(max(1, chunk // 2), 2 * chunk + 1) if frames % q == 0]
    if near:
        return min(near, key=lambda q: abs(q - chunk))
    return -(-frames // max(1, -(-frames // chunk)))


def _chunked(
    x: Tensor, B: Tensor, C: Tensor, dt: Tensor, decay: Tensor, skip: Tensor, reverse: bool
) -> Tensor:
    """y_t = skip_t x_t + sum over s <= t (reverse: s >= t) of C_t B_s exp(decays between) dt_s x_s.

    Chunks c of Q frames, groups G of E heads: x: [N, c, G, E, Q, P]; B, C: [N, c, G, 1, Q, S]; dt, decay (a
    logarithm), skip: float32 [N, c, G, E, Q]. Returns y as x.
    """
    # `gone` sums the decays of a chunk's frames up to each of them: a frame's own takes effect when time
    # arrives there, before its input, and so after the frame in reverse.
    gone = decay.cumsum(-1)
    total = gone[..., -1:]
    if reverse:
        gone = decay - gone
        arrive, leave = total + gone, -gone
    else:
        arrive, leave = gone, total - gone
    # A step size costs nothing as a summand of the exponent; padding, whose step is zero, stays out.
    entry = torch.where(dt > 0, dt.clamp(min=torch.finfo(dt.dtype).tiny).log(), float("-inf"))
    frames = x.shape[-2]
    unseen = torch.ones(frames, frames, dtype=torch.bool, device=x.device)
    unseen = unseen.tril(-1) if reverse else unseen.triu(1)
    weights = (gone[..., :, None] + (entry - gone)[..., None, :]).masked_fill_(unseen, float("-inf")).exp_()
    weights = (C @ B.mT) * weights.to(x.dtype)
    weights = weights + torch.diag_embed(skip.to(x.dtype))
    y = weights @ x
    if x.shape[1] == 1:
        return y
    inflow = (B.mT * (leave + entry).exp()[..., None, :].to(x.dtype)) @ x  # [N, c, G, E, S, P]
    carried = _carry(inflow.float(), total.exp()[..., None], reverse).to(x.dtype)
    outflow = (C * arrive.exp()[..., None].to(x.dtype)).flatten(0, 3)
    return torch.baddbmm(y.flatten(0, 3), outflow, carried.flatten(0, 3)).view_as(x)


def _carry(inflow: Tensor, factors: Tensor, reverse: bool) -> Tensor:
    """The state that each chunk starts from, for inflow [N, c, G, E, S, P] and decays [N, c, G, E, 1, 1]."""
    # Taken apart at once: the gradient of each `inflow[:, c]` would be a tensor as large as all of `inflow`.
    flows = list(zip(inflow.unbind(1), factors.unbind(1), strict=True))
    state = torch.zeros_like(flows[0][0])
    states = []
    for flow, factor in reversed(flows) if reverse else flows:
        states.append(state)
        state = torch.addcmul(flow, state, factor)
    return torch.stack(states[::-1] if reverse else states, dim=1)


def _compiled(
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    lengths: Tensor | None,
    reverse: bool,
) -> Tensor:
    from ocrtrain.model.ssm.ssd.numba import UNROLL

    n, frames, heads, _ = x.shape
    if missing := -B.shape[-1] % UNROLL:
        B, C = F.pad(B, (0, missing)), F.pad(C, (0, missing))
    skip = x.new_zeros(heads, dtype=torch.float32) if D is None else D
    if lengths is None:
        lengths = torch.full((n,), frames, dtype=torch.int64)
    with torch.autocast(device_type="cpu", enabled=False):
        inputs = (v.float().contiguous() for v in (x, dt, torch.exp(dt * A), B, C, skip))
        return _SsdNumba.apply(*inputs, lengths.to(torch.int64).contiguous(), reverse).to(x.dtype)


class _SsdNumba(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        dt: Tensor,
        decay: Tensor,
        B: Tensor,
        C: Tensor,
        D: Tensor,
        lengths: Tensor,
        reverse: bool,
    ) -> Tensor:
        from ocrtrain.model.ssm.ssd import numba as ssd_numba

        inputs = (x, dt, decay, B, C, D, lengths)
        n, frames, heads, channels = x.shape
        block = ssd_numba.heads_together(heads, B.shape[2], channels)
        chunks = -(-frames // ssd_numba.CHUNK)
        y = torch.empty_like(x)
        states = x.new_empty(n, heads // block, chunks, B.shape[3], block * channels)
        given = (v.detach().numpy() for v in inputs)
        tasks = n * heads // block
        run_compiled(ssd_numba.ssd_forward, tasks, *given, reverse, block, y.numpy(), states.numpy())
        ctx.save_for_backward(*inputs, states)
        ctx.reverse, ctx.block = reverse, block
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        from ocrtrain.model.ssm.ssd.numba import ssd_backward

        *inputs, states = ctx.saved_tensors
        x, dt, decay, B, *_ = inputs
        n, frames, heads, _ = x.shape
        groups, rows = B.shape[2:]
        blocks = heads // ctx.block
        dx, ddt, ddecay = torch.empty_like(x), torch.empty_like(dt), torch.empty_like(decay)
        dB, dC = x.new_empty(blocks, n, frames, rows), x.new_empty(blocks, n, frames, rows)
        dD = x.new_empty(n, heads)
        run_compiled(
            ssd_backward,
            n * blocks,
            *(v.detach().numpy() for v in inputs),
            ctx.reverse,
            ctx.block,
            states.numpy(),
            dy.contiguous().numpy(),
            *(v.numpy() for v in (dx, ddt, ddecay, dB, dC, dD)),
        )
        # Neighbouring blocks share a group's B and C.
        dB, dC = (v.view(groups, -1, n, frames, rows).sum(1).movedim(0, 2) for v in (dB, dC))
        return dx, ddt, ddecay, dB, dC, dD.sum(0), None, None
