"""The selective scan by mamba-ssm's CUDA kernel, where that is installed.

Source of the contract: mamba-ssm's `selective_scan_fn`. It knows neither lengths nor directions: lines are
turned around for it, and its output beyond their ends is discarded.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ocrtrain.errors import InputError
from ocrtrain.model.ssm.scan.torch import time_order

MAX_STATES = 256


def scan_mamba_ssm(
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
    """Run `selective_scan` by mamba-ssm, which wants [N, D, T] and one type for what varies with time."""
    from mamba_ssm.ops.selective_scan_interface import selective_scan_fn

    if A.shape[1] > MAX_STATES:
        why = f"its kernel holds {MAX_STATES} states, not {A.shape[1]}"
        raise InputError("backend=mamba_ssm", why, "set another backend, or fewer states.")
    valid, order = time_order(u, lengths, reverse)
    if valid is not None:
        # Nothing flows into the state beyond a line's end, so nothing overflows there that a gradient of
        # zero could then turn into NaN.
        u = torch.where(valid, u, 0)
    inputs = {"u": u, "delta": delta, "B": B, "C": C, "z": z}
    laid = {
        name: None if x is None else turn(x.to(u.dtype), order).transpose(1, 2) for name, x in inputs.items()
    }
    D, delta_bias = (None if x is None else x.float() for x in (D, delta_bias))
    y = selective_scan_fn(A=A.float(), D=D, delta_bias=delta_bias, delta_softplus=delta_softplus, **laid)
    y = turn(y.transpose(1, 2), order)
    return y if valid is None else torch.where(valid, y, 0)


def turn(x: Tensor, order: Tensor | None) -> Tensor:
    """Put the frames of x [N, T, D] into an order [N, T, 1]; None keeps them."""
    return x if order is None else x.gather(1, order.expand_as(x))
