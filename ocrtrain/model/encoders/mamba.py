"""A stack of Mamba layers that reads a line in both directions."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from torch import Tensor, nn

from ocrtrain.model.encoders.block import check_layers
from ocrtrain.model.encoders.mamba_sizes import MambaSizes
from ocrtrain.model.encoders.pretrained_mamba import PretrainedMamba


class MambaEncoder(nn.Module):
    """Pre-norm residual Mamba blocks, over time and, if bidirectional, against it.

    width: features per frame, in and out; layers: number of blocks; dropout: on each block's output; backend:
    of the scan; pretrained: a Mamba language model whose first blocks to start from, a folder or a name on
    the Hugging Face hub (see `PretrainedMamba`), whose sizes then replace all others; the rest: `MambaSizes`.

    `settled` holds the settings that came from `pretrained`: with them in their place, the same encoder is
    built where that model is out of reach.
    """

    def __init__(
        self,
        width: int = 256,
        layers: int = 1,
        bidirectional: bool = True,
        dropout: float = 0.1,
        d_state: int = 16,
        d_conv: int = 4,
        expand: float = 2,
        dt_rank: int | str = "auto",
        backend: str = "auto",
        bias: bool = False,
        conv_bias: bool = True,
        d_model: int | None = None,
        norm: str = "layer",
        norm_eps: float = 1e-5,
        residual_in_fp32: bool = False,
        pretrained: str | None = None,
    ) -> None:
        super().__init__()
        check_layers(layers)
        self.width = width
        self.settled: dict[str, Any] = {}
        sizes = MambaSizes(
            d_state,
            d_conv,
            expand,
            dt_rank,
            bias,
            conv_bias,
            d_model,
            norm,
            norm_eps,
            residual_in_fp32,
        )
        start = None if pretrained is None else PretrainedMamba(pretrained)
        if start is not None:
            sizes = start.sizes_instead_of(sizes)
            self.settled = {**asdict(sizes), "pretrained": None}
        inner = sizes.d_model or width
        self.project_in = nn.Identity() if inner == width else nn.Linear(width, inner)
        self.blocks = nn.ModuleList(
            sizes.make_block(inner, bidirectional, dropout, backend) for _ in range(layers)
        )
        self.norm = sizes.make_norm(inner)
        self.project_out = nn.Identity() if inner == width else nn.Linear(inner, width)
        if start is not None:
            start.load_into(self.blocks, self.norm)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Map x [N, T, width] with lengths [N] to [N, T, width]."""
        x = self.project_in(x)
        for block in self.blocks:
            x = block(x, lengths)
        return self.project_out(self.norm(x))
