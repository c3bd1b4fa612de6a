"""Early stopping: when validations have not become better for a while."""

from __future__ import annotations

import logging
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from ocrtrain.fields import CheckedFields
from ocrtrain.training.recognizer_module import RecognizerModule

log = logging.getLogger(__name__)


class EarlyStopping(Callback):
    """Stops a run when `patience` validations in a row have brought no lower CER than before.

    Every rank knows the same CER, of all validation lines, so all stop together.
    """

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self._best, self._since = float("inf"), 0

    @property
    def finished(self) -> bool:
        """Tell whether training is to end."""
        return self._since >= self.patience

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, RecognizerModule)
        if trainer.sanity_checking or pl_module.validation is None:
            return
        cer = pl_module.validation.counts.cer
        self._since = 0 if cer < self._best else self._since + 1
        self._best = min(self._best, cer)
        if self.finished and not trainer.should_stop:
            log.info(
                "stopping early: no better than %.2f%% CER in %d validations", 100 * self._best, self._since
            )

    @property
    def state_key(self) -> str:
        return "EarlyStopping"  # as in checkpoints of earlier versions

    def state_dict(self) -> dict[str, Any]:
        return {"best": self._best, "since": self._since}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        fields = CheckedFields(state_dict, "EarlyStopping")
        self._best, self._since = fields.number("best", 0, finite=False), fields.integer("since", 0)
