"""`fit`: trains a recognizer on lines."""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from lightning.pytorch import Callback, Trainer, seed_everything
from omegaconf import DictConfig, OmegaConf

from ocrtrain.checkpoint.adapter import AdapterWriter
from ocrtrain.checkpoint.description import Description
from ocrtrain.commands.fit.base_checkpoint import build_model, open_data, take_over, typed_settings
from ocrtrain.commands.fit.callbacks import callbacks, make_keeper
from ocrtrain.commands.fit.find import check_find, find
from ocrtrain.commands.fit.launch import launch, processes_to_start
from ocrtrain.commands.fit.overfit import keep_few, settle_overfit, verdict
from ocrtrain.commands.fit.resumed_settings import compare_settings
from ocrtrain.commands.fit.run_folder import AUTO, held, plain, prepare_folder, resolve_resume, run_folder
from ocrtrain.commands.fit.run_summary import conclude, report_model, requeue_if_asked
from ocrtrain.cores import usable_cores
from ocrtrain.data import LineData
from ocrtrain.distributed import collectives
from ocrtrain.distributed.batch_norms import synchronize
from ocrtrain.distributed.processes import ProcessInfo, distributed_settings, join, leave, on_gpus, place
from ocrtrain.errors import InputError
from ocrtrain.model import LineRecognizer
from ocrtrain.model.adapt import is_added
from ocrtrain.model.build import self_contained
from ocrtrain.training import (
    BackgroundCheckpointIO,
    Budget,
    Clock,
    Guard,
    RecognizerModule,
)
from ocrtrain.training.budget import seconds_of
from ocrtrain.training.error_translation import explained, lost
from ocrtrain.training.optim.rates import scale_rates
from ocrtrain.training.optimizer_state import keep_own_settings
from ocrtrain.training.precision import choose_precision

log = logging.getLogger(__name__)

# Learning rates of a training that goes on from other weights, relative to a fresh one's: high ones undo what
# was learned, and adapters, which begin as nothing, have little to undo.
OF_EVERYTHING, BESIDE_ADAPTERS = 0.5, 1.0

MODEL_KEYS = ("backbone", "encoder", "adapt", "dropout")


def run(config: DictConfig) -> float | None:
    """Train as `config` says; returns the best validation CER, so that sweeps can minimise it."""
    quieten_lightning()
    words = list(HydraConfig.get().overrides.task) if HydraConfig.initialized() else []
    check_choices(config)
    check_find(config)
    # A run that is named after the time of its start has no name that could be found again.
    named = not OmegaConf.is_interpolation(config, "run")
    if not named and config.resume == AUTO:
        resolve_resume(config, run_is_named=False)
    count = processes_to_start(config.trainer)
    if count > 1 and config.find is not None:
        raise InputError(f"find={config.find}", "looks on one device", "add trainer.devices=1.")
    if count > 1:
        return cast(float | None, launch(config, words, count))
    return train(config, words)


def train(config: DictConfig, words: Sequence[str] = ()) -> float | None:
    """Train in this process, which may be one of several; `words` are the settings as they were typed."""
    quieten_lightning()
    here = place()
    join(here, str(config.trainer.accelerator))
    try:
        # Each process has composed its own settings, a second later perhaps: one name for all.
        config.run = collectives.told_by_first(str(config.run))
        if collectives.rank() == 0:
            resolve_resume(config, run_is_named=True)
        config.resume = collectives.told_by_first(config.resume)
        return train_here(config, words, here)
    except RuntimeError as error:
        if reason := lost(error, here.world):
            raise reason from error
        raise
    finally:
        leave()


def train_here(config: DictConfig, words: Sequence[str], here: ProcessInfo) -> float | None:
    """Put the parts together as `config` says, train, and say what came out."""
    folder = run_folder(config)
    seed_everything(config.seed, verbose=False)
    typed = typed_settings(words)
    if config.overfit is not None:
        settle_overfit(config, typed)
    # What auto comes to: a run that goes on elsewhere is to hear of another one.
    config.trainer.precision = choose_precision(config.trainer.precision, config.trainer.accelerator)
    wanted = plain(config)
    origin = take_over(config, typed)
    if origin is not None and origin.setting == "resume":
        compare_settings(wanted, origin.description.config, typed, origin.path)
    data = make_data(config, here)
    settings = {key: plain(config[key]) for key in MODEL_KEYS}
    open_data(config, data, int(settings["backbone"].get("columns_per_frame", 4)), origin)
    if config.overfit is not None:
        keep_few(data, config.overfit)
    model = build_model(settings, len(data.charset), origin, data.charset)
    settings = self_contained(settings, model)
    base_charset = None if origin is None else origin.description.charset
    training = None if origin is None else origin.training
    del origin
    model = model.to(memory_format=torch.channels_last)
    report_model(model)

    trainer_settings = plain(config.trainer)
    budget = take_budget(trainer_settings, data.batches_per_epoch)
    validation = {key: trainer_settings.pop(key) for key in ("validate_every_steps", "validate_every")}
    precision = trainer_settings.pop("precision")
    synchronized = bool(trainer_settings.pop("sync_batchnorm")) and here.world > 1
    if synchronized:
        synchronize(model)
    if trainer_settings.pop("compile"):
        compile_backbone(model)
    if trainer_settings["deterministic"] and on_gpus(trainer_settings["accelerator"]):
        log.warning(
            "trainer.deterministic=true: CTC's loss is computed on the CPU, since the GPU's adds up in no"
            " fixed order, and convolutions are not the fastest ones; steps take longer"
        )
    make_optimizer = optimizer_of(config)
    optimizer = make_optimizer(model)  # refuses what it cannot work with before anything is written
    if training is not None:
        training.check_weights(model)
        training.check_optimizer(optimizer)
    del optimizer
    task = RecognizerModule(model, data.charset, make_optimizer, same_width=synchronized)
    if config.find is not None:
        find(config.find, task, data, precision, trainer_settings, plain(config.optimizer), folder)
        return None

    clock = Clock(budget, instantiate(config.schedule, _convert_="all"))
    description = Description(settings, data.charset, data.preprocess, plain(config))
    adapter = None
    # Adapters of a run that began with random weights, or others', are for a base that no checkpoint has.
    if config.init is not None and any(is_added(name) for name in model.state_dict()):
        adapter = AdapterWriter(folder / "adapter", model, description, str(config.init), base_charset)
    writer = BackgroundCheckpointIO()
    guard = Guard(max(data.max_skipped, len(data.train_set) // 100), folder)
    keeper = make_keeper(config, folder, description, clock, writer, adapter)
    watching = callbacks(
        config, folder, clock, guard, keeper, data.batches_per_epoch, validation, synchronized
    )
    trainer_settings = distributed_settings(here, trainer_settings)
    trainer = make_trainer(trainer_settings, precision, watching, folder, writer)
    if training is not None:
        training.check_progress(trainer, watching)
        del training
    with held(folder) if trainer.is_global_zero else nullcontext():
        if trainer.is_global_zero:
            prepare_folder(folder, config)
            device = trainer.strategy.root_device
            on = f"{here.world} x {device.type}" if here.world > 1 else device
            log.info("run %s, %s precision, on %s", folder, precision, on)
        fit(trainer, task, data, config.resume, guard, writer)

    stopped = keeper.interrupted
    if trainer.is_global_zero:
        conclude(keeper, clock, folder, words)
        if stopped is not None and config.checkpoint.requeue:
            requeue_if_asked(stopped, words)
        elif config.overfit is not None and stopped is None:
            said = verdict(config.overfit, keeper.best_cer, keeper.best_step, trainer.global_step)
            print(said, file=sys.stderr)
    if stopped is not None:
        raise SystemExit(128 + stopped)
    return None if keeper.best_cer == float("inf") else keeper.best_cer


def make_data(config: DictConfig, here: ProcessInfo) -> LineData:
    """Make the data as `config` says, with a fair share of the cores for this process's loaders."""
    if config.data.get("workers", 0) is None and here.local_world > 1:
        config.data.workers = max(1, min(8, usable_cores() // 2 // here.local_world))
    data: LineData = instantiate(config.data, _convert_="all")
    if data.batch_size < here.world:
        raise InputError(
            f"data.batch_size={data.batch_size}",
            f"is fewer lines than the {here.world} processes that share them",
            "it counts the lines of all processes: raise it, or train with fewer.",
        )
    return data


def optimizer_of(config: DictConfig) -> Callable[[LineRecognizer], torch.optim.Optimizer]:
    """Give what makes the optimizer for a model, with the rates that `finetune` sets."""
    make = instantiate(config.optimizer, _convert_="all")

    def optimizer(model: LineRecognizer) -> torch.optim.Optimizer:
        made: torch.optim.Optimizer = make(model)
        rate = 1.0 if config.init is None else config.finetune.rate
        if rate is None:
            rate = BESIDE_ADAPTERS if any(is_added(n) for n, _ in model.named_parameters()) else OF_EVERYTHING
        scale_rates(made, model, config.finetune.layer_decay, plain(config.finetune.rates), rate)
        return keep_own_settings(made)

    return optimizer


def fit(
    trainer: Trainer,
    task: RecognizerModule,
    data: LineData,
    resume: str | None,
    guard: Guard,
    writer: BackgroundCheckpointIO,
) -> None:
    """Train to the end; raises InputError for what a message can explain, KeyboardInterrupt for Ctrl-C."""
    try:
        trainer.fit(task, datamodule=data, ckpt_path=resume, weights_only=True)
        writer.wait()
    except SystemExit:  # Lightning's answer to Ctrl-C
        raise KeyboardInterrupt from None
    except (RuntimeError, MemoryError) as error:
        if reason := explained(error, guard.batch, guard.fitted, data.batch_size):
            raise reason from error
        raise
    finally:
        writer.close()
    if guard.failure is not None:
        raise guard.failure


def check_choices(config: DictConfig) -> None:
    """Raise InputError for settings of this command that cannot be meant."""
    if config.charset not in ("keep", "extend", "replace"):
        raise InputError(f"charset={config.charset}", "is no way to go on", "choose keep, extend or replace.")
    numbers = {
        "checkpoint.every_minutes": config.checkpoint.every_minutes,
        "checkpoint.every_n_steps": config.checkpoint.every_n_steps,
        "checkpoint.keep": config.checkpoint.keep,
        "early_stopping.patience": config.early_stopping.patience,
    }
    for key, value in numbers.items():
        whole = key != "checkpoint.every_minutes"
        kinds = (int,) if whole else (int, float)
        if value is None and key != "checkpoint.keep":
            continue
        if isinstance(value, bool) or not isinstance(value, kinds) or not 0 < value < math.inf:
            raise InputError(
                f"{key}={value}", f"is no {'whole ' if whole else ''}number above 0", "give one."
            )


def make_trainer(
    settings: dict[str, Any],
    precision: str,
    callbacks: list[Callback],
    folder: Path,
    writer: BackgroundCheckpointIO,
) -> Trainer:
    """Make Lightning's trainer; when to stop, validate, save and tell is decided by `callbacks` alone."""
    settings = dict(settings)
    plugins = [writer, *settings.pop("plugins", [])]
    return Trainer(
        **settings,
        precision=cast(Any, precision),  # Lightning refuses what it does not know
        max_epochs=-1,
        max_steps=-1,
        callbacks=callbacks,
        plugins=plugins,
        default_root_dir=folder,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        check_val_every_n_epoch=None,
        val_check_interval=sys.maxsize,
    )


def compile_backbone(model: LineRecognizer, backend: Any = "inductor") -> None:
    """Let torch compile the backbone; widths and batch sizes are variables of what it makes.

    Encoders have compiled kernels of their own. A shape that needs another version after the 16th runs as
    it is written.
    """
    import torch._dynamo

    torch._dynamo.config.recompile_limit = 16
    model.backbone.compile(dynamic=True, backend=backend)


def take_budget(settings: dict[str, Any], batches_per_epoch: int) -> Budget:
    """Take the limits out of the trainer's settings, as steps and seconds."""
    epochs, steps = settings.pop("max_epochs"), settings.pop("max_steps")
    seconds = seconds_of(settings.pop("max_time"), "trainer.max_time")
    if epochs is not None:
        by_epochs = -(-epochs * batches_per_epoch // int(settings.get("accumulate_grad_batches", 1)))
        steps = by_epochs if steps is None else min(steps, by_epochs)
    if steps is None and seconds is None:
        raise InputError(
            "trainer",
            "has no end",
            "set trainer.max_epochs, trainer.max_steps or trainer.max_time=DD:HH:MM:SS.",
        )
    for name, value in (("max_epochs", epochs), ("max_steps", steps), ("max_time", seconds)):
        if value is not None and value <= 0:
            raise InputError(f"trainer.{name}={value}", "leaves nothing to train", "give a number above 0.")
    return Budget(steps, seconds)


def quieten_lightning() -> None:
    """Keep Lightning's own notices off the screen: what matters of them is said in this package's words."""
    import warnings

    for name in ("lightning.pytorch", "lightning.fabric", "lightning"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
