"""The settings of `fit`, typed; conf/fit.yaml and conf/trainer/ hold their defaults and descriptions."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from lightning.pytorch import Trainer

from ocrtrain.commands.settings import replaced
from ocrtrain.errors import InputError
from ocrtrain.settings import Count, Limits, PathName, Positive, PositiveInt, Seconds, read_settings
from ocrtrain.training.budget import Budget

MODEL_KEYS = ("backbone", "encoder", "adapt", "dropout")

Part = dict[str, Any]  # what a preset says of a class: `_target_` and arguments


@dataclass(frozen=True, slots=True)
class FinetuneSettings:
    """How fast which parts learn that begin with the weights of `init`."""

    rate: Positive | None
    layer_decay: Annotated[float, Limits(above=0, most=1, hint="1 is for the same rate in all layers.")]
    rates: list[Any]
    freeze_steps: Count
    train_first: list[str]


@dataclass(frozen=True, slots=True)
class CheckpointSettings:
    """When `last.ckpt` is saved, and how many earlier ones stay."""

    every_minutes: Positive | None
    every_n_steps: PositiveInt | None
    keep: PositiveInt
    requeue: bool


@dataclass(frozen=True, slots=True)
class EarlyStoppingSettings:
    """When validations that bring nothing end a run."""

    patience: PositiveInt | None


@dataclass(frozen=True, slots=True)
class EmaSettings:
    """Averaging of the weights."""

    decay: Annotated[float, Limits(above=0, below=1, hint="0.999 is usual, null for no averaging.")] | None


@dataclass(frozen=True, slots=True)
class TrainerSettings:
    """Where a run ends, when it validates, and what Lightning's Trainer is given.

    lightning: further arguments of the Trainer's, as Lightning documents them.
    """

    max_epochs: PositiveInt | None
    max_steps: PositiveInt | None
    max_time: Seconds | None
    validate_every_steps: PositiveInt | None
    validate_every: Seconds | None
    precision: str | int
    accelerator: Literal["auto", "cpu", "gpu", "cuda", "mps", "tpu"]
    devices: str | int | list[int]
    num_nodes: PositiveInt
    strategy: str
    sync_batchnorm: bool
    accumulate_grad_batches: PositiveInt
    gradient_clip_val: Annotated[float, Limits(least=0)] | None
    deterministic: bool | Literal["warn"]
    benchmark: bool | None
    compile: bool
    plugins: list[Any] = field(default_factory=list)
    lightning: dict[str, Any] = field(default_factory=dict)

    @property
    def machine(self) -> dict[str, Any]:
        """Where to train, as arguments of Lightning's Trainer."""
        names = ("accelerator", "devices", "num_nodes", "strategy")
        return {name: getattr(self, name) for name in names}

    def budget(self, batches_per_epoch: int) -> Budget:
        """Give the limits as steps and seconds; raises InputError if there is none."""
        steps = self.max_steps
        if self.max_epochs is not None:
            by_epochs = -(-self.max_epochs * batches_per_epoch // self.accumulate_grad_batches)
            steps = by_epochs if steps is None else min(steps, by_epochs)
        if steps is None and self.max_time is None:
            raise InputError(
                "trainer",
                "has no end",
                "set trainer.max_epochs, trainer.max_steps or trainer.max_time=30m.",
            )
        return Budget(steps, self.max_time)


@dataclass(frozen=True, slots=True)
class FitSettings:
    """Everything that a run of `fit` is told; parts are built by Hydra from the classes that they name.

    record: the same as plain values, with what this version does not know of, to be kept and compared with.
    """

    run: str
    runs: PathName
    overwrite: bool
    seed: Annotated[int, Limits(0, 2**32 - 1)]
    init: PathName | None
    charset: Literal["keep", "extend", "replace"]
    resume: PathName | None
    overfit: Annotated[int, Limits(least=1, hint="8 is a good check.")] | None
    find: Literal["lr", "batch_size"] | None
    dropout: Any
    backbone: Part
    encoder: Part
    adapt: Part
    data: Part
    optimizer: Part
    schedule: Part
    logger: Any
    callbacks: list[Part]
    finetune: FinetuneSettings
    checkpoint: CheckpointSettings
    early_stopping: EarlyStoppingSettings
    ema: EmaSettings
    trainer: TrainerSettings
    record: dict[str, Any] = field(repr=False)

    def replaced(self, values: Mapping[str, Any]) -> FitSettings:
        """Give the settings with other values for some, which are named by their dotted keys."""
        return read_fit_settings(replaced(self.record, values))

    @property
    def model(self) -> dict[str, Any]:
        """The model's parts, for `build_recognizer`."""
        parts = (self.backbone, self.encoder, self.adapt, self.dropout)
        return dict(zip(MODEL_KEYS, parts, strict=True))


# Arguments of Lightning's Trainer that would have no effect or undo a promise, and what to do instead.
NOT_TAKEN = {
    "barebones": "it takes out what a run consists of",
    "callbacks": "set callbacks='[{_target_: MODULE.CLASS}]'",
    "check_val_every_n_epoch": "set trainer.validate_every_steps or trainer.validate_every",
    "default_root_dir": "set runs=DIR",
    "enable_checkpointing": "checkpoints are always saved: checkpoint.every_minutes says how often",
    "enable_model_summary": "the model's parameters are always listed",
    "enable_progress_bar": "progress is shown where there is a terminal",
    "fast_dev_run": "set trainer.max_steps=1",
    "limit_train_batches": "set trainer.max_steps, or data.lines_per_epoch for a mixture",
    "limit_val_batches": "give fewer validation lines: all of them are read, so that figures can be compared",
    "log_every_n_steps": "metrics.csv has a row every 50 steps",
    "logger": "set logger=csv, tensorboard or wandb",
    "min_epochs": "set trainer.max_epochs and no early_stopping.patience",
    "min_steps": "set trainer.max_steps and no early_stopping.patience",
    "min_time": "set trainer.max_time",
    "num_sanity_val_steps": "data is checked before training starts",
    "overfit_batches": "set overfit=8",
    "reload_dataloaders_every_n_epochs": "loaders have no end",
    "use_distributed_sampler": "batches are shared out among processes already",
    "val_check_interval": "set trainer.validate_every_steps or trainer.validate_every",
}


def read_fit_settings(values: Mapping[str, Any]) -> FitSettings:
    """Read the composed configuration, as plain values; raises InputError for what cannot be meant."""
    known = {own.name for own in dataclasses.fields(FitSettings)}
    record = {**values, "run": str(values["run"])}  # 7 is a name, too
    chosen = {name: value for name, value in record.items() if name in known}
    chosen["record"] = record
    chosen["trainer"] = trainer_settings(values["trainer"])
    return read_settings(FitSettings, chosen)


def trainer_settings(values: Mapping[str, Any]) -> TrainerSettings:
    """Read the settings under `trainer`: ours by name, others as Lightning's Trainer takes them."""
    ours = {own.name for own in dataclasses.fields(TrainerSettings)} - {"lightning"}
    further = {name: value for name, value in values.items() if name not in ours}
    taken = set(inspect.signature(Trainer.__init__).parameters) - {"self"} - set(NOT_TAKEN)
    for name in further:
        if name in NOT_TAKEN:
            raise InputError(f"trainer.{name}", "is not taken here", f"{NOT_TAKEN[name]}.")
        if name not in taken:
            raise InputError(
                f"trainer.{name}", "is not an argument of Lightning's Trainer", "check its spelling."
            )
    own = {name: value for name, value in values.items() if name in ours}
    return read_settings(TrainerSettings, {**own, "lightning": further}, "trainer")
