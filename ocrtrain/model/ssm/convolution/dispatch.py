"""Mamba's short convolution over time: depthwise, causal, followed by SiLU."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from ocrtrain.model.mask import frame_mask
from ocrtrain.model.ssm.backend import choose_backend
from ocrtrain.model.ssm.scan.dispatch import run_compiled


def causal_convolution(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    lengths: Tensor | None = None,
    reverse: bool = False,
    backend: str = "auto",
) -> Tensor:
    """Convolve each channel over the present and the frames before it, then apply SiLU.

    x: [N, T, D]; weight: [D, 1, taps] as nn.Conv1d holds it; bias: [D]; lengths: int64 [N].
    With `reverse`, time runs from each line's last frame to its first. Returns [N, T, D], zero beyond a
    line's length; frames there are never read.
    """
    taps = weight.shape[-1]
    weight = weight[:, 0]
    chosen = choose_backend(backend, x.device)
    if chosen == "triton":
        from ocrtrain.model.ssm.convolution.triton import ConvolveTriton

        return ConvolveTriton.apply(x, weight, bias, lengths, reverse)
    bias = torch.zeros_like(weight[:, 0]) if bias is None else bias
    if chosen == "numba":
        if lengths is None:
            lengths = torch.full((x.shape[0],), x.shape[1], dtype=torch.int64)
        inputs = (x.float().contiguous(), weight.float().t().contiguous(), bias.float().contiguous())
        return _ConvolveNumba.apply(*inputs, lengths.to(torch.int64).contiguous(), reverse).to(x.dtype)
    valid = None if lengths is None else frame_mask(lengths, x.shape[1])[..., None].to(x.dtype)
    x = x if valid is None else x * valid
    x = F.pad(x, (0, 0, 0, taps - 1) if reverse else (0, 0, taps - 1, 0))
    kernel = weight.flip(-1) if reverse else weight
    frames = x.shape[1] - taps + 1
    y = bias.to(x.dtype) + sum(x[:, i : i + frames] * kernel[:, i].to(x.dtype) for i in range(taps))
    y = F.silu(y)
    return y if valid is None else y * valid


class _ConvolveNumba(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, lengths: Tensor, reverse: bool) -> Tensor:
        from ocrtrain.model.ssm.convolution.numba import convolve_forward
        from ocrtrain.model.ssm.scan.numba import tasks_of

        y = torch.empty_like(x)
        inputs = (x, weight, bias, lengths)
        given = (v.detach().numpy() for v in inputs)
        run_compiled(convolve_forward, tasks_of(x.shape[0], x.shape[2]), *given, reverse, y.numpy())
        ctx.save_for_backward(*inputs)
        ctx.reverse = reverse
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        from ocrtrain.model.ssm.convolution.numba import convolve_backward
        from ocrtrain.model.ssm.scan.numba import tasks_of

        inputs = ctx.saved_tensors
        x, weight, bias, _ = inputs
        dx = torch.empty_like(x)
        dweight, dbias = x.new_empty(len(x), *weight.shape), x.new_empty(len(x), *bias.shape)
        outputs = (dy.contiguous(), dx, dweight, dbias)
        given, filled = (v.detach().numpy() for v in inputs), (v.numpy() for v in outputs)
        run_compiled(convolve_backward, tasks_of(x.shape[0], x.shape[2]), *given, ctx.reverse, *filled)
        return dx, dweight.sum(0), dbias.sum(0), None, None
