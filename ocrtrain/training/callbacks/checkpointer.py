"""Checkpoints: the best by validation CER, the newest to go on from, whole or not there at all."""

from __future__ import annotations

import logging
import os
import signal
from pathlib import Path
from types import FrameType
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from ocrtrain.checkpoint.adapter import AdapterWriter
from ocrtrain.checkpoint.description import KEY, Description, model_weights, read_checkpoint
from ocrtrain.checkpoint.writer import KEEP, BackgroundCheckpointIO
from ocrtrain.distributed import collectives
from ocrtrain.errors import InputError
from ocrtrain.fields import CheckedFields, FieldError
from ocrtrain.training.clock import Clock, stepped
from ocrtrain.training.recognizer_module import RecognizerModule

log = logging.getLogger(__name__)


class Checkpointer(Callback):
    """Saves `best.ckpt` when validation CER has fallen, and `last.ckpt` every so often and at the end.

    writer: of the trainer; adapter: writes what is trained beside a base into a folder of its own, whenever
    `best.ckpt` is saved. every_seconds, every_steps: None for no such rule; keep: how many of the newest
    checkpoints stay, the earlier ones as `step-N.ckpt`.

    A request to stop (SIGTERM, Ctrl-C, SIGUSR1 in a SLURM job) takes effect after the running step, so that
    `last.ckpt` is exact; a validation that is not due is left out then.
    """

    def __init__(
        self,
        folder: Path,
        description: Description,
        clock: Clock,
        writer: BackgroundCheckpointIO,
        every_seconds: float | None = 300.0,
        every_steps: int | None = None,
        keep: int = 1,
        adapter: AdapterWriter | None = None,
    ) -> None:
        self.folder, self.description, self.clock, self.adapter = folder, description, clock, adapter
        self.writer, self.keep = writer, keep
        self.every_seconds, self.every_steps = every_seconds, every_steps
        self.best_cer, self.best_step = float("inf"), 0
        self.interrupted: int | None = None
        self._saved = 0.0
        self._due = False
        self._handlers: dict[int, Any] = {}

    @property
    def best(self) -> Path:
        """Path of the checkpoint with the lowest validation CER."""
        return self.folder / "best.ckpt"

    @property
    def last(self) -> Path:
        """Path of the newest checkpoint."""
        return self.folder / "last.ckpt"

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._saved = self.clock.seconds
        if trainer.global_step:
            self.best_cer, self.best_step = self._recorded_best(trainer.is_global_zero)
        for number in stop_signals():
            self._handlers[number] = signal.signal(number, self._on_signal)

    def _recorded_best(self, first: bool) -> tuple[float, int]:
        """Ask `best.ckpt` itself: it may be newer than the checkpoint that is resumed, or not be there.

        A run may have been killed when it had its name and the adapter that belongs to it did not, so the
        `first` process looks after that.
        """
        try:
            content = read_checkpoint(self.best)
            best = _best(CheckedFields(content.get("callbacks"), "callbacks").fields(self.state_key).values)
        except (InputError, FieldError) as error:
            if first and self.best.exists():
                log.warning("%s cannot be used, and the next validation writes it anew: %s", self.best, error)
            return float("inf"), 0
        if first and self.adapter is not None:
            weights = model_weights(content)
            if not self.adapter.holds(weights):
                self.adapter.save(weights)
                log.info("%s: written again, from %s", self.adapter.folder, self.best)
        return best

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        # Asked twice from the keyboard: now. A batch system may well tell every process, and so some twice.
        if self.interrupted is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.interrupted = self.interrupted or number

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.writer.check()
        if not stepped(trainer, batch_idx):  # the gradients gathered so far would be lost
            return
        mine = self._time_to_save(trainer) if trainer.is_global_zero else False
        interrupted, save = collectives.highest(self.interrupted or 0, int(mine))
        validates = trainer.val_check_batch == 1 or trainer.should_stop  # see `Validator`
        if interrupted:
            self.interrupted = interrupted
            trainer.should_stop = True
            if not validates:
                trainer.limit_val_batches = 0
        # With a validation to come, what is saved must know of it: a resumed run does not make up for it.
        self._due = bool(save or trainer.should_stop)
        if self._due and not (validates and trainer.limit_val_batches):
            self._save_last(trainer)

    def _time_to_save(self, trainer: Trainer) -> bool:
        if self.every_steps and trainer.global_step % self.every_steps == 0:
            return True
        return self.every_seconds is not None and self.clock.seconds - self._saved >= self.every_seconds

    def _save_last(self, trainer: Trainer) -> None:
        trainer.save_checkpoint(self.last, storage_options={KEEP: self.keep})
        self._saved, self._due = self.clock.seconds, False

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, RecognizerModule)
        if trainer.sanity_checking or pl_module.validation is None:
            return
        cer = pl_module.validation.counts.cer
        if cer < self.best_cer:
            self.best_cer, self.best_step = cer, trainer.global_step
            trainer.save_checkpoint(self.best)
            if self.adapter is not None and trainer.is_global_zero:
                self.adapter.save(pl_module.model.state_dict())
        if self._due or trainer.should_stop:
            self._save_last(trainer)

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint[KEY] = self.description.as_dict()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # Not later: Lightning puts its own handlers away before it calls `teardown`.
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers.clear()
        self.writer.wait()

    def state_dict(self) -> dict[str, Any]:
        return {"best_cer": self.best_cer, "best_step": self.best_step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best_cer, self.best_step = _best(state_dict)


def _best(state: object) -> tuple[float, int]:
    """Read the lowest CER, infinite before the first validation, and its step; raises FieldError."""
    fields = CheckedFields(state, "Checkpointer")
    return fields.number("best_cer", 0, finite=False), fields.integer("best_step", 0)


def stop_signals() -> tuple[int, ...]:
    """Signals that ask a run to stop; SLURM sends SIGUSR1 where a job asks for a warning."""
    if "SLURM_JOB_ID" in os.environ and hasattr(signal, "SIGUSR1"):
        return signal.SIGINT, signal.SIGTERM, signal.SIGUSR1
    return signal.SIGINT, signal.SIGTERM
