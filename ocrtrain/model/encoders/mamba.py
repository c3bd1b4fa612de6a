"""A stack of Mamba layers that reads a line in both directions."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ocrtrain.model.ssm import Mamba


class MambaEncoder(nn.Module):
    """Pre-norm residual Mamba blocks, over time and, if bidirectional, against it.

    width: features per frame, in and out; layers: number of blocks; dropout: on each block's output; the rest
    goes to every `Mamba` layer.
    """

    def __init__(
        self,
        width: int = 256,
        layers: int = 2,
        bidirectional: bool = True,
        dropout: float = 0.1,
        **mamba: Any,
    ) -> None:
        super().__init__()
        self.width = width
        self.blocks = nn.ModuleList(MambaBlock(width, bidirectional, dropout, **mamba) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Map x [N, T, width] with lengths [N] to [N, T, width]."""
        for block in self.blocks:
            x = block(x, lengths)
        return self.norm(x)


class MambaBlock(nn.Module):
    """x + dropout(mean of a layer over time and one against it, of layer-normed x)."""

    def __init__(self, width: int, bidirectional: bool, dropout: float, **mamba: Any) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.forth = Mamba(width, **mamba)
        self.back = Mamba(width, reverse=True, **mamba) if bidirectional else None
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Map x [N, T, width] with lengths [N] to [N, T, width]."""
        y = self.norm(x)
        # A mean, not a sum: deep stacks of sums have been seen to overflow in half precision.
        mixed = self.forth(y, lengths)
        if self.back is not None:
            mixed = (mixed + self.back(y, lengths)) / 2
        return x + self.dropout(mixed)
