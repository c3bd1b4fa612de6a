"""Interrupted and resumed, or never interrupted: the same weights, bit for bit."""

from __future__ import annotations

import csv
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import torch
from torch import Tensor

from ocrtrain.training.recognition import Recognition

Fit = Callable[..., CompletedProcess[str]]
StopIn = Callable[[int | None], None]

STOPPED = 128 + signal.SIGTERM
# An epoch of 12 lines has 3 batches of 4.
STEPS = ["trainer.max_steps=6", "trainer.validate_every_steps=3"]
SOURCES = {
    "real": ["data.train=lines", "data.val=lines", "optimizer=muon"],
    "generated": [
        "data=generated",
        "data.train.lines=12",
        "data.val.lines=6",
        "synthesis.fonts=[bundled]",
        "optimizer=adamw",
        "trainer.precision=bf16-mixed",
    ],
}


@pytest.fixture
def stop_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[StopIn]:
    """Let SIGTERM arrive in the midst of the batch of that number, counted from 1; None: in none."""
    whole = Recognition.training_step
    wanted: int | None = None
    seen = 0

    def training_step(self: Recognition, batch: Any, batch_idx: int) -> Tensor | None:
        nonlocal seen
        seen += 1
        if seen == wanted:
            signal.raise_signal(signal.SIGTERM)
        return whole(self, batch, batch_idx)

    def arrange(number: int | None) -> None:
        nonlocal wanted, seen
        wanted, seen = number, 0

    monkeypatch.setattr(Recognition, "training_step", training_step)
    handler = signal.getsignal(signal.SIGTERM)
    yield arrange
    assert signal.getsignal(signal.SIGTERM) is handler


def checkpoint(run: str, name: str = "last") -> dict[str, Any]:
    content = torch.load(f"runs/{run}/checkpoints/{name}.ckpt", weights_only=True)
    assert isinstance(content, dict)
    return content


def record(run: str) -> list[dict[str, str]]:
    """The rows of metrics.csv, without the time that they took."""
    with open(f"runs/{run}/metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def differing(one: Any, other: Any, where: str = "") -> list[str]:
    """The places at which two nested values differ in the least."""
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return [] if one.dtype == other.dtype and torch.equal(one, other) else [where]
    if isinstance(one, dict) and isinstance(other, dict):
        keys = sorted(one.keys() | other.keys(), key=str)
        return [d for key in keys for d in differing(one.get(key), other.get(key), f"{where}.{key}")]
    if isinstance(one, list | tuple) and isinstance(other, list | tuple) and len(one) == len(other):
        return [d for i in range(len(one)) for d in differing(one[i], other[i], f"{where}.{i}")]
    return [] if one == other else [where]


def differences(run: str, other: str, name: str = "last") -> list[str]:
    """What of weights, optimizer state, random state and progress differs between two runs."""
    ours, theirs = checkpoint(run, name), checkpoint(other, name)
    parts = ("global_step", "state_dict", "optimizer_states", "random")
    return [d for part in parts for d in differing(ours[part], theirs[part], part)]


def test_differences_are_found() -> None:
    same = {"a": [torch.zeros(2)], "b": 1}
    assert differing(same, {"b": 1, "a": [torch.zeros(2)]}) == []
    assert differing(same, {"a": [torch.tensor([0.0, 1e-30])]}) == [".a.0", ".b"]
    assert differing(same, {"a": [torch.zeros(2, dtype=torch.int64)], "b": 1}) == [".a.0"]


@pytest.mark.parametrize("source", SOURCES)
def test_resumed_equals_uninterrupted(
    source: str, fit: Fit, stop_in: StopIn, draw_lines: Callable[..., Path], tmp_path: Path
) -> None:
    draw_lines(tmp_path / "lines")
    words = [*STEPS, *SOURCES[source]]
    fit(*words, "run=whole")
    stop_in(4)  # in the midst of the second epoch
    ended = fit(*words, "run=cut", code=STOPPED)
    assert "resume=runs/cut/checkpoints/last.ckpt" in ended.stderr
    assert checkpoint("cut")["global_step"] == 4
    assert "state_dict.model.head.weight" in differences("cut", "whole")
    stop_in(None)
    fit(*words, "resume=runs/cut/checkpoints/last.ckpt")
    assert differences("cut", "whole") == []
    assert differences("cut", "whole", "best") == []
    assert record("cut") == record("whole")

    stop_in(3)  # at the end of the first epoch, where a validation is due
    fit(*words, "run=parallel", "data.workers=2", code=STOPPED)
    assert record("parallel") == record("whole")[:1]
    moved = (tmp_path / "runs/parallel/checkpoints/last.ckpt").rename("kept.ckpt")
    stop_in(None)
    fit(*words, "run=elsewhere", "data.workers=2", f"resume={moved}")
    assert differences("elsewhere", "whole") == []
    assert record("elsewhere") == record("whole")[1:]
    assert (tmp_path / "runs/elsewhere/checkpoints/best.ckpt").is_file()


def test_a_stop_waits_until_accumulated_gradients_are_used(
    fit: Fit, stop_in: StopIn, draw_lines: Callable[..., Path], tmp_path: Path
) -> None:
    draw_lines(tmp_path / "lines")
    words = ["data.train=lines", "data.val=lines", "trainer.max_steps=3", "trainer.accumulate_grad_batches=2"]
    words.append("trainer.validate_every_steps=1000")
    fit(*words, "run=whole")
    stop_in(3)
    fit(*words, "run=cut", code=STOPPED)
    stop_in(None)
    assert checkpoint("cut")["global_step"] == 2
    fit(*words, "resume=runs/cut/checkpoints/last.ckpt")
    assert differences("cut", "whole") == []


def test_asked_twice_it_ends_at_once(
    fit: Fit, draw_lines: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw_lines(tmp_path / "lines")

    def training_step(self: Recognition, batch: Any, batch_idx: int) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("it goes on")

    monkeypatch.setattr(Recognition, "training_step", training_step)
    ended = fit("data.train=lines", *STEPS, "run=cut", code=128 + signal.SIGINT)
    assert "interrupted from the keyboard" in ended.stderr
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert not list(tmp_path.glob("runs/cut/checkpoints/*"))
