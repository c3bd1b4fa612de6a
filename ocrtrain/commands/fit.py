"""`fit`: trains a recognizer on lines."""

from __future__ import annotations

import json
import logging
import os
import platform
import shlex
import sys
import time
from pathlib import Path
from typing import Any, cast

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from lightning.pytorch import Callback, Trainer, seed_everything
from omegaconf import DictConfig, OmegaConf

from ocrtrain import cache
from ocrtrain.adapter import CONFIG, WEIGHTS, AdapterWriter
from ocrtrain.checkpoint import Description
from ocrtrain.commands.clean import RUN_MARK
from ocrtrain.commands.find import check_find, find
from ocrtrain.commands.origin import build_model, take_over
from ocrtrain.data import LineData
from ocrtrain.errors import InputError
from ocrtrain.files import atomic_path, write_text_atomically
from ocrtrain.model import LineRecognizer
from ocrtrain.model.adapt import is_added
from ocrtrain.model.build import self_contained
from ocrtrain.training import (
    AtomicCheckpointIO,
    Budget,
    Clock,
    Console,
    Guard,
    Keeper,
    Recognition,
    Recorder,
    Validator,
)
from ocrtrain.training.budget import seconds_of
from ocrtrain.training.loggers import publishers
from ocrtrain.training.precision import choose_precision

log = logging.getLogger(__name__)

MODEL_KEYS = ("backbone", "encoder", "adapt", "dropout")


def run(config: DictConfig) -> float | None:
    """Train as `config` says; returns the best validation CER, so that sweeps can minimise it."""
    quieten_lightning()
    check_find(config)
    folder = run_folder(config)
    seed_everything(config.seed, verbose=False)

    origin = take_over(config)
    data: LineData = instantiate(config.data, _convert_="all")
    settings = {key: plain(config[key]) for key in MODEL_KEYS}
    data.open(
        columns_per_frame=int(settings["backbone"].get("columns_per_frame", 4)),
        charset=None if origin is None else origin.description.charset,
    )
    if origin is not None:
        origin.check_charset(data.charset)
    model = build_model(settings, len(data.charset), origin)
    settings = self_contained(settings, model)
    del origin
    model = model.to(memory_format=torch.channels_last)
    report_model(model)

    sink = instantiate(config.logger)
    trainer_settings = plain(config.trainer)
    budget = take_budget(trainer_settings, data.batches_per_epoch)
    every = {key: trainer_settings.pop(key) for key in ("validate_every_steps", "validate_every")}
    checkpoint_every = seconds_of(trainer_settings.pop("checkpoint_every"), "trainer.checkpoint_every")
    precision = choose_precision(
        trainer_settings.pop("precision"), trainer_settings.get("accelerator", "auto")
    )
    task = Recognition(model, data.charset, instantiate(config.optimizer, _convert_="all"))
    if config.find is not None:
        find(config.find, task, data, precision, trainer_settings, plain(config.optimizer), folder)
        return None
    clock = Clock(budget, instantiate(config.schedule, _convert_="all"))
    description = Description(settings, data.charset, data.preprocess, plain(config))
    adapter = None
    # Adapters of a run that began with random weights, or others', are for a base that no checkpoint has.
    if config.init is not None and any(is_added(name) for name in model.state_dict()):
        adapter = AdapterWriter(folder / "adapter", model, description, str(config.init))
    keeper = Keeper(folder / "checkpoints", description, clock, checkpoint_every or float("inf"), adapter)
    callbacks: list[Callback] = [
        clock,
        Guard(max(data.max_skipped, len(data.train_set) // 100)),
        Recorder(folder, clock),
        *publishers(sink, folder, plain(config)),
        Console(clock, data.batches_per_epoch),
        Validator(
            clock,
            every["validate_every_steps"],
            seconds_of(every["validate_every"], "trainer.validate_every"),
        ),
        keeper,
    ]
    trainer = make_trainer(trainer_settings, precision, callbacks, folder)
    if trainer.is_global_zero:
        prepare_folder(folder, config)
        log.info("run %s, %s precision, on %s", folder, precision, trainer.strategy.root_device)
    try:
        trainer.fit(task, datamodule=data, ckpt_path=config.resume, weights_only=True)
    except SystemExit:  # Lightning's answer to Ctrl-C
        raise KeyboardInterrupt from None
    if trainer.is_global_zero:
        conclude(keeper, clock, folder)
    if keeper.interrupted is not None:
        raise SystemExit(128 + keeper.interrupted)
    return None if keeper.best_cer == float("inf") else keeper.best_cer


def make_trainer(
    settings: dict[str, Any], precision: str, callbacks: list[Callback], folder: Path
) -> Trainer:
    """Make Lightning's trainer; when to stop, validate, save and tell is decided by `callbacks` alone."""
    return Trainer(
        **settings,
        precision=cast(Any, precision),  # Lightning refuses what it does not know
        max_epochs=-1,
        max_steps=-1,
        callbacks=callbacks,
        plugins=[AtomicCheckpointIO()],
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


def plain(config: Any) -> Any:
    """Resolve interpolations and give plain Python types."""
    return OmegaConf.to_container(config, resolve=True) if OmegaConf.is_config(config) else config


def run_folder(config: DictConfig) -> Path:
    """Name the run's folder; raises InputError if it holds another run that this one would overwrite."""
    folder = Path(config.runs) / str(config.run)
    if config.resume is not None:
        resume = Path(config.resume)
        # A checkpoint in a run's own folder goes on there, wherever that is.
        return resume.resolve().parent.parent if resume.parent.name == "checkpoints" else folder
    if (folder / "checkpoints").is_dir() and any((folder / "checkpoints").iterdir()) and not config.overwrite:
        raise InputError(
            f"run={config.run}",
            f"{folder} holds the checkpoints of an earlier run",
            f"choose another name, go on with resume={folder / 'checkpoints' / 'last.ckpt'}, "
            "or set overwrite=true.",
        )
    return folder


def prepare_folder(folder: Path, config: DictConfig) -> None:
    """Make the run's folder and put the resolved configuration into it."""
    with atomic_path(folder / "config.yaml") as temporary:
        OmegaConf.save(config, temporary, resolve=True)
    # What `clean` tells a run by; while this process lives, it leaves the folder alone.
    write_text_atomically(folder / RUN_MARK, json.dumps({"pid": os.getpid(), "host": platform.node()}) + "\n")
    if config.resume is None:  # with overwrite=true, the old run's must not be taken for this one's
        for old in (folder / "checkpoints").glob("*.ckpt"):
            old.unlink()
        for name in (CONFIG, WEIGHTS):
            (folder / "adapter" / name).unlink(missing_ok=True)
    cache.record("run", folder)


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


def report_model(model: LineRecognizer) -> None:
    """Log trained and all parameters of each part and of the whole, and how many are adapters'."""
    parts = [*model.named_children(), ("in all", model)]
    for name, part in parts:
        every = sum(p.numel() for p in part.parameters())
        trained = sum(p.numel() for p in part.parameters() if p.requires_grad)
        added = sum(p.numel() for n, p in part.named_parameters(prefix=name) if is_added(n))
        if every:
            share = f" ({trained / every:.1%})" if part is model else ""
            adapters = f", {added:,} of them in adapters" if added else ""
            row = f"{name:<9} {every:>11,} parameters, {trained:>11,} trained{share}{adapters}"
            log.info("%s", row)


def conclude(keeper: Keeper, clock: Clock, folder: Path) -> None:
    """Say what came out and what to type next."""
    shown = os.path.relpath(keeper.best) if keeper.best.is_relative_to(Path.cwd()) else str(keeper.best)
    if keeper.interrupted is not None:
        print(f"\nstopped on request; go on with\n  {command_to_resume(keeper.last)}", file=sys.stderr)
        return
    adapter = keeper.adapter
    print(
        f"\nbest CER {keeper.best_cer:.2%} at step {keeper.best_step:,} of a training of"
        f" {time.strftime('%H:%M:%S', time.gmtime(clock.seconds))}\n"
        f"checkpoint  {shown}\n"
        f"{'' if adapter is None else f'adapter     {adapter.folder}, for {adapter.base}{chr(10)}'}"
        f"record      {folder}/metrics.csv, history.png, samples.png\n"
        f"next        python -m ocrtrain predict checkpoint={shown} input=IMAGE_OR_FOLDER",
        file=sys.stderr,
    )


def command_to_resume(checkpoint: Path) -> str:
    """Repeat the command that was typed, with `resume` in the place of what only a beginning has."""
    given = HydraConfig.get().overrides.task if HydraConfig.initialized() else []
    kept = [g for g in given if g.partition("=")[0] not in ("run", "resume", "init", "overwrite")]
    words = ["python", "-m", "ocrtrain", "fit", *kept, f"resume={checkpoint}"]
    return " ".join(shlex.quote(word) for word in words)


def quieten_lightning() -> None:
    """Keep Lightning's own notices off the screen: what matters of them is said in this package's words."""
    import warnings

    for name in ("lightning.pytorch", "lightning.fabric", "lightning"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
