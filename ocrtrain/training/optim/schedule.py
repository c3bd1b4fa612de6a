"""Learning rates as a function of how much of the budget is used up."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from ocrtrain.settings import Limits, checked

Warmup = Annotated[float, Limits(0, below=1, hint="it is a share of the budget; 0 is for none.")]


@dataclass(frozen=True, slots=True)
class WarmupCosine:
    """Rise linearly over the share `warmup`, then fall along half a cosine to `final` (both relative).

    A function of progress, not of steps: with a time budget the rate reaches its end when the time does.
    """

    warmup: float = 0.05
    final: float = 0.0

    def __post_init__(self) -> None:
        checked(self.warmup, Warmup, "schedule.warmup")

    def __call__(self, progress: float) -> float:
        """Factor on the learning rate at `progress` in [0, 1] of the budget."""
        progress = min(max(progress, 0.0), 1.0)
        if progress < self.warmup:
            return max(progress / self.warmup, 1e-3)
        fall = (progress - self.warmup) / (1.0 - self.warmup)
        return self.final + (1.0 - self.final) * 0.5 * (1.0 + math.cos(math.pi * fall))


@dataclass(frozen=True, slots=True)
class OneCycle:
    """Rise from `start` over the share `warmup`, then fall to `final` (both relative), along half cosines.

    The learning rates of torch's `OneCycleLR`, with its defaults: a long rise allows for a higher rate at the
    top. The momentum does not move against them, as it may there.

    Source: Smith and Topin, "Super-Convergence", 2018.
    """

    warmup: float = 0.3
    start: float = 0.04
    final: float = 4e-6

    def __post_init__(self) -> None:
        checked(self.warmup, Warmup, "schedule.warmup")

    def __call__(self, progress: float) -> float:
        """Factor on the learning rate at `progress` in [0, 1] of the budget."""
        progress = min(max(progress, 0.0), 1.0)
        if progress < self.warmup:
            rise = progress / self.warmup
            return self.start + (1.0 - self.start) * 0.5 * (1.0 - math.cos(math.pi * rise))
        fall = (progress - self.warmup) / (1.0 - self.warmup)
        return self.final + (1.0 - self.final) * 0.5 * (1.0 + math.cos(math.pi * fall))


@dataclass(frozen=True, slots=True)
class Constant:
    """Keep the learning rate, after a linear rise over the share `warmup` of the budget."""

    warmup: float = 0.0

    def __post_init__(self) -> None:
        checked(self.warmup, Warmup, "schedule.warmup")

    def __call__(self, progress: float) -> float:
        """Factor on the learning rate at `progress` in [0, 1] of the budget."""
        return min(1.0, max(progress / self.warmup, 1e-3)) if self.warmup else 1.0
