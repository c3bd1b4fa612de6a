"""Checkpoints: the best by validation CER, the newest to go on from, whole or not there at all."""

from __future__ import annotations

import signal
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch import Callback, LightningModule, Trainer

from ocrtrain.adapter import AdapterWriter
from ocrtrain.checkpoint import KEY, Description, read_checkpoint
from ocrtrain.errors import InputError
from ocrtrain.files import atomic_path
from ocrtrain.training.clock import Clock, stepped
from ocrtrain.training.recognition import Recognition


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its final name and moves it there when it is complete."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        """Save `checkpoint`; a full disk or a missing permission raises InputError naming the path."""
        with atomic_path(path) as temporary:
            torch.save(checkpoint, temporary)


class Keeper(Callback):
    """Saves `best.ckpt` when validation CER has fallen, and `last.ckpt` every so often and at the end.

    adapter: writes what is trained beside a base into a folder of its own, whenever `best.ckpt` is saved.
    A request to stop (SIGTERM, Ctrl-C) takes effect after the running step, so that `last.ckpt` is exact; a
    validation that is not due is left out then.
    """

    def __init__(
        self,
        folder: Path,
        description: Description,
        clock: Clock,
        every_seconds: float = 300.0,
        adapter: AdapterWriter | None = None,
    ) -> None:
        self.folder, self.description, self.clock, self.adapter = folder, description, clock, adapter
        self.every_seconds = every_seconds
        self.best_cer, self.best_step = float("inf"), 0
        self.interrupted: int | None = None
        self._saved = 0.0
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
            self.best_cer, self.best_step = self._recorded_best()
        for number in (signal.SIGINT, signal.SIGTERM):
            self._handlers[number] = signal.signal(number, self._on_signal)

    def _recorded_best(self) -> tuple[float, int]:
        """Ask `best.ckpt` itself: it may be newer than the checkpoint that is resumed, or not be there."""
        try:
            state = read_checkpoint(self.best)["callbacks"][self.state_key]
            return float(state["best_cer"]), int(state["best_step"])
        except (InputError, KeyError):
            return float("inf"), 0

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.interrupted is not None:  # asked twice: now
            raise KeyboardInterrupt
        self.interrupted = number

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not stepped(trainer, batch_idx):  # the gradients gathered so far would be lost
            return
        if self.interrupted is not None:
            trainer.should_stop = True
            due = trainer.val_check_batch == 1 or self.clock.done(trainer)  # see `Validator`
            if not due:
                trainer.limit_val_batches = 0
        if trainer.should_stop or self.clock.seconds - self._saved >= self.every_seconds:
            trainer.save_checkpoint(self.last)
            self._saved = self.clock.seconds

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, Recognition)
        if trainer.sanity_checking or pl_module.validation is None:
            return
        cer = pl_module.validation.counts.cer
        if cer < self.best_cer:
            self.best_cer, self.best_step = cer, trainer.global_step
            trainer.save_checkpoint(self.best)
            if self.adapter is not None and trainer.is_global_zero:
                self.adapter.save(pl_module.model.state_dict())
        if trainer.should_stop:  # a resumed run must not forget this validation
            trainer.save_checkpoint(self.last)

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint[KEY] = self.description.as_dict()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # Not later: Lightning puts its own handlers away before it calls `teardown`.
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers.clear()

    def state_dict(self) -> dict[str, Any]:
        return {"best_cer": self.best_cer, "best_step": self.best_step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best_cer, self.best_step = state_dict["best_cer"], state_dict["best_step"]
