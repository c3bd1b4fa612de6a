"""Interrupted and resumed, or never interrupted: the same weights, bit for bit."""

from __future__ import annotations

import csv
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ocrtrain.training.recognition import Recognition
from tests.conftest import TINY, Command, write_lines

STEPS = 8
SOURCES = {
    # 12 lines are 3 batches: steps 3, 6 and 9 begin a new epoch.
    "real": ["data.train=lines", "data.val=lines", "optimizer=muon"],
    "generated": [
        "data=generated",
        "data.train.lines=12",
        "data.val.lines=6",
        "synthesis.fonts=[bundled]",
        "optimizer=adamw",
    ],
}


@pytest.fixture
def fit(command: Command, tmp_path: Path) -> Callable[..., int]:
    """Train for `STEPS` steps, validating after every second; gives the exit code."""
    write_lines(tmp_path / "lines", 12)
    steps = [f"trainer.max_steps={STEPS}", "trainer.validate_every_steps=2"]
    return lambda *words: command("fit", *TINY, *steps, *words).code


@pytest.fixture
def stop_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None], None]:
    """Let SIGTERM arrive in the midst of the batch of that number, from 1; None for no more."""
    whole = Recognition.training_step
    wanted: list[int | None] = [None]
    seen = [0]

    def training_step(self: Recognition, batch: Any, batch_idx: int) -> Tensor | None:
        seen[0] += 1
        if seen[0] == wanted[0]:
            signal.raise_signal(signal.SIGTERM)
        return whole(self, batch, batch_idx)

    def arrange(number: int | None) -> None:
        wanted[0], seen[0] = number, 0

    monkeypatch.setattr(Recognition, "training_step", training_step)
    return arrange


def last(run: str, name: str = "last") -> dict[str, Any]:
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
        same = one.dtype == other.dtype and torch.equal(one, other)
        return [] if same else [where]
    if isinstance(one, dict) and isinstance(other, dict):
        keys = one.keys() | other.keys()
        return [d for key in keys for d in differing(one.get(key), other.get(key), f"{where}.{key}")]
    if isinstance(one, list | tuple) and isinstance(other, list | tuple) and len(one) == len(other):
        return [
            d for i, pair in enumerate(zip(one, other, strict=True)) for d in differing(*pair, f"{where}.{i}")
        ]
    return [] if one == other else [where]


def assert_same_training(run: str, other: str) -> None:
    ours, theirs = last(run), last(other)
    assert ours["global_step"] == theirs["global_step"] == STEPS
    for part in ("state_dict", "optimizer_states", "random"):
        assert differing(ours[part], theirs[part], part) == []
    assert record(run) == record(other)


def test_differences_are_found() -> None:
    assert differing({"a": [torch.zeros(2)]}, {"a": [torch.zeros(2)]}) == []
    assert differing({"a": [torch.zeros(2)], "b": 1}, {"a": [torch.ones(2)]}) in (
        [".a.0", ".b"],
        [".b", ".a.0"],
    )


@pytest.mark.parametrize("source", SOURCES)
def test_resumed_equals_uninterrupted(
    source: str, fit: Callable[..., int], stop_in: Callable[[int | None], None]
) -> None:
    assert fit(*SOURCES[source], "run=whole") == 0
    first = last("whole")["state_dict"]["model.head.weight"]
    for workers, step in ((0, 5), (2, 4)):  # after step 4 a validation is due, after step 5 none is
        run, words = f"cut{workers}", [*SOURCES[source], f"data.workers={workers}"]
        stop_in(step)
        assert fit(*words, f"run={run}") == 128 + signal.SIGTERM
        stop_in(None)
        stopped = last(run)
        assert stopped["global_step"] == step
        assert not torch.equal(stopped["state_dict"]["model.head.weight"], first)
        assert [int(row["step"]) for row in record(run) if row["val_cer"]] == list(range(2, step + 1, 2))
        assert fit(*words, f"resume=runs/{run}/checkpoints/last.ckpt") == 0
        assert_same_training(run, "whole")
        assert differing(last(run, "best")["state_dict"], last("whole", "best")["state_dict"]) == []
