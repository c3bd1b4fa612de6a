"""Mamba-2's normalisation: a gate, then the root mean square, over groups of features."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from ocrtrain.model.ssm.backend import numba_missing
from ocrtrain.model.ssm.scan.dispatch import run_compiled


class GatedRMSNorm(nn.Module):
    """x silu(gate) over its root mean square within each of `groups` groups of features, times a weight.

    Source: Zhang and Sennrich, "Root Mean Square Layer Normalization", 2019; the gate is Mamba-2's.
    """

    def __init__(self, width: int, groups: int = 1, eps: float = 1e-5) -> None:
        super().__init__()
        self.groups, self.eps = groups, eps
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor, gate: Tensor) -> Tensor:
        """Map x and gate [N, T, width] to [N, T, width]; sums are float32, the result has the type of x."""
        with torch.autocast(device_type=x.device.type, enabled=False):
            wide = x.shape[-1] // self.groups
            rows, gates = x.float().reshape(-1, wide), gate.float().reshape(-1, wide)
            weight = self.weight.float().view(self.groups, -1)
            compiled = x.device.type == "cpu" and not numba_missing()
            norm = _NormNumba.apply if compiled else _norm
            return norm(rows, gates, weight, self.eps).view(x.shape).to(x.dtype)


def _norm(x: Tensor, gate: Tensor, weight: Tensor, eps: float) -> Tensor:
    """Normalise rows x, gate [R, F]; row r has the weight [G, F] of group r modulo G."""
    normed = F.rms_norm(x * F.silu(gate), x.shape[-1:], eps=eps)
    return (normed.view(-1, *weight.shape) * weight).view_as(x)


class _NormNumba(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, gate: Tensor, weight: Tensor, eps: float) -> Tensor:
        from ocrtrain.model.ssm.gated_norm.numba import TASKS, norm_forward

        # A gate is a part of a projection, with gaps between rows: loops over it would not become vectors.
        inputs = (x.contiguous(), gate.contiguous(), weight.contiguous())
        y, scale = torch.empty_like(inputs[0]), x.new_empty(len(x))
        given = (v.detach().numpy() for v in inputs)
        run_compiled(norm_forward, TASKS, *given, eps, y.numpy(), scale.numpy())
        ctx.save_for_backward(*inputs, scale)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        from ocrtrain.model.ssm.gated_norm.numba import TASKS, norm_backward

        inputs = ctx.saved_tensors
        x, gate, weight, _ = inputs
        dx, dgate = torch.empty_like(x), torch.empty_like(gate)
        dweight = x.new_empty(TASKS, *weight.shape)
        outputs = (dy.contiguous(), dx, dgate, dweight)
        given, filled = (v.detach().numpy() for v in inputs), (v.numpy() for v in outputs)
        run_compiled(norm_backward, TASKS, *given, *filled)
        return dx, dgate, dweight.sum(0), None
