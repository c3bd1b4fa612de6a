"""Says what is likely wrong when a model goes on reading nothing at all."""

from __future__ import annotations

import logging
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from ocrtrain.fields import CheckedFields
from ocrtrain.training.recognizer_module import RecognizerModule

log = logging.getLogger(__name__)

VALIDATIONS = 3  # in a row
FALL = 0.95  # a loss that falls to less than this share from one validation to the next still learns

CAUSES = """\
the model has read (almost) nothing in {n} validations in a row, and its loss no longer falls. Likely causes:
  texts do not belong to their images     look at {folder}/samples.png and at the pairs of files
  lines run from right to left, are turned or cut off       look at samples.png
  learning rates are too high or too low  optimizer.lr, optimizer.matrix_lr: a tenth, or three times as much
  too few lines, or too little time       some hundred steps are needed before the first characters appear
  `fit overfit=8` tells within a minute whether this set-up can learn eight lines by heart"""


class BlankPlateauWarning(Callback):
    """Watches validations for a plateau of blanks: hardly a character read, and no progress in the loss."""

    def __init__(self, folder: Any) -> None:
        self.folder = folder
        self._loss, self._in_a_row, self._told = float("inf"), 0, False

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, RecognizerModule)
        validation = pl_module.validation
        if trainer.sanity_checking or validation is None:
            return
        counts = validation.counts
        read = counts.characters - counts.deletions + counts.insertions
        stuck = read < 0.01 * counts.characters and not validation.loss < FALL * self._loss
        self._loss, self._in_a_row = validation.loss, self._in_a_row + 1 if stuck else 0
        if self._in_a_row >= VALIDATIONS and not self._told:
            self._told = True
            if trainer.is_global_zero:
                log.warning("%s", CAUSES.format(n=self._in_a_row, folder=self.folder))

    @property
    def state_key(self) -> str:
        return "BlankPlateauWarning"  # as in checkpoints of earlier versions

    def state_dict(self) -> dict[str, Any]:
        return {"loss": self._loss, "in_a_row": self._in_a_row, "told": self._told}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        fields = CheckedFields(state_dict, "BlankPlateauWarning")
        self._loss, self._in_a_row = fields.number("loss", finite=False), fields.integer("in_a_row", 0)
        self._told = fields.boolean("told")
