"""Self-attention over the line: every frame looks at every other, at a cost that grows with their square."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ocrtrain.errors import InputError
from ocrtrain.model.dropout import ChannelDropout
from ocrtrain.model.encoders.block import check_layers
from ocrtrain.model.mask import frame_mask

BASE = 10_000.0  # of the rotations' wavelengths, as in the paper


class TransformerEncoder(nn.Module):
    """Pre-norm residual blocks of self-attention and a two-layer perceptron, with rotary positions.

    width: features per frame, in and out; layers: number of blocks; heads: of the attention; dropout: on
    each half block's output; expand: the perceptron's inner width, as a multiple of `width`.

    Positions are rotations of queries and keys, so that attention sees how far apart two frames are. Lines
    are of any length: a table of absolute positions would end somewhere, and its last rows would hardly
    ever be trained. Raises InputError if the heads do not share `width` evenly.

    Sources: Vaswani et al., "Attention Is All You Need", 2017; Su et al., "RoFormer: Enhanced Transformer
    with Rotary Position Embedding", 2021.
    """

    def __init__(
        self, width: int = 256, layers: int = 2, heads: int = 4, dropout: float = 0.1, expand: float = 4.7
    ) -> None:
        super().__init__()
        check_layers(layers)
        if heads < 1 or width % (2 * heads):
            choices = [n for n in range(1, width // 2 + 1) if width % (2 * n) == 0]
            raise InputError(
                f"encoder.heads={heads}",
                f"each head needs the same even number of the {width} features",
                f"choose one of {choices}." if choices else "choose an even encoder.width.",
            )
        self.width, self.head_width = width, width // heads
        self.blocks = nn.ModuleList(TransformerBlock(width, heads, dropout, expand) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Map x [N, T, width] with lengths [N] to [N, T, width]."""
        # A line without frames looks at its first one, so that no softmax is over nothing.
        valid = frame_mask(lengths.clamp(min=1), x.shape[1])
        # No weight of zero would hide an infinity.
        x = x.masked_fill(~valid[..., None], 0.0)
        turn = rotations(x.shape[1], self.head_width, x.device)
        for block in self.blocks:
            x = block(x, valid[:, None, None, :], turn)
        return self.norm(x)


class TransformerBlock(nn.Module):
    """x + dropout(attention of layer-normed x), then the same with a perceptron."""

    def __init__(self, width: int, heads: int, dropout: float, expand: float) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm, self.perceptron_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        # One matrix each, so that Muon and adapters treat them as what they are. All of them are called,
        # their weights are not read, so that an adapter on them takes part.
        self.query, self.key, self.value, self.out = (nn.Linear(width, width, bias=False) for _ in range(4))
        inner = max(8, 8 * round(expand * width / 8))  # what matrix units like
        self.up, self.down = nn.Linear(width, inner, bias=False), nn.Linear(inner, width, bias=False)
        self.dropout = ChannelDropout(dropout)

    def forward(self, x: Tensor, valid: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
        """Map x [N, T, width] to the same; `valid` [N, 1, 1, T] marks frames to look at, `turn` rotates."""
        y = self.attention_norm(x)
        q, k, v = (
            project(y).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for project in (self.query, self.key, self.value)
        )
        q, k = (rotate(part, turn) for part in (q, k))
        seen = F.scaled_dot_product_attention(q, k, v, attn_mask=valid)
        x = x + self.dropout(self.out(seen.transpose(1, 2).flatten(2)))
        return x + self.dropout(self.down(F.gelu(self.up(self.perceptron_norm(x)))))


def rotations(frames: int, head_width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Give cosine and sine, float32 [frames, head_width / 2], of each frame's angle for a pair of features.

    In float32 under autocast, too: bfloat16 cannot tell frame 257 from 256.
    """
    frequencies = BASE ** -torch.arange(0, 1, 2 / head_width, dtype=torch.float32, device=device)
    angles = torch.arange(frames, dtype=torch.float32, device=device)[:, None] * frequencies
    return angles.cos(), angles.sin()


def rotate(x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """Turn the pairs (i, i + half) of features of x [N, heads, T, head_width] by each frame's angles."""
    cos, sin = turn
    one, other = x.float().chunk(2, dim=-1)
    return torch.cat([one * cos - other * sin, other * cos + one * sin], dim=-1).to(x.dtype)
