"""Stops a run that cannot go well, with the reason, before it wastes a night."""

from __future__ import annotations

import logging
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from ocrtrain.errors import InputError
from ocrtrain.training.recognition import Recognition

log = logging.getLogger(__name__)


class Guard(Callback):
    """Checks that every trainable parameter gets a gradient, and counts the lines that could not be used.

    max_unreadable: lines whose image turned out to be damaged before the run stops.
    """

    def __init__(self, max_unreadable: int) -> None:
        self.max_unreadable = max_unreadable
        self._checked = False
        self._told = 0
        self._failure: InputError | None = None

    def on_after_backward(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._checked:
            return
        self._checked = True
        parameters = pl_module.named_parameters()
        dead = [n.removeprefix("model.") for n, p in parameters if p.requires_grad and p.grad is None]
        if dead:
            raise InputError(
                "the model",
                f"has trainable parameters that no gradient reaches: {', '.join(dead[:5])}"
                + (f" and {len(dead) - 5} more" if len(dead) > 5 else ""),
                "An adapter may sit on a layer whose weight is read past it: take that out of adapt.targets. "
                "Another parameter may have no part in reading: freeze it (adapt=freeze, adapt.train).",
            )

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._tell(pl_module)
        if self._told > self.max_unreadable:
            self._failure = InputError(
                "the data",
                f"{self._told} lines could not be read, more than {self.max_unreadable} (named above)",
                "replace their images, or raise data.max_skipped; last.ckpt is there to resume from.",
            )
            # Not raised at once: the checkpoint is still to be saved.
            trainer.should_stop = True
            trainer.limit_val_batches = 0

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._tell(pl_module)

    def _tell(self, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, Recognition)
        reasons = list(pl_module.unreadable)
        for reason in reasons[self._told :]:
            log.warning("left out: %s", reason)
        self._told = len(reasons)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, Recognition)
        if self._failure is not None:
            raise self._failure
        if pl_module.unreadable:
            log.warning("%d lines were left out because they could not be read", len(pl_module.unreadable))
        if pl_module.infeasible:
            log.warning(
                "%d times a text was too long for its line after augmentation and did not count",
                pl_module.infeasible,
            )
