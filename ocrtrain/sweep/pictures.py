"""Pictures of a search: how its trials went, and which settings mattered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from ocrtrain.evaluation.report.history import BLUE, GREY, ORANGE
from ocrtrain.files import atomic_path
from ocrtrain.sweep.repeats import Finalist


def plot_trials(trials: Sequence[FrozenTrial], finalists: Sequence[Finalist], path: Path) -> None:
    """Draw each trial's CER in the order in which they began, and the best one so far, as a PNG.

    finalists: the trials whose CERs with other seeds are drawn above or below them.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator

    figure = Figure(figsize=(9, 4.5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    looks = (
        (TrialState.COMPLETE, BLUE, "o", "completed"),
        (TrialState.PRUNED, GREY, "x", "stopped early"),
    )
    values = []
    for state, colour, marker, label in looks:
        found = [(t.number, t.value) for t in trials if t.state == state and t.value is not None]
        if found:
            axes.scatter(*zip(*found, strict=True), color=colour, marker=marker, label=label, zorder=3)
            values += [value for _, value in found]
    again = [(f.trial.number, cer) for f in finalists for cer in f.cers.values()]
    if again:
        numbers, cers = np.array(again, np.float64).T
        words = "with other seeds"
        axes.scatter(numbers, cers, facecolors="none", edgecolors=BLUE, marker="D", label=words, zorder=3)
        values += [cer for _, cer in again]
    completed = [(t.number, t.value) for t in trials if t.state == TrialState.COMPLETE]
    if completed:
        numbers, cers = np.array(completed, np.float64).T
        axes.step(numbers, np.minimum.accumulate(cers), where="post", color=ORANGE, label="best so far")
    if values and min(values) > 0 and max(values) / min(values) > 4:
        axes.set_yscale("log")
        if max(values) / min(values) > 10:  # no room for a label at each ninth of a decade
            axes.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
    axes.set_xlabel("trial")
    axes.set_ylabel("validation CER")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    for axis in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
        axis(FuncFormatter(lambda rate, _: f"{100 * rate:.3g}%"))
    axes.grid(True, color="#dddddd", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4, frameon=False)  # covers no trial
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")


def plot_importance(shares: Mapping[str, float], path: Path) -> None:
    """Draw which share of the CERs' differences each setting explains, as a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 1.2 + 0.4 * len(shares)), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    order = sorted(shares, key=lambda key: shares[key])
    bars = axes.barh(order, [shares[key] for key in order], color=BLUE)
    axes.bar_label(bars, [f"{shares[key]:.0%}" for key in order], padding=4, color=GREY)
    axes.set_xlim(0, 1.1 * max(shares.values()) if shares else 1)
    axes.set_xlabel("importance")
    axes.spines[["top", "right"]].set_visible(False)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")
