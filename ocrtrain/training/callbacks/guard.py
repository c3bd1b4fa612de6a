"""Stops a run that cannot go well, with the reason, before it wastes a night."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn

from ocrtrain.data.batches.batch import Batch
from ocrtrain.distributed import collectives
from ocrtrain.errors import InputError
from ocrtrain.files import atomic_path
from ocrtrain.training.clock import stepped
from ocrtrain.training.recognizer_module import RecognizerModule

log = logging.getLogger(__name__)

SKIPS = 3  # steps in a row without a finite loss and gradient: then something is wrong


class Guard(Callback):
    """Checks that parameters get gradients, that these are finite, and that lines can be read.

    max_unreadable: lines whose image turned out to be damaged before the run stops; folder: where the batch
    is saved that ended a run. A step without a finite loss and gradient moves nothing, is counted and named.
    `failure` is what ended the run; it is raised when the last checkpoint is saved. `batch` is the one at
    hand, `fitted` the most values of pixels that a batch before it had.
    """

    def __init__(self, max_unreadable: int, folder: Path = Path()) -> None:
        self.max_unreadable, self.folder = max_unreadable, folder
        self.failure: InputError | None = None
        self.batch: Batch | None = None
        self.fitted = 0
        self._checked = False
        self._told = 0
        self._in_a_row = 0
        self._batches: list[tuple[Batch, Tensor | None]] = []
        self._statistics: list[tuple[Tensor, Tensor]] = []

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self.batch = batch
        if not self._batches:  # the first batch since the last step
            norms = [m for m in pl_module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
            buffers = [b for norm in norms if norm.training for b in norm.buffers(recurse=False)]
            self._statistics = [(buffer, buffer.clone()) for buffer in buffers]

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
        assert isinstance(pl_module, RecognizerModule)
        loss = outputs.get("loss") if isinstance(outputs, dict) else None
        self._batches.append((batch, loss))
        self.fitted = max(self.fitted, batch.pixels.numel())
        if stepped(trainer, batch_idx):
            self._judge_step(trainer, pl_module)
            self._batches.clear()
        self._tell(pl_module)
        lost = max(pl_module.unreadable_lines, self._told)
        if lost > self.max_unreadable:
            self._fail(
                InputError(
                    "the data",
                    f"{lost} lines could not be read, more than {self.max_unreadable} (named above)",
                    "replace their images, or raise data.max_skipped; last.ckpt is there to resume from.",
                ),
            )

    def _judge_step(self, trainer: Trainer, module: RecognizerModule) -> None:
        if module.finite or _seeks_its_scale(trainer, module):
            self._in_a_row = 0 if module.finite else self._in_a_row
            return
        # What is not finite has gone into the running averages that validation reads with.
        for buffer, before in self._statistics:
            buffer.copy_(before)
        module.finite = True
        module.skipped_steps += 1
        self._in_a_row += 1
        step = trainer.global_step
        log.warning(
            "step %d skipped: its loss or gradient is not finite (%d so far)", step, module.skipped_steps
        )
        if self._in_a_row < SKIPS:
            return
        files = collectives.gather_objects(self._save_batch(step))
        saved = ", ".join(str(file) for file in files if file is not None)
        self._fail(
            InputError(
                "the loss",
                f"was not finite in {SKIPS} steps in a row, the last of them {step}; the batch is in {saved}",
                "look at its lines; if they are as they should be, lower the learning rates (optimizer.lr,"
                " optimizer.matrix_lr) or compute in trainer.precision=32-true. The skipped steps changed no"
                " weights: last.ckpt is there to resume from.",
            ),
        )

    def _save_batch(self, step: int) -> Path | None:
        """Save this process's batch that is to blame: the first whose loss is not finite, or the last."""
        blamed = [pair for pair in self._batches if pair[1] is not None and not bool(pair[1].isfinite())]
        batch, loss = (blamed or self._batches[-1:])[0]
        if not len(batch):
            return None
        many = collectives.processes() > 1
        path = self.folder / (f"bad_batch-{collectives.rank()}.pt" if many else "bad_batch.pt")
        content = {name: getattr(batch.to("cpu"), name) for name in Batch.__slots__}
        with atomic_path(path) as temporary:
            torch.save({**content, "step": step, "loss": None if loss is None else float(loss)}, temporary)
        return path

    def _fail(self, failure: InputError) -> None:
        # Not raised at once: the checkpoint is still to be saved.
        self.failure = self.failure or failure

    @property
    def failed(self) -> bool:
        """Tell whether the run is to end because it cannot go well."""
        return self.failure is not None

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._tell(pl_module)

    def _tell(self, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, RecognizerModule)
        reasons = list(pl_module.unreadable)
        for reason in reasons[self._told :]:
            log.warning("left out: %s", reason)
        self._told = len(reasons)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, RecognizerModule)
        if self.failure is not None:
            return
        if pl_module.unreadable:
            log.warning("%d lines were left out because they could not be read", len(pl_module.unreadable))
        if pl_module.infeasible:
            log.warning(
                "%d times a text was too long for its line after augmentation and did not count",
                pl_module.infeasible,
            )
        if pl_module.skipped_steps:
            log.warning(
                "%d steps were skipped: their loss or gradient was not finite", pl_module.skipped_steps
            )

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        assert isinstance(pl_module, RecognizerModule)
        checkpoint["guard"] = {"skipped_steps": pl_module.skipped_steps, "in_a_row": self._in_a_row}

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        assert isinstance(pl_module, RecognizerModule)
        state = checkpoint.get("guard", {})
        pl_module.skipped_steps = state.get("skipped_steps", 0)
        # Three more chances: who resumes has, with luck, changed something.
        self._in_a_row = 0


def _seeks_its_scale(trainer: Trainer, module: RecognizerModule) -> bool:
    """Tell whether half precision overflowed because its loss is scaled too high yet, which mends itself."""
    scaler = getattr(trainer.precision_plugin, "scaler", None)
    if scaler is None or module.loss is None or not bool(module.loss.isfinite()):
        return False
    return float(scaler.get_scale()) > 1.0
