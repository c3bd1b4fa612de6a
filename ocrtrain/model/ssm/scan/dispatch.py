"""The selective scan of Mamba (S6), one function over several implementations.

Source: Gu and Dao, "Mamba: Linear-Time Sequence Modeling with Selective State Spaces", 2023, section 3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from ocrtrain.cores import in_parts
from ocrtrain.model.ssm.backend import choose_backend
from ocrtrain.model.ssm.scan.mamba_ssm import scan_mamba_ssm
from ocrtrain.model.ssm.scan.torch import scan_torch


def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = False,
    lengths: Tensor | None = None,
    reverse: bool = False,
    backend: str = "auto",
) -> Tensor:
    """Run the diagonal, input-dependent recurrence over each line's own frames.

    h_t = exp(delta_t A) h_{t-1} + delta_t B_t u_t;  y_t = (C_t h_t + D u_t) silu(z_t). With `reverse`, time
    runs from each line's last frame to its first. The state and all sums are float32; y has the type of u.

    u, delta, z: [N, T, D]; A: [D, S]; B, C: [N, T, S]; D, delta_bias: [D]; lengths: int64 [N], by default
    all T. No product of delta and A may be positive: states decay. Returns y [N, T, D], zero beyond a line's
    length. `backend`: "torch" runs anywhere, compiled by Numba ("numba") or in plain steps ("eager");
    "triton" and "mamba_ssm" run on GPUs; "auto" takes the fastest that can run. Raises InputError for a
    backend that cannot.
    """
    dtype, device = u.dtype, u.device
    chosen = choose_backend(backend, device)
    with torch.autocast(device_type=device.type, enabled=False):
        if chosen in ("triton", "mamba_ssm"):
            own_types = (u, delta, A, B, C, D, z, delta_bias, delta_softplus, lengths, reverse)
            return _scan_triton(*own_types) if chosen == "triton" else scan_mamba_ssm(*own_types)
        delta = delta.float() if delta_bias is None else delta.float() + delta_bias.float()
        delta = F.softplus(delta) if delta_softplus else delta
        skip = torch.zeros(u.shape[-1], device=device) if D is None else D.float()
        gate = None if z is None else z.float()
        scan = _scan_numba if chosen == "numba" else scan_torch
        y = scan(u.float(), delta, A.float(), B.float(), C.float(), skip, gate, lengths, reverse)
        return y.to(dtype)


def _scan_triton(*arguments: Any) -> Tensor:
    from ocrtrain.model.ssm.scan.triton import scan_triton

    return scan_triton(*arguments)


def _scan_numba(
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
    from ocrtrain.model.ssm.scan.numba import UNROLL

    if lengths is None:
        lengths = torch.full((u.shape[0],), u.shape[1], dtype=torch.int64)
    if missing := -A.shape[1] % UNROLL:
        A, B, C = (F.pad(x, (0, missing)) for x in (A, B, C))
    gate = u.new_empty(u.shape[0], 0, u.shape[2]) if z is None else z
    inputs = (x.contiguous() for x in (u, delta, A.t(), B, C, D, gate))
    return _ScanNumba.apply(*inputs, lengths.to(torch.int64).contiguous(), reverse)


class _ScanNumba(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        u: Tensor,
        delta: Tensor,
        A: Tensor,
        B: Tensor,
        C: Tensor,
        D: Tensor,
        z: Tensor,
        lengths: Tensor,
        reverse: bool,
    ) -> Tensor:
        from ocrtrain.model.ssm.scan import numba as scan_numba

        inputs = (u, delta, A, B, C, D, z, lengths)
        y = torch.empty_like(u)
        chunks = -(-u.shape[1] // scan_numba.CHUNK)
        states = u.new_empty(u.shape[0], chunks, *A.shape)
        run_compiled(
            scan_numba.scan_forward,
            scan_numba.tasks_of(u.shape[0], u.shape[2]),
            *(x.detach().numpy() for x in inputs),
            reverse,
            y.numpy(),
            states.numpy(),
        )
        ctx.save_for_backward(*inputs, states)
        ctx.reverse = reverse
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        from ocrtrain.model.ssm.scan import numba as scan_numba

        *inputs, states = ctx.saved_tensors
        u, delta, A, B, C, _, z, _ = inputs
        n, _, channels = u.shape
        blocks = -(-channels // scan_numba.BLOCK)
        du, ddelta, dz = torch.empty_like(u), torch.empty_like(delta), torch.empty_like(z)
        dA, dD = u.new_empty(n, *A.shape), u.new_empty(n, channels)
        dB, dC = u.new_empty(blocks, *B.shape), u.new_empty(blocks, *C.shape)
        gradients = (du, ddelta, dA, dB, dC, dD, dz)
        run_compiled(
            scan_numba.scan_backward,
            n * blocks,
            *(x.detach().numpy() for x in inputs),
            ctx.reverse,
            states.numpy(),
            dy.contiguous().numpy(),
            *(x.numpy() for x in gradients),
        )
        return du, ddelta, dA.sum(0), dB.sum(0), dC.sum(0), dD.sum(0), dz, None, None


def run_compiled(loop: Callable[..., None], tasks: int, *arguments: Any) -> None:
    """Run a compiled loop over `tasks` tasks, shared out among as many threads as torch uses."""
    parts = max(1, min(torch.get_num_threads(), tasks))
    in_parts(lambda part: loop(*arguments, part, parts), parts)
