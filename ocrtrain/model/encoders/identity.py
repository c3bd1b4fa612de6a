"""No encoder: what the backbone sees around each frame has to do."""

from __future__ import annotations

from torch import Tensor, nn


class IdentityEncoder(nn.Module):
    """Passes features on as they are; `width` features per frame."""

    def __init__(self, width: int = 256) -> None:
        super().__init__()
        self.width = width

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Return x [N, T, width]."""
        return x
