"""The residual block around a layer that runs along the line, one way or both."""

from __future__ import annotations

from torch import Tensor, nn

from ocrtrain.errors import InputError
from ocrtrain.model.dropout import ChannelDropout


def check_layers(layers: int) -> None:
    """Raise InputError for a stack without layers."""
    if layers < 1:
        raise InputError(
            f"encoder.layers={layers}", "must be at least 1", "encoder=none reads without an encoder."
        )


class SequenceBlock(nn.Module):
    """x + dropout(mean of a layer over time and one against it, of normed x).

    forth, back: layers called as (x [N, T, width], lengths); back: None to read in one direction alone;
    norm: by default a layer norm; residual_in_fp32: add up blocks in float32 under autocast, too.
    """

    def __init__(
        self,
        width: int,
        forth: nn.Module,
        back: nn.Module | None,
        dropout: float,
        norm: nn.Module | None = None,
        residual_in_fp32: bool = False,
    ) -> None:
        super().__init__()
        self.residual_in_fp32 = residual_in_fp32
        self.norm = nn.LayerNorm(width) if norm is None else norm
        self.forth, self.back = forth, back
        self.dropout = ChannelDropout(dropout)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Map x [N, T, width] with lengths [N] to [N, T, width]."""
        x = x.float() if self.residual_in_fp32 else x
        y = self.norm(x)
        # A mean, not a sum: deep stacks of sums have been seen to overflow in half precision.
        mixed = self.forth(y, lengths)
        if self.back is not None:
            mixed = (mixed + self.back(y, lengths)) / 2
        return x + self.dropout(mixed)
