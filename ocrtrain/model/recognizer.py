"""Pixels of lines -> log-probabilities of characters per frame."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ocrtrain.model.dropout import ChannelDropout


class LineRecognizer(nn.Module):
    """A backbone reads the pixels, an encoder the sequence, a linear head scores each class per frame.

    backbone: maps (pixels [N, C, H, W], widths [N]) to (features [N, T, F], lengths [N]);
    encoder: maps (x [N, T, E], lengths) to [N, T, E]; classes: K, the charset's symbols and
    the blank (index 0).
    """

    def __init__(self, backbone: nn.Module, encoder: nn.Module, classes: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.backbone, self.encoder = backbone, encoder
        features, width = int(backbone.out_channels), int(encoder.width)  # type: ignore[arg-type]
        self.bridge = nn.Identity() if features == width else nn.Linear(features, width)
        self.dropout = ChannelDropout(dropout)
        self.head = nn.Linear(width, classes)

    def train(self, mode: bool = True) -> LineRecognizer:
        """Switch between training and evaluation; a frozen batch norm keeps its statistics in both."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d) and not module.weight.requires_grad:
                module.eval()
        return self

    def forward(self, pixels: Tensor, widths: Tensor) -> tuple[Tensor, Tensor]:
        """Read uint8 pixels [N, C, H, W], valid up to widths [N].

        Returns log_probs, float32 [N, T, K], and lengths, int64 [N]: the frames of each line.
        """
        features, lengths = self.backbone(pixels, widths)
        encoded = self.encoder(self.bridge(features), lengths)
        logits = self.head(self.dropout(encoded))
        # CTC sums many small probabilities: half precision here would cost accuracy, not save time.
        with torch.autocast(device_type=logits.device.type, enabled=False):
            return logits.float().log_softmax(-1), lengths
