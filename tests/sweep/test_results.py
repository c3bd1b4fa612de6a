"""What is said and drawn of a search that has ended."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial
from PIL import Image

from ocrtrain.sweep.pictures import plot_importance, plot_trials
from ocrtrain.sweep.repeats import Finalist
from ocrtrain.sweep.results import format_standings, format_table, ranked, write_experiment, write_trials


def trial(number: int, x: float, cer: float | None, state: TrialState, **noted: Any) -> FrozenTrial:
    space = {"optimizer.lr": FloatDistribution(0.0, 1.0)}
    made = create_trial(
        params={"optimizer.lr": x}, distributions=space, value=cer, state=state, user_attrs=noted
    )
    made.number = number
    return made


TRIALS = [
    trial(0, 0.0015, 0.25, TrialState.COMPLETE, seconds=61.0),
    trial(1, 0.003, 0.125, TrialState.COMPLETE, seconds=3661.4),
    trial(2, 0.9, 0.99, TrialState.PRUNED, seconds=20.0),
    trial(
        3, 0.5, None, TrialState.FAIL, failure="exit code 2\nsome line\nerror: the data: is gone\n  a way on"
    ),
]

FINALISTS = [Finalist(TRIALS[0], {1: 0.125, 2: 0.25}), Finalist(TRIALS[1], {1: 0.5, 2: 0.25})]


def test_the_table() -> None:
    assert format_table(TRIALS, ["optimizer.lr"], {"optimizer.lr": 0.0015}).splitlines() == [
        "rank  trial     CER     time  optimizer.lr",
        "   1      1  12.50%  1:01:01         0.003",
        "   2     0*  25.00%  0:01:01        0.0015",
        "* the settings as they are without the search",
        "4 trials: 2 completed, 1 stopped early, 1 failed",
        "  trial 3 failed: error: the data: is gone",
    ]
    many = [trial(i, i / 100, 0.5 - i / 100, TrialState.COMPLETE) for i in range(15)]
    rows = format_table(many, ["optimizer.lr"], {"optimizer.lr": 0.0}).splitlines()
    # The ten best, and what the search had to beat.
    assert [row.split()[:2] for row in rows[1:12]] == [
        *([str(rank), str(15 - rank)] for rank in range(1, 11)),
        ["15", "0*"],
    ]
    assert format_table([], ["optimizer.lr"], None).endswith(
        "0 trials: 0 completed, 0 stopped early, 0 failed"
    )


def test_the_table_of_other_seeds() -> None:
    assert format_standings(FINALISTS, {"optimizer.lr": 0.0015}).splitlines() == [
        "trained again with other seeds",
        "rank  trial  mean CER  seed 1  seed 2",
        "   1     0*    18.75%  12.50%  25.00%",
        "   2      1    37.50%  50.00%  25.00%",
    ]


def test_the_file_for_other_programs(tmp_path: Path) -> None:
    write_trials(TRIALS, FINALISTS, ["optimizer.lr"], tmp_path / "trials.csv")
    with open(tmp_path / "trials.csv", newline="") as file:
        rows = [tuple(row.values()) for row in csv.DictReader(file)]
    assert rows == [
        ("0", "completed", "0.25", "0.1875", "61.0", "0.0015"),
        ("1", "completed", "0.125", "0.375", "3661.4", "0.003"),
        ("2", "stopped early", "0.99", "", "20.0", "0.9"),
        ("3", "failed", "", "", "", "0.5"),
    ]
    assert [t.number for t in ranked(TRIALS)] == [1, 0]


def test_the_pictures(tmp_path: Path) -> None:
    plot_trials(TRIALS, FINALISTS, tmp_path / "trials.png")
    plot_trials([], [], tmp_path / "none.png")
    plot_importance({"optimizer.lr": 0.75, "dropout": 0.25}, tmp_path / "importance.png")
    for name in ("trials", "none", "importance"):
        with Image.open(tmp_path / f"{name}.png") as picture:
            picture.load()
            assert picture.width > 500


def test_the_experiment_has_what_differs_and_nothing_else(tmp_path: Path) -> None:
    settings = {"optimizer.lr": 0.003, "optimizer.betas": [0.9, 0.98], "data.train": "lines", "seed": 0}
    defaults = {"optimizer.lr": 0.0015, "optimizer.betas": [0.9, 0.98], "data.train": "???", "seed": 0}
    file = tmp_path / "conf/best.yaml"
    write_experiment(file, "The best.", {"encoder": "bilstm"}, settings, defaults)
    assert file.read_text().startswith("# @package _global_\n# The best.\ndefaults:\n")
    content = OmegaConf.to_container(OmegaConf.load(file))
    assert content == {
        "defaults": [{"override /encoder": "bilstm"}],
        "run": "best-${now:%Y-%m-%d_%H-%M-%S}",
        "optimizer": {"lr": 0.003},
        "data": {"train": "lines"},
    }
