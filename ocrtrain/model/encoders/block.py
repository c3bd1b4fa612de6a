"""The residual block around a layer that runs along the line, one way or both."""

from __future__ import annotations

from torch import Tensor, nn

from ocrtrain.model.dropout import ChannelDropout


class SequenceBlock(nn.Module):
    """x + dropout(mean of a layer over time and one against it, of layer-normed x).

    forth, back: layers called as (x [N, T, width], lengths); back: None to read in one direction alone.
    """

    def __init__(self, width: int, forth: nn.Module, back: nn.Module | None, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.forth, self.back = forth, back
        self.dropout = ChannelDropout(dropout)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Map x [N, T, width] with lengths [N] to [N, T, width]."""
        y = self.norm(x)
        # A mean, not a sum: deep stacks of sums have been seen to overflow in half precision.
        mixed = self.forth(y, lengths)
        if self.back is not None:
            mixed = (mixed + self.back(y, lengths)) / 2
        return x + self.dropout(mixed)
