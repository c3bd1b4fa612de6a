"""Decision on what follows a training step: training stops, validates, saves, or goes on."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from lightning.pytorch import Callback, LightningModule, Trainer

from ocrtrain.distributed import collectives
from ocrtrain.training.clock import Clock, stepped
from ocrtrain.training.stop_signals import StopSignals
from ocrtrain.training.validation_schedule import ValidationSchedule


@dataclass(frozen=True, slots=True)
class Decision:
    """Decision on what follows an optimizer step, the same in every process of the run.

    stop: it was the last one; validate: the validation lines are read now; save: last.ckpt is written, after
    the validation if there is one, so that a resumed run does not miss it.
    """

    stop: bool = False
    validate: bool = False
    save: bool = False


class Stopper(Protocol):
    """A callback that may want training to end: `finished` tells so, and is the same in every process."""

    @property
    def finished(self) -> bool: ...


class Failing(Protocol):
    """A callback that may find that training cannot go on, perhaps in one process only."""

    @property
    def failed(self) -> bool: ...


class StepDecision(Callback):
    """Decides after each optimizer step what follows it, once, for all processes of the run.

    Clocks differ between processes, so the first one's count; a signal or a failure may reach any of them.
    All answers travel in one exchange a step. The callbacks after this one read `decision` and do one thing
    each; nothing else touches the Trainer's fields that steer its loop: `should_stop`, `val_check_batch` and
    `limit_val_batches`.

    save_every_steps, save_every_seconds: None for no such rule; failing: asked after each step; stoppers:
    asked after each validation. `signal` is the number of the signal that ended the run, 0 if none did.
    """

    def __init__(
        self,
        clock: Clock,
        validation: ValidationSchedule,
        save_every_steps: int | None = None,
        save_every_seconds: float | None = 300.0,
        failing: Failing | None = None,
        stoppers: Sequence[Stopper] = (),
    ) -> None:
        self.clock, self.validation = clock, validation
        self.save_every_steps, self.save_every_seconds = save_every_steps, save_every_seconds
        self.failing, self.stoppers = failing, list(stoppers)
        self.decision = Decision()
        self.signal = 0
        self._signals = StopSignals()
        self._saved = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._saved = self.clock.seconds
        self._signals.listen()
        # A run that had come to its end, resumed, has nothing left to do.
        ended = any(stopper.finished for stopper in self.stoppers)
        trainer.should_stop = collectives.first_decides(ended or self.clock.done(trainer.global_step))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not stepped(trainer, batch_idx):  # gradients are being gathered: there is no state to save
            self.decision = Decision()
        else:
            self.decision = self._decide(trainer)
            trainer.should_stop = self.decision.stop
        # Lightning validates after every `val_check_batch` batches, and whenever it is told to stop.
        trainer.val_check_batch = 1 if self.decision.validate else sys.maxsize
        if self.decision.stop and not self.decision.validate:
            trainer.limit_val_batches = 0

    def _decide(self, trainer: Trainer) -> Decision:
        step, seconds, first = trainer.global_step, self.clock.seconds, trainer.is_global_zero
        # A user's own callback may have stopped the Trainer, in one process or in all.
        done = trainer.should_stop or (first and self.clock.done(step))
        due = first and self.validation.due(step, seconds)
        saves = first and self._save_is_due(step, seconds)
        failed = self.failing is not None and self.failing.failed
        votes = collectives.highest(done, due, saves, failed, self._signals.received)
        done, due, saves, failed = map(bool, votes[:4])
        self.signal = votes[4]
        due = due or done
        if due:
            self.validation.begin(step, seconds)
        if failed:
            return Decision(stop=True, save=True)
        # Asked to stop, it does so at once: a validation that is not due is left out.
        stop = done or bool(self.signal)
        return Decision(stop=stop, validate=due, save=saves or stop)

    def _save_is_due(self, step: int, seconds: float) -> bool:
        if self.save_every_steps and step % self.save_every_steps == 0:
            return True
        return self.save_every_seconds is not None and seconds - self._saved >= self.save_every_seconds

    def saved(self) -> None:
        """Note that last.ckpt is being written: the next one is due so much later."""
        self._saved = self.clock.seconds

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.validation.end(self.clock.seconds)
        if trainer.should_stop or any(stopper.finished for stopper in self.stoppers):
            self.decision = replace(self.decision, stop=True, save=True)
            trainer.should_stop = True

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # Not later: Lightning puts its own handlers away before it calls `teardown`.
        self._signals.restore()

    @property
    def state_key(self) -> str:
        return "Validator"  # as in checkpoints of earlier versions, which resume too

    def state_dict(self) -> dict[str, Any]:
        return self.validation.state()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.validation.load_state(state_dict)
