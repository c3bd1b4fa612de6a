"""A convolution followed by a small residual network of its own."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from ocrtrain.model.convolution import Convolution, arguments_of


class BottleneckConv2d(Convolution):
    """y = conv(x), then y + up(relu(down(y))): `down` and `up` are 1x1, and `up` starts at zero.

    It takes the place of `conv` and has its weight under its name. All that is added sees one position at a
    time, so what lies beyond a line's end stays there until the mask that follows removes it.

    Source: Houlsby et al., "Parameter-Efficient Transfer Learning for NLP", 2019, for convolutions.
    """

    def __init__(self, conv: nn.Conv2d, width: int) -> None:
        super().__init__(**arguments_of(conv))
        self.weight, self.bias = conv.weight, conv.bias
        self.bottleneck = _Bottleneck(conv.out_channels, width)
        self.bottleneck.to(conv.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Map x [N, C, H, W] to [N, C', H', W']."""
        y: Tensor = super().forward(x)
        return y + self.bottleneck(y)


class _Bottleneck(nn.Module):
    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.down = Convolution(channels, width, 1)
        self.up = Convolution(width, channels, 1)
        nn.init.zeros_(self.up.weight)
        assert self.up.bias is not None
        nn.init.zeros_(self.up.bias)

    def forward(self, y: Tensor) -> Tensor:
        return self.up(F.relu_(self.down(y)))
