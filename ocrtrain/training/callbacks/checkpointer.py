"""Checkpoints: the best by validation CER, the newest to go on from, whole or not there at all."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from ocrtrain.checkpoint.adapter import AdapterWriter
from ocrtrain.checkpoint.description import KEY, Description, model_weights, read_checkpoint
from ocrtrain.checkpoint.writer import KEEP, BackgroundCheckpointIO
from ocrtrain.errors import InputError
from ocrtrain.fields import CheckedFields, FieldError
from ocrtrain.training.decision import StepDecision
from ocrtrain.training.recognizer_module import RecognizerModule

log = logging.getLogger(__name__)


class Checkpointer(Callback):
    """Saves `best.ckpt` when validation CER has fallen, and `last.ckpt` when the step's decision says so.

    folder: for the checkpoints; decision: of the run; writer: of the trainer; keep: how many of the newest
    checkpoints stay, the earlier ones as `step-N.ckpt`; adapter: writes what is trained beside a base into a
    folder of its own, whenever `best.ckpt` is saved.
    """

    def __init__(
        self,
        folder: Path,
        description: Description,
        decision: StepDecision,
        writer: BackgroundCheckpointIO,
        keep: int = 1,
        adapter: AdapterWriter | None = None,
    ) -> None:
        self.folder, self.description, self.decision = folder, description, decision
        self.writer, self.keep, self.adapter = writer, keep, adapter
        self.best_cer, self.best_step = float("inf"), 0

    @property
    def best(self) -> Path:
        """Path of the checkpoint with the lowest validation CER."""
        return self.folder / "best.ckpt"

    @property
    def last(self) -> Path:
        """Path of the newest checkpoint."""
        return self.folder / "last.ckpt"

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.global_step:
            self.best_cer, self.best_step = self._recorded_best(trainer.is_global_zero)

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

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.writer.check()
        decision = self.decision.decision
        if decision.save and not decision.validate:
            self._save_last(trainer)

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
        if self.decision.decision.save:
            self._save_last(trainer)

    def _save_last(self, trainer: Trainer) -> None:
        trainer.save_checkpoint(self.last, storage_options={KEEP: self.keep})
        self.decision.saved()

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint[KEY] = self.description.as_dict()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.writer.wait()

    @property
    def state_key(self) -> str:
        return "Checkpointer"  # as in checkpoints of earlier versions

    def state_dict(self) -> dict[str, Any]:
        return {"best_cer": self.best_cer, "best_step": self.best_step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best_cer, self.best_step = _best(state_dict)


def _best(state: object) -> tuple[float, int]:
    """Read the lowest CER, infinite before the first validation, and its step; raises FieldError."""
    fields = CheckedFields(state, "Checkpointer")
    return fields.number("best_cer", 0, finite=False), fields.integer("best_step", 0)
