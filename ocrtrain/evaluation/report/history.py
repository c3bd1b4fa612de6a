"""The course of a training run, as a picture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from ocrtrain.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, ORANGE, GREY = "#1f5fa8", "#c2571a", "#666666"


class MetricCurve(NamedTuple):
    """A quantity over training steps: steps [N] and values [N], float."""

    steps: NDArray[np.float64]
    values: NDArray[np.float64]

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[str, object]], column: str, step: str = "step") -> Self:
        """Take `column` of a table such as `csv.DictReader` reads, wherever it has a finite number."""
        points = [
            (float(str(row[step])), float(str(row[column])))
            for row in rows
            if row.get(column) not in (None, "") and row.get(step) not in (None, "")
        ]
        array = np.asarray(points, np.float64).reshape(-1, 2)
        array = array[np.isfinite(array).all(axis=1)]
        return cls(array[:, 0], array[:, 1])


def plot_history(
    loss: MetricCurve, cer: MetricCurve, path: str | Path, validation_loss: MetricCurve | None = None
) -> None:
    """Draw the training loss and the validation CER (a fraction) over steps, one above the other, as a PNG.

    A noisy loss is drawn pale, with its running median over it. The CER's scale is logarithmic where it falls
    far enough for that and never to 0. Either curve may still be empty. Raises `InputError` where `path`
    cannot be written.
    """
    # matplotlib takes half a second to import, and the object interface leaves the caller's pyplot alone.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    figure = Figure(figsize=(9, 6.5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    upper, lower = figure.subplots(2, 1, sharex=True)
    _draw_loss(upper, loss, validation_loss)
    _draw_cer(lower, cer)
    for axes in (upper, lower):
        axes.grid(True, which="major", color="#dddddd", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.margins(x=0.02)
    lower.set_xlabel("training steps")
    lower.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    lower.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step:,.0f}"))
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")


def _draw_loss(axes: Axes, loss: MetricCurve, validation_loss: MetricCurve | None) -> None:
    axes.set_ylabel("loss")
    noisy = len(loss.values) >= 50
    pale = {"linewidth": 0.8, "alpha": 0.3} if noisy else {"label": "training"}
    axes.plot(loss.steps, loss.values, color=BLUE, **pale)
    if noisy:
        axes.plot(loss.steps, running_median(loss.values), color=BLUE, label="training, running median")
    if validation_loss is not None and len(validation_loss.values):
        axes.plot(*validation_loss, color=ORANGE, marker="o", markersize=3, label="validation")
    values = np.concatenate([loss.values, validation_loss.values if validation_loss else []])
    if len(values):
        # The first steps of CTC reach losses that would flatten all that follows against the axis.
        top = np.quantile(values, 0.98) * 1.15
        axes.set_ylim(min(0.0, values.min()), top if top > 0 else None)
        axes.legend(frameon=False)
    else:
        _say_empty(axes)


def _draw_cer(axes: Axes, cer: MetricCurve) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_ylabel("validation CER")
    if not len(cer.values):
        _say_empty(axes)
        return
    axes.plot(cer.steps, cer.values, color=BLUE, marker="o", markersize=4)
    least = int(np.argmin(cer.values))
    axes.plot(cer.steps[least], cer.values[least], color=ORANGE, marker="o", markersize=8, fillstyle="none")
    axes.annotate(
        f"best {cer.values[least]:.2%} at step {cer.steps[least]:,.0f}",
        (0.99, 0.95),
        xycoords="axes fraction",
        ha="right",
        va="top",
        color=ORANGE,
    )
    low, high = cer.values.min(), cer.values.max()
    if low > 0 and high / low > 4:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_ylim(bottom=-0.02 * high)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{100 * rate:.3g}%"))


def running_median(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Smooth [N] values over a window of a fiftieth of them, at least 9, shorter at the ends."""
    half = max(4, len(values) // 100)
    padded = np.pad(values, half, constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1)
    median: NDArray[np.float64] = np.nanmedian(windows, axis=1)
    return median


def _say_empty(axes: Axes) -> None:
    axes.set_yticks([])
    axes.text(0.5, 0.5, "no values yet", ha="center", va="center", transform=axes.transAxes, color=GREY)
