"""What watches a training: when it stops, validates, saves, tells, and what it makes of trouble."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from lightning.pytorch import Callback
from omegaconf import DictConfig

from ocrtrain.adapter import AdapterWriter
from ocrtrain.checkpoint import Description
from ocrtrain.commands.overfit import UntilLearned
from ocrtrain.commands.run_folder import plain
from ocrtrain.training import BackgroundCheckpointIO, Clock, Console, Guard, Keeper, Recorder, Validator
from ocrtrain.training.averaging import Averaging, NoAveraging
from ocrtrain.training.blanks import Blanks
from ocrtrain.training.budget import seconds_of
from ocrtrain.training.loggers import publishers
from ocrtrain.training.norms import SharedStatistics
from ocrtrain.training.patience import Patience
from ocrtrain.training.rates import Thaw


def callbacks(
    config: DictConfig,
    folder: Path,
    clock: Clock,
    guard: Guard,
    keeper: Keeper,
    batches_per_epoch: int,
    validation: Mapping[str, Any],
    synchronized: bool,
) -> list[Callback]:
    """List the callbacks in the order in which they look at a step: what saves comes after all that changes.

    validation: `validate_every_steps` and `validate_every` of the trainer's settings; synchronized: whether
    batch norms see the lines of all processes already.
    """
    every = seconds_of(validation["validate_every"], "trainer.validate_every")
    finetune, patience = config.finetune, config.early_stopping.patience
    listed: list[Callback | None] = [
        clock,
        Thaw(finetune.freeze_steps, finetune.train_first) if finetune.freeze_steps else None,
        guard,
        None if synchronized else SharedStatistics(),
        NoAveraging() if config.ema.decay is None else Averaging(config.ema.decay),
        Recorder(folder, clock),
        *publishers(instantiate(config.logger), folder, plain(config)),
        Console(clock, batches_per_epoch),
        Validator(clock, validation["validate_every_steps"], every),
        None if config.overfit is None else UntilLearned(),
        None if patience is None else Patience(patience),
        Blanks(folder),
        keeper,
    ]
    return [callback for callback in listed if callback is not None]


def make_keeper(
    config: DictConfig,
    folder: Path,
    description: Description,
    clock: Clock,
    writer: BackgroundCheckpointIO,
    adapter: AdapterWriter | None,
) -> Keeper:
    """Make what saves checkpoints, as often as `config.checkpoint` says."""
    saving = config.checkpoint
    return Keeper(
        folder / "checkpoints",
        description,
        clock,
        writer,
        every_seconds=None if saving.every_minutes is None else 60.0 * saving.every_minutes,
        every_steps=saving.every_n_steps,
        keep=saving.keep,
        adapter=adapter,
    )
