"""Callbacks and Trainer arguments of a user's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import torch

MODULE = """\
from lightning.pytorch import Callback

class StopAfter(Callback):
    def __init__(self, steps):
        self.steps = steps

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        if trainer.global_step >= self.steps:
            trainer.should_stop = True

class NotOne:
    pass
"""

DATA = ("data.train=lines", "data.val=lines", "run=mine", "trainer.max_steps=6", "trainer.precision=32-true")


@pytest.fixture
def module(tmp_path: Path, draw_lines: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> str:
    """A module with callbacks, and lines to train on, in the test's folder."""
    name = f"own_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    draw_lines(tmp_path / "lines")
    return name


def test_a_callback_of_ones_own_may_end_a_run_and_what_it_learned_is_saved(
    module: str, fit: Callable[..., CompletedProcess[str]], tmp_path: Path
) -> None:
    fit(*DATA, f"callbacks=[{{_target_: {module}.StopAfter, steps: 2}}]")
    last = torch.load(tmp_path / "runs/mine/checkpoints/last.ckpt", weights_only=True)
    assert last["global_step"] == 2


def test_what_is_not_a_callback_is_refused(module: str, fit: Callable[..., CompletedProcess[str]]) -> None:
    ended = fit(*DATA, f"callbacks=[{{_target_: {module}.NotOne}}]", code=2)
    assert f"callbacks.0={module}.NotOne: must be a callback of Lightning's" in ended.stderr


def test_the_trainer_takes_lightnings_arguments_and_names_those_that_it_does_not(
    module: str, fit: Callable[..., CompletedProcess[str]]
) -> None:
    fit(*DATA, "+trainer.detect_anomaly=true", "trainer.max_steps=1")
    ended = fit(*DATA, "+trainer.val_check_interval=5", "overwrite=true", code=2)
    assert "trainer.val_check_interval: is not taken here" in ended.stderr
    assert "trainer.validate_every_steps" in ended.stderr
    ended = fit(*DATA, "+trainer.detect_anomalies=true", "overwrite=true", code=2)
    assert "trainer.detect_anomalies" in ended.stderr
