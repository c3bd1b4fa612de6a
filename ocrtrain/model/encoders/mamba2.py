"""A stack of Mamba-2 layers that reads a line in both directions."""

from __future__ import annotations

from torch import Tensor, nn

from ocrtrain.model.encoders.block import SequenceBlock, check_layers
from ocrtrain.model.ssm import Mamba2


class Mamba2Encoder(nn.Module):
    """Pre-norm residual Mamba-2 blocks, over time and, if bidirectional, against it.

    width: features per frame, in and out; layers: number of blocks; dropout: on each block's output; the rest
    goes to every `Mamba2` layer, which explains it.
    """

    def __init__(
        self,
        width: int = 256,
        layers: int = 2,
        bidirectional: bool = True,
        dropout: float = 0.1,
        d_state: int = 64,
        d_conv: int = 4,
        expand: float = 2,
        headdim: int = 64,
        ngroups: int = 1,
        chunk_size: int = 64,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        check_layers(layers)
        self.width = width

        def layer(reverse: bool) -> Mamba2:
            return Mamba2(
                width,
                d_state,
                d_conv,
                expand,
                headdim,
                ngroups,
                chunk_size=chunk_size,
                reverse=reverse,
                backend=backend,
            )

        self.blocks = nn.ModuleList(
            SequenceBlock(width, layer(False), layer(True) if bidirectional else None, dropout)
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Map x [N, T, width] with lengths [N] to [N, T, width]."""
        for block in self.blocks:
            x = block(x, lengths)
        return self.norm(x)
