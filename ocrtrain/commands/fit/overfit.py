"""`overfit=8`: whether a set-up can learn a few lines by heart, before it is given a night."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from lightning.pytorch import Callback, LightningModule, Trainer
from numpy.typing import NDArray

from ocrtrain.commands.fit.settings import FitSettings
from ocrtrain.data import LineSets
from ocrtrain.data.batches.dataset import LineDataset
from ocrtrain.data.lines.sources import LineSource
from ocrtrain.errors import InputError
from ocrtrain.line import Line
from ocrtrain.training.recognizer_module import RecognizerModule

STEPS = 400  # enough for the default model, and about a minute of them on a small machine
EVERY = 20


class FirstEpoch:
    """A source whose lines are those of its first epoch for ever."""

    def __init__(self, source: LineSource) -> None:
        self.source = source

    def __len__(self) -> int:
        return len(self.source)

    def line(self, index: int, epoch: int) -> Line:
        """Read or draw the line of epoch 0."""
        return self.source.line(index, 0)

    def widths(self, epoch: int) -> NDArray[np.float32]:
        """Tell the widths of epoch 0."""
        return self.source.widths(0)

    def part_of(self, index: int) -> str:
        """All lines are judged together."""
        return ""


def for_overfit(settings: FitSettings, typed: Collection[str]) -> FitSettings:
    """Give the settings with what learning by heart takes: nothing changes at random, and it ends soon.

    typed: the settings of the command line, which stay.
    """
    wanted: dict[str, Any] = {"dropout": 0.0, "data.augment": None, "data.workers": 0}
    wanted["trainer.validate_every_steps"] = EVERY
    if settings.encoder.get("dropout") is not None:
        wanted["encoder.dropout"] = 0.0
    limits = ("trainer.max_steps", "trainer.max_epochs", "trainer.max_time")
    if not any(limit in typed for limit in limits):
        wanted |= dict(zip(limits, (STEPS, None, None), strict=True))
    return settings.replaced({key: value for key, value in wanted.items() if key not in typed})


def keep_few(data: LineSets, lines: int) -> None:
    """Leave `lines` training lines from all over, the same in every epoch, and judge by them."""
    whole = data.train_set
    chosen = whole.indices[np.linspace(0, len(whole) - 1, min(lines, len(whole))).astype(int)]
    source = FirstEpoch(whole.source)
    data.train_set = LineDataset(source, whole.preprocess, whole.charset, None, whole.seed, chosen)
    data.val_set = LineDataset(source, whole.preprocess, whole.charset, indices=chosen)


class UntilLearned(Callback):
    """Ends training when all lines are read without an error."""

    finished = False

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, RecognizerModule)
        if pl_module.validation is not None and pl_module.validation.counts.edits == 0:
            self.finished = True


def verdict(lines: int, cer: float, step: int, steps: int) -> str:
    """Say that the set-up can learn; raises InputError, with the likely causes, if it cannot."""
    if cer > 0:
        raise InputError(
            f"overfit={lines}",
            f"CER is still {cer:.2%} after {steps:,} steps, where a sound set-up reaches 0%",
            "do texts belong to their images (see samples.png)? Are the learning rates (optimizer.lr,"
            " optimizer.matrix_lr) far too high or too low? A larger model may need more steps:"
            " trainer.max_steps=N.",
        )
    return f"\n{lines} lines learned by heart in {step:,} steps: this set-up can learn"
