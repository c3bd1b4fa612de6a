"""A small residual network for CPUs and small data: one block per halving of the height."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ocrtrain.errors import InputError
from ocrtrain.model.convolution import Convolution
from ocrtrain.model.mask import mask_columns, masked_relu


class CompactResNet(nn.Module):
    """Read lines with a 3x3 stem and one residual block per stage, down to one row.

    Stem and first stage halve height and width, the other stages the height alone, so a frame covers 4
    columns. The rows that remain are read side by side by one linear layer, which keeps what stands above
    from what stands below.

    channels: of stem and stages; in_channels: 1 for grey, 3 for RGB; height: rows of the lines;
    out_channels: features per frame. Pixels are read as ink: paper white is 0, black is 1.
    """

    columns_per_frame = 4

    def __init__(
        self,
        in_channels: int = 1,
        height: int = 40,
        channels: Sequence[int] = (32, 32, 64, 128, 256),
        out_channels: int = 256,
    ) -> None:
        super().__init__()
        if len(channels) < 2:
            raise InputError(f"backbone.channels={list(channels)}", "has no stage", "give stem and stages.")
        self.in_channels, self.height, self.out_channels = in_channels, height, out_channels
        self.stem = Convolution(in_channels, channels[0], 3, stride=2, padding=1, bias=False)
        self.stem_norm = nn.BatchNorm2d(channels[0])
        strides = [(2, 2)] + [(2, 1)] * (len(channels) - 2)
        self.stages = nn.ModuleList(
            ResidualBlock(inner, outer, stride)
            for inner, outer, stride in zip(channels[:-1], channels[1:], strides, strict=True)
        )
        self.halvings = len(channels)
        self.frame = nn.Linear(channels[-1] * rows_left(height, self.halvings), out_channels)

    def reads(self, channels: int, height: int) -> bool:
        """Tell whether lines of so many channels and rows can be read."""
        rows = rows_left(height, self.halvings)
        return channels == self.in_channels and rows == rows_left(self.height, self.halvings)

    def forward(self, pixels: Tensor, widths: Tensor) -> tuple[Tensor, Tensor]:
        """Map uint8 pixels [N, C, H, W] with widths [N] to features [N, T, out_channels] and lengths [N]."""
        x = mask_columns(1.0 - pixels.float() / 255.0, widths)
        x = x.contiguous(memory_format=torch.channels_last)
        widths = halve(widths)
        x = masked_relu(self.stem_norm(self.stem(x)), widths)
        for i, stage in enumerate(self.stages):
            widths = halve(widths) if i == 0 else widths
            x = stage(x, widths)
        return self.frame(x.permute(0, 3, 2, 1).flatten(2)), widths


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch norm beside a shortcut, masked so that padding stays zero.

    Source: He et al., "Deep Residual Learning for Image Recognition", 2015, figure 2.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: tuple[int, int]) -> None:
        super().__init__()
        self.conv1 = Convolution(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(out_channels)
        self.conv2 = Convolution(out_channels, out_channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(out_channels)
        # Rows and columns are skipped before the 1x1 convolution, not by its stride: on CPUs the backward
        # pass of a strided one writes beyond its memory for fewer than 16 channels (oneDNN's issue 6035).
        self.stride = stride
        self.shortcut = Convolution(in_channels, out_channels, 1, bias=False)
        self.shortcut_norm = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor, widths: Tensor) -> Tensor:
        """Map x [N, C, H, W] to [N, C', H', W'] whose valid columns are widths [N]."""
        y = masked_relu(self.norm1(self.conv1(x)), widths)
        kept = x[:, :, :: self.stride[0], :: self.stride[1]]
        y = self.norm2(self.conv2(y)) + self.shortcut_norm(self.shortcut(kept))
        return masked_relu(y, widths)


def rows_left(rows: int, halvings: int) -> int:
    """Count the rows that so many strides of two leave, each half of those before, rounded up."""
    for _ in range(halvings):
        rows = -(-rows // 2)
    return rows


def halve(widths: Tensor) -> Tensor:
    """Columns that a stride of two leaves of widths [N]: half, rounded up."""
    return torch.div(widths + 1, 2, rounding_mode="floor")
