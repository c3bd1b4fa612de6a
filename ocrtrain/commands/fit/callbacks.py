"""What watches a training: when it stops, validates, saves, tells, and what it makes of trouble."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from lightning.pytorch import Callback
from omegaconf import DictConfig

from ocrtrain.checkpoint.adapter import AdapterWriter
from ocrtrain.checkpoint.description import Description
from ocrtrain.commands.fit.overfit import UntilLearned
from ocrtrain.commands.fit.run_folder import plain
from ocrtrain.distributed.batch_norms import SharedStatistics
from ocrtrain.training import BackgroundCheckpointIO, Checkpointer, Clock, Console, Guard, Recorder, Validator
from ocrtrain.training.budget import seconds_of
from ocrtrain.training.callbacks.averaging import Averaging, NoAveraging
from ocrtrain.training.callbacks.blank_plateau import BlankPlateauWarning
from ocrtrain.training.callbacks.early_stopping import EarlyStopping
from ocrtrain.training.callbacks.loggers import publishers
from ocrtrain.training.optim.rates import StagedUnfreezing


def callbacks(
    config: DictConfig,
    folder: Path,
    clock: Clock,
    guard: Guard,
    keeper: Checkpointer,
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
        StagedUnfreezing(finetune.freeze_steps, finetune.train_first) if finetune.freeze_steps else None,
        guard,
        None if synchronized else SharedStatistics(),
        NoAveraging() if config.ema.decay is None else Averaging(config.ema.decay),
        Recorder(folder, clock),
        *publishers(instantiate(config.logger), folder, plain(config)),
        Console(clock, batches_per_epoch),
        Validator(clock, validation["validate_every_steps"], every),
        None if config.overfit is None else UntilLearned(),
        None if patience is None else EarlyStopping(patience),
        BlankPlateauWarning(folder),
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
) -> Checkpointer:
    """Make what saves checkpoints, as often as `config.checkpoint` says."""
    saving = config.checkpoint
    return Checkpointer(
        folder / "checkpoints",
        description,
        clock,
        writer,
        every_seconds=None if saving.every_minutes is None else 60.0 * saving.every_minutes,
        every_steps=saving.every_n_steps,
        keep=saving.keep,
        adapter=adapter,
    )
