"""Dropout of a feature in all frames of a line at once."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn

from ocrtrain.settings import Limits, checked

Dropout = Annotated[float, Limits(0, below=1, hint="0.1 is usual, 0 for none.")]


class ChannelDropout(nn.Module):
    """Zeroes features with probability `p` in all frames of a line at once, and scales the others up.

    One draw for a line's every frame leaves no neighbour to copy a dropped feature from, and takes a
    hundredth of the random numbers. Source: Gal and Ghahramani, "A Theoretically Grounded Application of
    Dropout in Recurrent Neural Networks", 2016.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p: float = checked(p, Dropout, "dropout")

    def forward(self, x: Tensor) -> Tensor:
        """Change x [N, T, D] in training, and pass it on as it is otherwise."""
        if not self.training or self.p == 0.0:
            return x
        keep = 1.0 - self.p
        mask = torch.empty(x.shape[0], 1, x.shape[2], device=x.device, dtype=x.dtype).bernoulli_(keep)
        return x * mask.div_(keep)

    def extra_repr(self) -> str:
        """Show the probability when printed."""
        return f"p={self.p}"
