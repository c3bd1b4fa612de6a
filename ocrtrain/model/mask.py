"""Masks that tell a line's columns and frames from padding."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F


def frame_mask(lengths: Tensor, frames: int) -> Tensor:
    """Mark the valid frames: bool [N, frames] for lengths [N]."""
    return torch.arange(frames, device=lengths.device) < lengths[:, None]


def mask_columns(features: Tensor, widths: Tensor | None) -> Tensor:
    """Set the columns of features [N, C, H, W] at or beyond widths [N] to zero; None: all are valid.

    A convolution then sees the same zeros beyond a line's end whether the line stands alone (its
    own zero padding) or beside a longer one, so a line's result does not depend on its batch.
    """
    if widths is None:
        return features
    return features * frame_mask(widths, features.shape[-1])[:, None, None, :].to(features.dtype)


def masked_relu(features: Tensor, widths: Tensor) -> Tensor:
    """ReLU of features [N, C, H, W], zero at or beyond widths [N]; may write into `features`.

    In training on a CPU only the padding is written, not all features multiplied, and the gradient needs no
    mask of its own: it is zero wherever the result is.
    """
    if features.requires_grad and features.device.type == "cpu":
        return _MaskedRelu.apply(features, widths)
    return F.relu_(mask_columns(features, widths))


class _MaskedRelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, widths: Tensor) -> Tensor:
        ctx.mark_dirty(features)
        features.relu_()
        for line, width in zip(features, widths.tolist(), strict=True):
            line[..., width:] = 0.0
        ctx.save_for_backward(features)
        return features

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (y,) = ctx.saved_tensors
        return torch.ops.aten.threshold_backward(gradient, y, 0), None
