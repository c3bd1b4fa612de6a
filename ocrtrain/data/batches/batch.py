"""Many lines as a model takes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(slots=True)
class Batch:
    """Lines of one height side by side, padded on the right with zeros.

    pixels: uint8 [N, C, H, W]; widths: int64 [N], the valid columns of each line;
    targets: int64 [N, L], class indices padded with 0; target_lengths: int64 [N];
    texts, sources: N strings each; unreadable: why other lines of this batch are missing; parts: of a
    mixture, the name of each line's part in it, else empty strings.
    """

    pixels: Tensor
    widths: Tensor
    targets: Tensor
    target_lengths: Tensor
    texts: list[str]
    sources: list[str]
    unreadable: list[str] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.texts)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Batch:
        """Copy the tensors to `device`; the strings stay."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Batch:
        """Pin the tensors, so that copies to a GPU can overlap with work."""
        return self._each(lambda tensor: tensor.pin_memory())

    def _each(self, change: Callable[[Tensor], Tensor]) -> Batch:
        tensors = (self.pixels, self.widths, self.targets, self.target_lengths)
        pixels, widths, targets, target_lengths = map(change, tensors)
        strings = (self.texts, self.sources, self.unreadable, self.parts)
        return Batch(pixels, widths, targets, target_lengths, *strings)
