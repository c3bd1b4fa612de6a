"""The plot of a run."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ocrtrain.errors import InputError
from ocrtrain.evaluation.report.figures import MetricCurve, plot_history
from ocrtrain.evaluation.report.history import running_median

EMPTY = MetricCurve(np.zeros(0), np.zeros(0))


def test_curves_come_from_the_rows_that_have_the_column(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("step,loss,cer\n10,3.5,\n20,2.5,\n20,,0.4\n30,nan,\n40,inf,\n,1,\n")
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    loss, cer = MetricCurve.from_rows(rows, "loss"), MetricCurve.from_rows(rows, "cer")
    assert (loss.steps.tolist(), loss.values.tolist()) == ([10, 20], [3.5, 2.5])
    assert (cer.steps.tolist(), cer.values.tolist()) == ([20], [0.4])
    assert len(MetricCurve.from_rows(rows, "absent").steps) == 0


@pytest.mark.parametrize(
    "cer",
    [
        EMPTY,
        MetricCurve(np.array([5.0]), np.array([0.7])),
        MetricCurve(np.array([5.0, 9.0]), np.array([0.7, 0.0])),
        MetricCurve(np.arange(20.0), np.geomspace(2, 0.001, 20)),
    ],
)
@pytest.mark.parametrize("steps", [0, 1, 400])
def test_any_stage_of_a_run_can_be_drawn(cer: MetricCurve, steps: int, tmp_path: Path) -> None:
    pyplot_was_there = "matplotlib.pyplot" in sys.modules
    loss = MetricCurve(np.arange(steps, dtype=float), 5 / (1 + np.arange(steps)))
    plot_history(loss, cer, tmp_path / "a" / "history.png", validation_loss=cer)
    with Image.open(tmp_path / "a" / "history.png") as image:
        assert image.format == "PNG" and image.size == (1080, 780)
    assert ("matplotlib.pyplot" in sys.modules) == pyplot_was_there


def test_running_median_ignores_spikes() -> None:
    values = np.full(300, 2.0)
    values[[0, 50, 299]] = 1000
    assert (running_median(values) == 2).all()


def test_a_plot_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here")
    with pytest.raises(InputError, match=r"history\.png: cannot be written"):
        plot_history(EMPTY, EMPTY, tmp_path / "file" / "history.png")
