"""Finder of a learning rate: the loss while the rate grows from step to step."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ocrtrain.data import LineSets
from ocrtrain.errors import InputError
from ocrtrain.evaluation.report.history import BLUE, GREY, ORANGE
from ocrtrain.files import atomic_path
from ocrtrain.training.finders.dry_run import DryRun, load, planned

STEPS = 120
LOWEST, HIGHEST = 1e-3, 30.0  # factors on the rates as they are set
BLOWN_UP = 3.0  # a loss of so many times the lowest one tells that the rate is too high
MEMORY = 0.9  # of the running mean of the loss


class Ramp(NamedTuple):
    """Factors on the learning rates [N], the loss of each step [N], and its running mean [N]."""

    factors: NDArray[np.float64]
    losses: NDArray[np.float64]
    smooth: NDArray[np.float64]


def ramp(dry_run: DryRun, data: LineSets, steps: int = STEPS) -> Ramp:
    """Train for `steps` steps, each at a higher rate than the one before, until the loss blows up.

    The model has its weights back when this returns.
    """
    epochs = itertools.chain.from_iterable(
        load(data, planned(data, data.batching.batch_size)) for _ in itertools.count()
    )
    rates = [group["lr"] for group in dry_run.optimizer.param_groups]
    factors, losses = np.geomspace(LOWEST, HIGHEST, steps), []
    try:
        for factor, batch in zip(factors, epochs, strict=False):
            for group, rate in zip(dry_run.optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * factor
            losses.append(dry_run.step(batch))
            mean = smoothed(np.array(losses))
            if not math.isfinite(losses[-1]) or mean[-1] > BLOWN_UP * mean.min():
                break
    finally:
        dry_run.restore()
    known = np.array([loss for loss in losses if math.isfinite(loss)])
    return Ramp(factors[: len(known)], known, smoothed(known))


def smoothed(losses: NDArray[np.float64]) -> NDArray[np.float64]:
    """The running mean of [N] losses; the first ones are not pulled towards zero."""
    mean, means = 0.0, []
    for n, loss in enumerate(losses, start=1):
        mean = MEMORY * mean + (1.0 - MEMORY) * float(loss)
        means.append(mean / (1.0 - MEMORY**n))
    return np.array(means)


def suggestion(found: Ramp) -> float:
    """The factor at which the loss falls fastest; raises InputError where it does not fall.

    Fastest over the rate's logarithm, and before the lowest loss: beyond that, rates are too high.
    """
    least = int(np.argmin(found.smooth)) if len(found.smooth) else 0
    if least < 4 or found.smooth[least] > 0.98 * found.smooth[0]:
        raise InputError(
            "find=lr",
            "the loss falls at no learning rate",
            "is the model given lines that it can learn? fit overfit=8 and longer trainings tell more.",
        )
    slope = np.gradient(found.smooth[: least + 1], np.log(found.factors[: least + 1]))
    return float(found.factors[int(np.argmin(slope))])


def plot_ramp(found: Ramp, factor: float, rate: float, name: str, path: Path) -> None:
    """Draw the loss over the learning rate called `name`, `rate` as it is set now, as a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.plot(found.factors * rate, found.losses, color=BLUE, linewidth=0.8, alpha=0.3)
    axes.plot(found.factors * rate, found.smooth, color=BLUE, label="training loss, running mean")
    axes.axvline(rate, color=GREY, linestyle=":", label=f"as it is: {rate:.2g}")
    axes.axvline(factor * rate, color=ORANGE, label=f"falls fastest: {factor * rate:.2g}")
    axes.set_xscale("log")
    axes.set_ylim(0.0, float(np.quantile(found.losses, 0.98)) * 1.15)
    axes.set_xlabel(name)
    axes.set_ylabel("loss")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")
