"""The selective scan of Mamba (S6), one function over several implementations.

Source: Gu and Dao, "Mamba: Linear-Time Sequence Modeling with Selective State Spaces", 2023, section 3.
"""

from __future__ import annotations

import functools
import logging
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from ocrtrain.errors import InputError
from ocrtrain.model.ssm.scan_torch import ScanTorch

log = logging.getLogger(__name__)

BACKENDS = ("auto", "torch", "numba")


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
    length. `backend`: "torch" runs anywhere, "numba" is its compiled form for CPUs, "auto" takes the fastest
    that can run. Raises InputError for a backend that cannot.
    """
    dtype, device = u.dtype, u.device
    with torch.autocast(device_type=device.type, enabled=False):
        delta = delta.float() if delta_bias is None else delta.float() + delta_bias.float()
        delta = F.softplus(delta) if delta_softplus else delta
        skip = torch.zeros(u.shape[-1], device=device) if D is None else D.float()
        gate = None if z is None else z.float()
        scan = _scan_numba if choose_backend(backend, device.type) == "numba" else _scan_torch
        return scan(u.float(), delta, A.float(), B.float(), C.float(), skip, gate, lengths, reverse).to(dtype)


def choose_backend(backend: str, device: str) -> str:
    """Resolve "auto" for a device type, or check that the named backend can run there; raises InputError."""
    if backend not in BACKENDS:
        raise InputError(
            f"backend={backend}", "no such scan backend", f"choose one of {', '.join(BACKENDS)}."
        )
    if backend == "auto":
        chosen, reason = ("numba", "compiled for this CPU") if device == "cpu" else ("torch", f"on {device}")
        if chosen == "numba" and (missing := numba_missing()):
            chosen, reason = "torch", f"Numba cannot run: {missing}"
        _log_choice(chosen, reason)
        return chosen
    if backend == "numba":
        if device != "cpu":
            raise InputError("backend=numba", f"runs on CPUs, the data is on {device}", "set backend=auto.")
        if missing := numba_missing():
            raise InputError("backend=numba", missing, "set backend=torch, or reinstall numba.")
    return backend


@functools.cache
def _log_choice(chosen: str, reason: str) -> None:
    log.info("Mamba's scan runs on backend %s (%s)", chosen, reason)


@functools.cache
def numba_missing() -> str | None:
    """Say why Numba's kernels cannot run here; None if they can."""
    try:
        import ocrtrain.model.ssm.scan_numba  # noqa: F401
    except Exception as error:  # a broken install fails in many ways, and plain torch can stand in
        return f"{type(error).__name__}: {error}"
    return None


def _scan_torch(
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
    order = valid = None
    if lengths is not None:
        frames = torch.arange(u.shape[1], device=u.device)
        valid = (frames < lengths[:, None])[..., None]
        delta = delta * valid  # a step of zero leaves the state as it is
        if reverse:
            order = torch.where(valid[..., 0], lengths[:, None] - 1 - frames, frames)[..., None]
    elif reverse:
        order = torch.arange(u.shape[1] - 1, -1, -1, device=u.device).expand(u.shape[:2])[..., None]
    if order is not None:
        u, delta, B, C = (x.gather(1, order.expand_as(x)) for x in (u, delta, B, C))
    y = ScanTorch.apply(u, delta, A, B, C, D)
    if order is not None:
        y = y.gather(1, order.expand_as(y))
    y = y if z is None else y * F.silu(z)
    return y if valid is None else y * valid


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
    from ocrtrain.model.ssm.scan_numba import UNROLL

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
        from ocrtrain.model.ssm import scan_numba

        inputs = (u, delta, A, B, C, D, z, lengths)
        y = torch.empty_like(u)
        chunks = -(-u.shape[1] // scan_numba.CHUNK)
        states = u.new_empty(u.shape[0], chunks, *A.shape)
        follow_torch_threads()
        scan_numba.scan_forward(*(x.detach().numpy() for x in inputs), reverse, y.numpy(), states.numpy())
        ctx.save_for_backward(*inputs, states)
        ctx.reverse = reverse
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        from ocrtrain.model.ssm import scan_numba

        *inputs, states = ctx.saved_tensors
        u, delta, A, B, C, _, z, _ = inputs
        n, _, channels = u.shape
        blocks = -(-channels // scan_numba.BLOCK)
        du, ddelta, dz = torch.empty_like(u), torch.empty_like(delta), torch.empty_like(z)
        dA, dD = u.new_empty(n, *A.shape), u.new_empty(n, channels)
        dB, dC = u.new_empty(blocks, *B.shape), u.new_empty(blocks, *C.shape)
        gradients = (du, ddelta, dA, dB, dC, dD, dz)
        follow_torch_threads()
        scan_numba.scan_backward(
            *(x.detach().numpy() for x in inputs),
            ctx.reverse,
            states.numpy(),
            dy.contiguous().numpy(),
            *(x.numpy() for x in gradients),
        )
        return du, ddelta, dA.sum(0), dB.sum(0), dC.sum(0), dD.sum(0), dz, None, None


def follow_torch_threads() -> None:
    """Let Numba use as many threads as torch does."""
    import numba

    numba.set_num_threads(min(torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS))
