"""Pace of a run: the learning rate of each step, and the step after which training ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from ocrtrain.distributed import collectives
from ocrtrain.fields import CheckedFields
from ocrtrain.training.budget import Budget


def stepped(trainer: Trainer, batch_idx: int) -> bool:
    """Whether the optimizer moved on this batch: with accumulated gradients it does so now and then."""
    return (batch_idx + 1) % trainer.accumulate_grad_batches == 0


class Clock(Callback):
    """Sets the learning rate by progress within the budget, and stops training when the budget is used up.

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

    def progress(self, trainer: Trainer) -> float:
        """Share of the budget that is used up."""
        return self.budget.progress(trainer.global_step, self.seconds)

    def done(self, trainer: Trainer) -> bool:
        """Whether the budget is used up."""
        return self.progress(trainer) >= 1.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._started = time.monotonic()
        # The settings' own, of a resumed run too: what it restores of its optimizer has no rates.
        self._rates = self._rates or [g["lr"] for g in trainer.optimizers[0].param_groups]
        trainer.should_stop = self._agreed(trainer)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self.factor = self.schedule(self.progress(trainer))
        for group, rate in zip(trainer.optimizers[0].param_groups, self._rates, strict=True):
            group["lr"] = rate * self.factor

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if stepped(trainer, batch_idx) and self._agreed(trainer):
            trainer.should_stop = True

    def _agreed(self, trainer: Trainer) -> bool:
        """All ranks stop at the same step: their clocks differ, so rank 0's counts."""
        done = self.done(trainer)
        return done if self.budget.max_seconds is None else collectives.first_decides(done)

    def state_dict(self) -> dict[str, Any]:
        return {"seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._before = CheckedFields(state_dict, "Clock").number("seconds", 0)
