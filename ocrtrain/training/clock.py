"""Pace of a run: how much of its budget is used up, and the learning rate that follows from it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from ocrtrain.fields import CheckedFields
from ocrtrain.training.budget import Budget


def stepped(trainer: Trainer, batch_idx: int) -> bool:
    """Tell whether the optimizer moved on this batch: with accumulated gradients it does so now and then."""
    return (batch_idx + 1) % trainer.accumulate_grad_batches == 0


class Clock(Callback):
    """Sets the learning rate of each step by progress within the budget.

    Seconds count from the start of training and go on after a resume, so a resumed run gets what was left.
    """

    def __init__(self, budget: Budget, schedule: Callable[[float], float]) -> None:
        self.budget, self.schedule = budget, schedule
        self.factor = 0.0
        self._rates: list[float] = []
        self._before = 0.0
        self._started: float | None = None

    @property
    def seconds(self) -> float:
        """Seconds of training so far."""
        return self._before + (0.0 if self._started is None else time.monotonic() - self._started)

    def progress(self, step: int) -> float:
        """Share of the budget that is used up after `step` steps."""
        return self.budget.progress(step, self.seconds)

    def done(self, step: int) -> bool:
        """Tell whether the budget is used up."""
        return self.progress(step) >= 1.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._started = time.monotonic()
        # The settings' own, of a resumed run too: what it restores of its optimizer has no rates.
        self._rates = self._rates or [g["lr"] for g in trainer.optimizers[0].param_groups]

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self.factor = self.schedule(self.progress(trainer.global_step))
        for group, rate in zip(trainer.optimizers[0].param_groups, self._rates, strict=True):
            group["lr"] = rate * self.factor

    def state_dict(self) -> dict[str, Any]:
        return {"seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._before = CheckedFields(state_dict, "Clock").number("seconds", 0)
