"""Which columns and frames belong to a line, and which are padding."""

from __future__ import annotations

import torch
from torch import Tensor


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
