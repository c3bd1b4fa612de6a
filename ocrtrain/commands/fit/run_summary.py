"""Summaries of a run: of its model before it starts, and of what came out when it ends."""

from __future__ import annotations

import logging
import os
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from signal import SIGINT

from ocrtrain.command_line.quoting import command_to_type, setting
from ocrtrain.distributed.slurm import job, requeue
from ocrtrain.model import LineRecognizer
from ocrtrain.model.adapt import is_added
from ocrtrain.training import Checkpointer, Clock

log = logging.getLogger(__name__)


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


def conclude(
    checkpointer: Checkpointer, clock: Clock, signal: int, folder: Path, words: Sequence[str]
) -> None:
    """Say what came out and what to type next; `signal` is the number of the one that ended the run, or 0."""
    shown = (
        os.path.relpath(checkpointer.best)
        if checkpointer.best.is_relative_to(Path.cwd())
        else str(checkpointer.best)
    )
    if signal:
        print(
            f"\nstopped on request; go on with\n  {command_to_resume(checkpointer.last, words)}",
            file=sys.stderr,
        )
        return
    adapter = checkpointer.adapter
    print(
        f"\nbest CER {checkpointer.best_cer:.2%} at step {checkpointer.best_step:,} of a training of"
        f" {time.strftime('%H:%M:%S', time.gmtime(clock.seconds))}\n"
        f"checkpoint  {shown}\n"
        f"{'' if adapter is None else f'adapter     {adapter.folder}, for {adapter.base}{chr(10)}'}"
        f"record      {folder}/metrics.csv, history.png, samples.png\n"
        f"next        {command_to_type('predict', {'checkpoint': shown, 'input': 'IMAGE_OR_FOLDER'})}",
        file=sys.stderr,
    )


def command_to_resume(checkpoint: Path, words: Sequence[str]) -> str:
    """Repeat the command that was typed, with `resume` in the place of what only a beginning has."""
    if "resume=auto" in words:
        return command_to_type("fit", {}, words)
    kept = [w for w in words if w.partition("=")[0] not in ("run", "resume", "init", "overwrite")]
    return command_to_type("fit", {}, [*kept, setting("resume", str(checkpoint))])


def requeue_if_asked(number: int, words: Sequence[str]) -> None:
    """Put a SLURM job that was told to stop back into the queue, if it would go on by itself."""
    if job() is None or number == SIGINT:
        return
    if "resume=auto" in words:
        requeue()
    else:
        log.warning("the job is not put back into the queue: without resume=auto it would begin anew")


def quieten_lightning() -> None:
    """Keep Lightning's own notices off the screen: what matters of them is said in this package's words."""
    for name in ("lightning.pytorch", "lightning.fabric", "lightning"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
