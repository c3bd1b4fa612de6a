"""Sizes that decide a Mamba encoder's blocks, and the parts made of them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from ocrtrain.errors import InputError
from ocrtrain.model.encoders.block import SequenceBlock
from ocrtrain.model.ssm import Mamba

NORMS = {"layer": nn.LayerNorm, "rms": nn.RMSNorm}


@dataclass(frozen=True, slots=True)
class MambaSizes:
    """Settings of `MambaEncoder` that decide a block's tensors and what they mean, with their defaults.

    d_model: features per frame within the blocks, None for those outside; norm: "layer" or "rms", with
    `norm_eps` under its root; residual_in_fp32: add up blocks in float32 under autocast, too; the rest is
    that of `Mamba`.
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
        """Make a norm of `width` features; raises InputError for one that is not offered."""
        if self.norm not in NORMS:
            raise InputError(f"encoder.norm={self.norm}", "is not offered", f"choose one of {[*NORMS]}.")
        return NORMS[self.norm](width, eps=self.norm_eps)

    def make_block(self, width: int, bidirectional: bool, dropout: float, backend: str) -> SequenceBlock:
        """Make a block of `width` features with a layer over time and perhaps one against it."""

        def layer(reverse: bool) -> Mamba:
            inner = (self.d_state, self.d_conv, self.expand, self.dt_rank)
            biases = {"conv_bias": self.conv_bias, "bias": self.bias}
            return Mamba(width, *inner, **biases, reverse=reverse, backend=backend)

        norm, forth = self.make_norm(width), layer(False)
        back = layer(True) if bidirectional else None
        return SequenceBlock(width, forth, back, dropout, norm, self.residual_in_fp32)
