"""`fit find=lr` and `fit find=batch_size`: settings to begin with, from some steps that leave no trace."""

from __future__ import annotations

import csv
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ocrtrain.commands.fit.settings import FitSettings
from ocrtrain.data import LineData
from ocrtrain.errors import InputError
from ocrtrain.files import atomic_path
from ocrtrain.training import RecognizerModule

log = logging.getLogger(__name__)


def find(settings: FitSettings, module: RecognizerModule, data: LineData, folder: Path) -> None:
    """Find the learning rates or the batch size, and print them as settings of `fit`.

    folder: the run's, for the learning rates' table and picture; no checkpoint and no record is written.
    """
    from ocrtrain.training.finders.dry_run import DryRun

    trainer = settings.trainer
    dry_run = DryRun(module, str(trainer.precision), trainer.accelerator, trainer.gradient_clip_val)
    if settings.find == "lr":
        find_rates(dry_run, data, settings.optimizer, folder)
    else:
        find_batch_size(dry_run, data)


def find_rates(dry_run: Any, data: LineData, optimizer: Mapping[str, Any], folder: Path) -> None:
    """Print the learning rates at which the loss falls fastest; all of them grow together."""
    from ocrtrain.training.finders.learning_rate import STEPS, plot_ramp, ramp, suggestion

    rates = {key: float(optimizer[key]) for key in optimizer if key == "lr" or key.endswith("_lr")}
    log.info("training %d steps with growing learning rates ...", STEPS)
    found = ramp(dry_run, data)
    factor = suggestion(found)
    table, picture = folder / "learning_rates.csv", folder / "learning_rates.png"
    with atomic_path(table) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*(f"optimizer.{key}" for key in rates), "loss", "smooth_loss"])
        for step, (loss, smooth) in enumerate(zip(found.losses, found.smooth, strict=True)):
            own = [f"{rate * found.factors[step]:.6g}" for rate in rates.values()]
            writer.writerow([*own, f"{loss:.6g}", f"{smooth:.6g}"])
    plot_ramp(found, factor, rates["lr"], "optimizer.lr", picture)
    log.info("%s, %s: where the loss falls fastest; a start for a search, no more", table, picture)
    print(" ".join(f"optimizer.{key}={rate * factor:.2g}" for key, rate in rates.items()))


def find_batch_size(dry_run: Any, data: LineData) -> None:
    """Print the speed of each batch size, and the smallest that is nearly as fast as the fastest."""
    from ocrtrain.training.finders.batch_size import ENOUGH, choose, measure

    measured = []
    print(f"{'data.batch_size':>15}  {'lines/s':>8}  {'GPU memory':>10}")
    for row in measure(dry_run, data):
        measured.append(row)
        speed = "too large" if row.lines_per_second is None else f"{row.lines_per_second:,.0f}"
        memory = "" if row.memory is None else f"{row.memory:.1f} GiB"
        print(f"{row.batch_size:>15}  {speed:>8}  {memory:>10}".rstrip(), flush=True)
    chosen = choose(measured)
    if chosen is None:
        raise InputError(
            f"data.batch_size={measured[0].batch_size}",
            "does not fit into memory",
            "choose a smaller model, or another accelerator.",
        )
    log.info("the smallest with at least %.0f%% of the highest speed:", 100 * ENOUGH)
    print(f"data.batch_size={chosen}")
