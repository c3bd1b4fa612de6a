"""Budget of a training: steps or time, whichever ends first."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Budget:
    """Where training ends, and how far along it is.

    max_steps: optimizer steps; max_seconds: wall-clock seconds of training, validation included; None: no
    limit.
    """

    max_steps: int | None
    max_seconds: float | None

    def progress(self, step: int, seconds: float) -> float:
        """Tell which part of the budget is used up after `step` steps and `seconds` seconds: 1 is the end."""
        by_steps = step / self.max_steps if self.max_steps else 0.0
        by_time = seconds / self.max_seconds if self.max_seconds else 0.0
        return max(by_steps, by_time)
