"""Learning rates and batch sizes to begin with."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
import torch
from PIL import Image

from ocrtrain.data import LineSets, build_line_sets
from ocrtrain.errors import InputError
from ocrtrain.model import LineRecognizer
from ocrtrain.model.backbones import CompactResNet
from ocrtrain.model.encoders import IdentityEncoder
from ocrtrain.training import RecognizerModule
from ocrtrain.training.finders.batch_size import Measured, choose, measure
from ocrtrain.training.finders.dry_run import DryRun, load, planned, widest
from ocrtrain.training.finders.learning_rate import Ramp, ramp, smoothed, suggestion
from ocrtrain.training.optim.optimizer import adamw

Command = Callable[..., CompletedProcess[str]]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, draw_lines: Callable[..., Path]) -> LineSets:
    opened = build_line_sets(
        train=str(draw_lines(tmp_path_factory.mktemp("lines"), 20)), batch_size=4, workers=0
    )
    opened.open(columns_per_frame=4)
    return opened


def dry_run_of(data: LineSets, lr: float = 0.01) -> DryRun:
    torch.manual_seed(0)
    model = LineRecognizer(
        CompactResNet(channels=[8, 8], out_channels=16), IdentityEncoder(16), len(data.charset)
    )
    return DryRun(
        RecognizerModule(model, data.charset, lambda model: adamw(model, lr)), "32-true", "cpu", 1.0
    )


def test_a_dry_run_trains_and_leaves_no_trace(data: LineSets) -> None:
    run = dry_run_of(data)
    before = {name: value.clone() for name, value in run.module.model.state_dict().items()}
    found = ramp(run, data, steps=30)
    assert len(found.factors) == len(found.losses) == len(found.smooth) <= 30
    assert found.losses.min() < 0.8 * found.losses[0]  # it did learn
    after = run.module.model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_it_ends_when_the_loss_blows_up(data: LineSets) -> None:
    found = ramp(dry_run_of(data, lr=100.0), data, steps=60)
    assert len(found.losses) < 60


def test_the_widest_batch_is_that(data: LineSets) -> None:
    widths = data.train_set.widths(0)
    (batch,) = load(data, [widest(data, 3)])
    every = [b for b in load(data, planned(data, 4))]
    assert sum(len(b) for b in every) == len(data.train_set)
    assert batch.pixels.shape[-1] == max(b.pixels.shape[-1] for b in every)
    assert len(batch) == 3 and len(widths) == 19


def falling(at: float) -> Ramp:
    """A loss that falls from 4 to 1 around the factor `at`, and explodes beyond 10."""
    factors = np.geomspace(1e-3, 30.0, 120)
    losses = 1.0 + 3.0 / (1.0 + (factors / at) ** 2) + np.where(factors > 10, factors - 10, 0.0)
    return Ramp(factors, losses, losses)


@pytest.mark.parametrize("at", [0.02, 0.3, 2.0])
def test_the_suggestion_is_where_the_loss_falls_fastest(at: float) -> None:
    assert suggestion(falling(at)) == pytest.approx(at, rel=0.1)


@pytest.mark.parametrize("losses", [np.full(40, 3.0), np.linspace(3.0, 5.0, 40), np.zeros(0)])
def test_a_loss_that_never_falls_suggests_nothing(losses: np.ndarray) -> None:
    factors = np.geomspace(1e-3, 30.0, len(losses)) if len(losses) else losses
    with pytest.raises(InputError, match="the loss falls at no learning rate"):
        suggestion(Ramp(factors, losses, losses))


def test_the_running_mean_begins_with_the_first_loss() -> None:
    assert smoothed(np.array([3.0, 3.0, 3.0])) == pytest.approx([3.0, 3.0, 3.0])
    # By hand: (0.9 * 0.1 * 1 + 0.1 * 2) / (1 - 0.81)
    assert smoothed(np.array([1.0, 2.0]))[1] == pytest.approx(0.29 / 0.19)


def test_the_smallest_batch_that_is_nearly_as_fast() -> None:
    speeds = [
        Measured(4, 50.0),
        Measured(8, 90.0),
        Measured(16, 96.0),
        Measured(32, 100.0),
        Measured(64, None),
    ]
    assert choose(speeds) == 16
    assert choose(speeds[:2]) == 8
    assert choose([Measured(4, None)]) is None


def test_batch_sizes_are_measured_up_to_the_number_of_lines(
    data: LineSets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ocrtrain.training.finders.batch_size.SECONDS", 0.01)
    run = dry_run_of(data)
    before = {name: value.clone() for name, value in run.module.model.state_dict().items()}
    found = list(measure(run, data))
    assert [row.batch_size for row in found] in ([4, 8, 16], [4, 8])
    assert all(row.lines_per_second and row.lines_per_second > 0 for row in found)
    after = run.module.model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_finding_learning_rates_writes_a_table_and_a_picture(
    fit: Command, trained: Path, tmp_path: Path
) -> None:
    (tmp_path / "lines").symlink_to(trained / "lines")
    ended = fit("data.train=lines", "data.val=lines", "run=r", "find=lr")
    found = re.fullmatch(r"optimizer\.lr=(\S+) optimizer\.matrix_lr=(\S+)\n", ended.stdout)
    assert found, ended.stdout
    # Both are changed by the same factor, here from their defaults.
    assert float(found[1]) / 0.0015 == pytest.approx(float(found[2]) / 0.02, rel=0.1)
    run = tmp_path / "runs/r"
    assert {file.name for file in run.iterdir()} == {"learning_rates.csv", "learning_rates.png"}
    with open(run / "learning_rates.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    rates = [float(row["optimizer.lr"]) for row in rows]
    assert rates[0] == pytest.approx(0.0015e-3) and rates == sorted(rates) and len(rates) > 20
    with Image.open(run / "learning_rates.png") as image:
        assert image.width > 500
    ended = fit("data.train=lines", "find=lrs", code=2)
    assert "find=lrs: must be one of lr, batch_size" in ended.stderr
