"""When the validation lines are read: every so many steps or seconds, and at the end."""

from __future__ import annotations

import sys
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from ocrtrain.distributed import collectives
from ocrtrain.fields import CheckedFields
from ocrtrain.training.clock import Clock, stepped


class Validator(Callback):
    """Lets Lightning validate when it is due, by steps or by time; it always does after the last step.

    every_steps, every_seconds: None for no such rule. With neither, at each tenth of the budget; where that
    is of time and short, not before as much time was spent on training as on the last validation.
    """

    def __init__(self, clock: Clock, every_steps: int | None, every_seconds: float | None) -> None:
        self.clock, self.every_steps, self.every_seconds = clock, every_steps, every_seconds
        self._by_tenths = every_steps is None and every_seconds is None
        self._seconds, self._tenths = 0.0, 0
        self._took = 0.0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        # Clocks differ from rank to rank, and all must validate together.
        due = stepped(trainer, batch_idx) and collectives.first_decides(self._due(trainer))
        # Lightning validates after every `val_check_batch` batches: after this one, or never.
        trainer.val_check_batch = 1 if due else sys.maxsize
        if due:
            self._seconds, self._tenths = self.clock.seconds, int(self.clock.progress(trainer) * 10)

    def _due(self, trainer: Trainer) -> bool:
        if self.every_steps and trainer.global_step % self.every_steps == 0:
            return True
        if self.every_seconds and self.clock.seconds - self._seconds >= self.every_seconds:
            return True
        if not self._by_tenths or int(self.clock.progress(trainer) * 10) <= self._tenths:
            return False
        trained = self.clock.seconds - self._seconds - self._took
        # By steps, the same ones are validated on every machine, however fast it is.
        by_steps = self.clock.budget.max_seconds is None
        return by_steps or trained >= self._took or self.clock.done(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._took = self.clock.seconds - self._seconds

    def state_dict(self) -> dict[str, Any]:
        return {"seconds": self._seconds, "tenths": self._tenths, "took": self._took}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        fields = CheckedFields(state_dict, "Validator")
        self._seconds, self._tenths = fields.number("seconds", 0), fields.integer("tenths")
        self._took = fields.number("took", 0, default=0.0)
