"""`fit`: trains a recognizer. `train_here` is a training from its settings to its checkpoints, top to bottom.

Lightning's Trainer runs the loop over batches and does what differs between machines: devices, mixed
precision, accumulation and clipping of gradients, DDP, and calling the callbacks in their order. The rest of
it is switched off, because it is done here in a way that survives kills and resumes bit for bit:

- epochs: batches come without end, and `Clock` knows how much of the budget is used up, so that a resumed run
  starts its loader at the batch that the checkpoint names;
- when to stop, validate and save: `StepDecision` decides once after each step, for all processes;
- checkpoints: `Checkpointer` writes them whole or not at all, in a thread;
- logging and the progress bar: `Recorder` keeps metrics.csv, `Console` tells, and loggers repeat the table;
- the sanity validation: lines are checked, all of them, when the data is opened;
- the distributed sampler: the plan of an epoch shares each batch out among processes.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, cast

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from lightning.pytorch import Trainer, seed_everything
from omegaconf import DictConfig, OmegaConf

from ocrtrain.checkpoint.adapter import AdapterWriter
from ocrtrain.checkpoint.description import Description
from ocrtrain.checkpoint.writer import BackgroundCheckpointIO
from ocrtrain.commands.fit.base_checkpoint import build_model, inherit, open_data, read_base, typed_settings
from ocrtrain.commands.fit.callbacks import users_callbacks
from ocrtrain.commands.fit.find import find
from ocrtrain.commands.fit.launch import launch, processes_to_start
from ocrtrain.commands.fit.optimizer import optimizer_maker
from ocrtrain.commands.fit.overfit import UntilLearned, for_overfit, keep_few, verdict
from ocrtrain.commands.fit.resumed_settings import compare_settings
from ocrtrain.commands.fit.run_folder import AUTO, held, prepare_folder, resume_path, run_folder
from ocrtrain.commands.fit.run_summary import conclude, quieten_lightning, report_model, requeue_if_asked
from ocrtrain.commands.fit.settings import FitSettings, read_fit_settings
from ocrtrain.commands.settings import plain
from ocrtrain.cores import usable_cores
from ocrtrain.data import LineSets
from ocrtrain.distributed import collectives
from ocrtrain.distributed.batch_norms import SharedStatistics, synchronize
from ocrtrain.distributed.processes import (
    ProcessInfo,
    distributed_settings,
    join,
    leave,
    on_gpus,
    process_info,
)
from ocrtrain.errors import InputError
from ocrtrain.model import LineRecognizer
from ocrtrain.model.adapt import is_added
from ocrtrain.model.build import self_contained
from ocrtrain.training import Clock, Console, Guard, RecognizerModule, Recorder, StepDecision
from ocrtrain.training.callbacks.averaging import Averaging, NoAveraging
from ocrtrain.training.callbacks.blank_plateau import BlankPlateauWarning
from ocrtrain.training.callbacks.checkpointer import Checkpointer
from ocrtrain.training.callbacks.early_stopping import EarlyStopping
from ocrtrain.training.callbacks.loggers import publishers
from ocrtrain.training.data_module import LineDataModule
from ocrtrain.training.error_translation import explained, lost
from ocrtrain.training.optim.rates import StagedUnfreezing
from ocrtrain.training.precision import choose_precision
from ocrtrain.training.validation_schedule import ValidationSchedule

log = logging.getLogger(__name__)


def run(config: DictConfig) -> float | None:
    """Train as `config` says and give the best validation CER, so that sweeps can minimise it.

    Trains in this process, or in as many processes of this machine as are asked for.
    """
    quieten_lightning()
    words = list(HydraConfig.get().overrides.task) if HydraConfig.initialized() else []
    # A run that is named after the time of its start has no name that could be found again.
    if OmegaConf.is_interpolation(config, "run") and config.resume == AUTO:
        raise InputError("resume=auto", "needs a run to look for", "name it: run=NAME.")
    settings = read_fit_settings(plain(config))
    if settings.find is not None:  # how long to train need not be said to find something
        settings = settings.replaced({"trainer.max_steps": 1})
    count = processes_to_start(settings.trainer)
    if count == 1:
        return train(settings, words)
    if settings.find is not None:
        raise InputError(f"find={settings.find}", "looks on one device", "add trainer.devices=1.")
    return cast(float | None, launch(settings.record, words, count, settings.trainer.accelerator))


def train(settings: FitSettings, words: Sequence[str] = ()) -> float | None:
    """Train in this process, which may be one of several; `words` are the settings as they were typed."""
    quieten_lightning()
    here = process_info()
    join(here, settings.trainer.accelerator)
    try:
        # Each process has composed its own settings, a second later perhaps: one name for all.
        settings = settings.replaced({"run": collectives.told_by_first(settings.run)})
        resume = resume_path(settings) if collectives.rank() == 0 else None
        return train_here(settings.replaced({"resume": collectives.told_by_first(resume)}), words, here)
    except RuntimeError as error:
        if reason := lost(error, here.world):
            raise reason from error
        raise
    finally:
        leave()


def train_here(settings: FitSettings, words: Sequence[str], here: ProcessInfo) -> float | None:
    """Put the parts together, train, and say what came out."""
    # Settings: as they were chosen, except for what `overfit` needs and what a checkpoint fixes.
    typed = typed_settings(words)
    if settings.overfit is not None:
        settings = for_overfit(settings, typed)
    precision = choose_precision(str(settings.trainer.precision), settings.trainer.accelerator)
    settings = settings.replaced({"trainer.precision": precision})  # a resumed run is to hear of another one
    base = read_base(settings)
    if base is not None and base.training is not None:
        compare_settings(settings.record, base.description.config, typed, base.path)
    settings, base = inherit(settings, base, typed)
    folder = run_folder(settings)
    seed_everything(settings.seed, verbose=False)

    # Data: sources are opened, the charset is settled, and every text is checked against what can be written.
    data = make_data(settings, here)
    open_data(data, settings, base)
    if settings.overfit is not None:
        keep_few(data, settings.overfit)

    # Model: built, or taken from the checkpoint, with adapters on top.
    model = build_model(settings.model, len(data.charset), base, data.charset)
    model = model.to(memory_format=torch.channels_last)
    report_model(model)
    synchronized = settings.trainer.sync_batchnorm and here.world > 1
    if synchronized:
        synchronize(model)
    if settings.trainer.compile:
        compile_backbone(model)

    # Optimizer: made once now, so that it refuses what it cannot work with before anything is written.
    make_optimizer = optimizer_maker(settings)
    optimizer = make_optimizer(model)
    if base is not None and base.training is not None:
        base.training.check_weights(model)
        base.training.check_optimizer(optimizer)
    del optimizer

    # The step: CTC loss per character over the lines of all processes, clipping; not finite, it is skipped.
    module = RecognizerModule(model, data.charset, make_optimizer, same_width=synchronized)
    if settings.find is not None:
        find(settings, module, data, folder)
        return None

    # After each step: is the budget used up, is a validation due, is it time to save?
    budget = settings.trainer.budget(data.batches_per_epoch)
    clock = Clock(budget, instantiate(settings.schedule, _convert_="all"))
    guard = Guard(max(data.checks.max_skipped, len(data.train_set) // 100), folder)
    patience, learned = settings.early_stopping.patience, UntilLearned()
    stopping = None if patience is None else EarlyStopping(patience)
    every_minutes = settings.checkpoint.every_minutes
    decision = StepDecision(
        clock,
        ValidationSchedule(budget, settings.trainer.validate_every_steps, settings.trainer.validate_every),
        save_every_steps=settings.checkpoint.every_n_steps,
        save_every_seconds=None if every_minutes is None else 60.0 * every_minutes,
        failing=guard,
        stoppers=[s for s in (stopping, learned if settings.overfit is not None else None) if s is not None],
    )

    # What is written: checkpoints with everything that reading needs, an adapter if there is a base for it.
    description = Description(
        self_contained(settings.model, model), data.charset, data.preprocess, settings.record
    )
    adapter = None
    # Adapters of a run that began with random weights, or others', are for a base that no checkpoint has.
    if settings.init is not None and base is not None and any(is_added(name) for name in model.state_dict()):
        adapter = AdapterWriter(
            folder / "adapter", model, description, settings.init, base.description.charset
        )
    writer = BackgroundCheckpointIO()
    checkpointer = Checkpointer(
        folder / "checkpoints", description, decision, writer, settings.checkpoint.keep, adapter
    )

    # Callbacks, in the order in which they see a step: what changes weights, what looks on, what decides,
    # what saves. A user's own come before the decision, which hears of it if they stop the Trainer.
    finetune, decay = settings.finetune, settings.ema.decay
    callbacks = [
        clock,
        StagedUnfreezing(finetune.freeze_steps, finetune.train_first) if finetune.freeze_steps else None,
        guard,
        None if synchronized else SharedStatistics(),
        NoAveraging() if decay is None else Averaging(decay),
        Recorder(folder, clock),
        *publishers(instantiate(settings.logger), folder, settings.record),
        Console(clock, data.batches_per_epoch),
        stopping,
        learned if settings.overfit is not None else None,
        *users_callbacks(settings.callbacks),
        decision,
        BlankPlateauWarning(folder),
        checkpointer,
    ]
    watching = [callback for callback in callbacks if callback is not None]

    # Lightning's part, and what of it is switched off (see above).
    machine = distributed_settings(here, settings.trainer.machine)
    plugins = [writer, *machine.pop("plugins"), *settings.trainer.plugins]
    trainer = Trainer(
        **settings.trainer.lightning,
        **machine,
        precision=cast(Any, precision),
        accumulate_grad_batches=settings.trainer.accumulate_grad_batches,
        gradient_clip_val=settings.trainer.gradient_clip_val,
        deterministic=settings.trainer.deterministic,
        benchmark=settings.trainer.benchmark,
        callbacks=watching,
        plugins=plugins,
        default_root_dir=folder,
        max_epochs=-1,
        max_steps=-1,
        check_val_every_n_epoch=None,
        val_check_interval=sys.maxsize,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    if base is not None and base.training is not None:
        base.training.check_progress(trainer, watching)
    del base  # as large as the model

    # Training.
    with held(folder) if trainer.is_global_zero else nullcontext():
        if trainer.is_global_zero:
            prepare_folder(folder, settings.record)
            device = trainer.strategy.root_device
            on = f"{here.world} x {device.type}" if here.world > 1 else device
            log.info("run %s, %s precision, on %s", folder, precision, on)
        fit(trainer, module, data, settings.resume, guard, writer)

    # What came out.
    if trainer.is_global_zero:
        conclude(checkpointer, clock, decision.signal, folder, words)
        if decision.signal and settings.checkpoint.requeue:
            requeue_if_asked(decision.signal, words)
        elif settings.overfit is not None and not decision.signal:
            best = checkpointer.best_cer, checkpointer.best_step
            print(verdict(settings.overfit, *best, trainer.global_step), file=sys.stderr)
    if decision.signal:
        raise SystemExit(128 + decision.signal)
    return None if checkpointer.best_cer == float("inf") else checkpointer.best_cer


def make_data(settings: FitSettings, here: ProcessInfo) -> LineSets:
    """Make the data, with a fair share of the cores for this process's loaders."""
    parts = settings.data
    if parts.get("workers", 0) is None and here.local_world > 1:
        parts = {**parts, "workers": max(1, min(8, usable_cores() // 2 // here.local_world))}
    data: LineSets = instantiate(parts, _convert_="all")
    if data.batching.batch_size < here.world:
        raise InputError(
            f"data.batch_size={data.batching.batch_size}",
            f"is fewer lines than the {here.world} processes that share them",
            "it counts the lines of all processes: raise it, or train with fewer.",
        )
    if settings.trainer.deterministic and on_gpus(settings.trainer.accelerator):
        log.warning(
            "trainer.deterministic=true: CTC's loss is computed on the CPU, since the GPU's adds up in no"
            " fixed order, and convolutions are not the fastest ones; steps take longer"
        )
    return data


def fit(
    trainer: Trainer,
    module: RecognizerModule,
    data: LineSets,
    resume: str | None,
    guard: Guard,
    writer: BackgroundCheckpointIO,
) -> None:
    """Train to the end; raises InputError for what a message can explain, KeyboardInterrupt for Ctrl-C."""
    try:
        trainer.fit(module, datamodule=LineDataModule(data), ckpt_path=resume, weights_only=True)
        writer.wait()
    except SystemExit:  # Lightning's answer to Ctrl-C
        raise KeyboardInterrupt from None
    except (RuntimeError, MemoryError) as error:
        if reason := explained(error, guard.batch, guard.fitted, data.batching.batch_size):
            raise reason from error
        raise
    finally:
        writer.close()
    if guard.failure is not None:
        raise guard.failure


def compile_backbone(model: LineRecognizer, backend: Any = "inductor") -> None:
    """Let torch compile the backbone; widths and batch sizes are variables of what it makes.

    Encoders have compiled kernels of their own. A shape that needs another version after the 16th runs as
    it is written.
    """
    import torch._dynamo

    torch._dynamo.config.recompile_limit = 16
    model.backbone.compile(dynamic=True, backend=backend)
