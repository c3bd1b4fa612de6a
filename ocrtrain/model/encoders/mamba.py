"""A stack of Mamba layers that reads a line in both directions."""

from __future__ import annotations

from torch import Tensor, nn

from ocrtrain.model.dropout import ChannelDropout
from ocrtrain.model.ssm import Mamba


class MambaEncoder(nn.Module):
    """Pre-norm residual Mamba blocks, over time and, if bidirectional, against it.

    width: features per frame, in and out; layers: number of blocks; dropout: on each block's output; the rest
    goes to every `Mamba` layer, which explains it.
    """

    def __init__(
        self,
        width: int = 256,
        layers: int = 2,
        bidirectional: bool = True,
        dropout: float = 0.1,
        d_state: int = 16,
        d_conv: int = 4,
        expand: float = 2,
        dt_rank: int | str = "auto",
        backend: str = "auto",
    ) -> None:
        super().__init__()
        self.width = width
        inner = (d_state, d_conv, expand, dt_rank, backend)
        self.blocks = nn.ModuleList(MambaBlock(width, bidirectional, dropout, *inner) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Map x [N, T, width] with lengths [N] to [N, T, width]."""
        for block in self.blocks:
            x = block(x, lengths)
        return self.norm(x)


class MambaBlock(nn.Module):
    """x + dropout(mean of a layer over time and one against it, of layer-normed x)."""

    def __init__(
        self,
        width: int,
        bidirectional: bool,
        dropout: float,
        d_state: int,
        d_conv: int,
        expand: float,
        dt_rank: int | str,
        backend: str,
    ) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        inner = (d_state, d_conv, expand, dt_rank)
        self.forth = Mamba(width, *inner, backend=backend)
        self.back = Mamba(width, *inner, reverse=True, backend=backend) if bidirectional else None
        self.dropout = ChannelDropout(dropout)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Map x [N, T, width] with lengths [N] to [N, T, width]."""
        y = self.norm(x)
        # A mean, not a sum: deep stacks of sums have been seen to overflow in half precision.
        mixed = self.forth(y, lengths)
        if self.back is not None:
            mixed = (mixed + self.back(y, lengths)) / 2
        return x + self.dropout(mixed)
