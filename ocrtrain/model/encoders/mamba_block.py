"""One residual block of a Mamba encoder, and the sizes that describe it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from ocrtrain.errors import InputError
from ocrtrain.model.dropout import ChannelDropout
from ocrtrain.model.ssm import Mamba

NORMS = ("layer", "rms")


@dataclass(frozen=True, slots=True)
class BlockSizes:
    """What decides a block's tensors and what they mean: settings of `MambaEncoder`, with their defaults.

    d_model: features per frame within the blocks, None for those outside; norm: "layer" or "rms", with
    `norm_eps` under its root; residual_in_fp32: add up blocks in float32 under autocast; the rest is that of
    `Mamba`.
    """

    d_state: int = 16
    d_conv: int = 4
    expand: float = 2
    dt_rank: int | str = "auto"
    bias: bool = False
    conv_bias: bool = True
    d_model: int | None = None
    norm: str = "layer"
    norm_eps: float = 1e-5
    residual_in_fp32: bool = False

    def make_norm(self, width: int) -> nn.Module:
        """Make the norm of `width` features; raises InputError for one that is not offered."""
        if self.norm not in NORMS:
            raise InputError(f"encoder.norm={self.norm}", "is not offered", f"choose one of {NORMS}.")
        kind = nn.RMSNorm if self.norm == "rms" else nn.LayerNorm
        return kind(width, eps=self.norm_eps)

    def make_layer(self, width: int, reverse: bool, backend: str) -> Mamba:
        """Make a layer of `width` features, over time or against it."""
        return Mamba(
            width,
            self.d_state,
            self.d_conv,
            self.expand,
            self.dt_rank,
            conv_bias=self.conv_bias,
            bias=self.bias,
            reverse=reverse,
            backend=backend,
        )


class MambaBlock(nn.Module):
    """x + dropout(mean of a layer over time and one against it, of normed x)."""

    def __init__(
        self, width: int, sizes: BlockSizes, bidirectional: bool, dropout: float, backend: str
    ) -> None:
        super().__init__()
        self.residual_in_fp32 = sizes.residual_in_fp32
        self.norm = sizes.make_norm(width)
        self.forth = sizes.make_layer(width, False, backend)
        self.back = sizes.make_layer(width, True, backend) if bidirectional else None
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
