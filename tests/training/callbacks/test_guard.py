"""A run that cannot go well stops, and says why."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, cast

import pytest
import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from ocrtrain.errors import InputError
from ocrtrain.model import LineRecognizer
from ocrtrain.model.adapt import Adaptation, Bottleneck, Freeze, Full, Lora
from ocrtrain.model.backbones import CompactResNet
from ocrtrain.training import Guard, RecognizerModule


class Bypassing(nn.Module):
    """An encoder that reads a weight, as fused kernels do, and one that it does not use at all."""

    width = 8

    def __init__(self) -> None:
        super().__init__()
        self.projection, self.spare = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        return x @ self.projection.weight.T + self.projection.bias


class Task(LightningModule):
    def __init__(self, model: LineRecognizer) -> None:
        super().__init__()
        self.model = model


def check(adaptation: Adaptation) -> None:
    model = LineRecognizer(CompactResNet(1, 8, (4, 4), 8), Bypassing(), classes=3)
    adaptation(model)
    log_probs, _ = model(torch.zeros(1, 1, 8, 16, dtype=torch.uint8), torch.tensor([16]))
    log_probs[..., 0].sum().backward()
    Guard(0).on_after_backward(cast(Any, None), Task(model))


@pytest.mark.parametrize(
    ("adaptation", "dead"),
    [
        (Full(), ["encoder.spare.weight", "encoder.spare.bias"]),
        (Freeze(["encoder.*"]), ["encoder.spare.weight", "encoder.spare.bias"]),
        (Lora(2, targets=["encoder.projection"]), ["encoder.projection.lora_A.default.weight"]),
        (Bottleneck(2, lora_targets=["encoder.projection"]), ["encoder.projection.lora_B.default.weight"]),
    ],
    ids=["full", "freeze", "lora", "bottleneck"],
)
def test_what_no_gradient_reaches_is_named(adaptation: Adaptation, dead: list[str]) -> None:
    with pytest.raises(InputError, match="no gradient reaches") as caught:
        check(adaptation)
    assert all(f" {name}" in caught.value.why for name in dead)
    assert "adapt.targets" in caught.value.way_on and "adapt.train" in caught.value.way_on


@pytest.mark.parametrize(
    "adaptation", [Freeze(["head.*"]), Lora(2, targets=["backbone.*"]), Bottleneck(2, lora_targets=[])]
)
def test_a_model_in_which_all_learns_goes_on(adaptation: Adaptation) -> None:
    check(adaptation)


Fit = Callable[..., CompletedProcess[str]]
FOUR = ["data.train=lines", "data.val=lines", "trainer.max_steps=4", "trainer.validate_every_steps=4"]


def test_steps_that_are_not_finite_are_skipped(
    fit: Fit, draw_lines: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two bad steps, a good one: weights and running statistics are as if only that had been."""
    draw_lines(tmp_path / "lines")
    whole = RecognizerModule.training_step
    before: dict[str, Tensor] = {}

    def training_step(self: RecognizerModule, batch: Any, batch_idx: int) -> Tensor | None:
        if batch_idx == 1:
            before.update({name: value.clone() for name, value in self.state_dict().items()})
        if batch_idx == 3:
            moved = [n for n, v in self.state_dict().items() if not torch.equal(v, before[n])]
            assert moved == []
        if batch_idx in (1, 2):
            self.model.backbone.stem_norm.running_mean.fill_(float("nan"))
        loss = whole(self, batch, batch_idx)
        if loss is not None and batch_idx in (1, 2):
            self.loss = loss.detach() * float("nan")
            return loss * float("nan")
        return loss

    monkeypatch.setattr(RecognizerModule, "training_step", training_step)
    ended = fit(*FOUR, "run=mine")
    assert "step 2 skipped" in ended.stderr and "step 3 skipped" in ended.stderr
    assert "2 steps were skipped: their loss or gradient was not finite" in ended.stderr
    assert Path("runs/mine/metrics.csv").read_text().rstrip().endswith(",2")
    content = torch.load("runs/mine/checkpoints/last.ckpt", weights_only=True)
    assert all(value.isfinite().all() for value in content["state_dict"].values())
    assert content["global_step"] == 4 and content["guard"]["skipped_steps"] == 2


def test_three_of_them_end_the_run_and_save_the_batch(
    fit: Fit, draw_lines: Callable[..., Path], tmp_path: Path
) -> None:
    draw_lines(tmp_path / "lines")
    # One step so wide that no number holds what comes after it.
    words = [*FOUR[:2], "trainer.max_steps=9", "optimizer=adamw", "optimizer.lr=1e38", "schedule.warmup=0"]
    words += ["optimizer.weight_decay=0", "trainer.validate_every_steps=9"]
    ended = fit(*words, "run=mine", code=2)
    assert "error: the loss: was not finite in 3 steps in a row, the last of them 4" in ended.stderr
    assert "optimizer.lr" in ended.stderr and "Traceback" not in ended.stderr
    batch = torch.load("runs/mine/bad_batch.pt", weights_only=True)
    assert len(batch["texts"]) == len(batch["pixels"]) == len(batch["sources"]) == 4
    assert all(Path(source).is_file() for source in batch["sources"]) and batch["step"] == 4
    assert torch.load("runs/mine/checkpoints/last.ckpt", weights_only=True)["global_step"] == 4


@pytest.mark.parametrize("error", ["too large", "of the GPU"])
def test_a_batch_that_is_too_large_is_told_with_what_fits(
    error: str, fit: Fit, draw_lines: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw_lines(tmp_path / "lines")
    whole = RecognizerModule.training_step

    def training_step(self: RecognizerModule, batch: Any, batch_idx: int) -> Tensor | None:
        if batch_idx == 1:
            if error == "of the GPU":  # as CUDA's allocator says it
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
            torch.empty(1 << 60)
        return whole(self, batch, batch_idx)

    monkeypatch.setattr(RecognizerModule, "training_step", training_step)
    ended = fit(*FOUR, "run=mine", code=2)
    assert "memory: is used up by a batch of 4 lines of 40x" in ended.stderr
    assert "data.batch_size=" in ended.stderr and "trainer.accumulate_grad_batches=" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_loader_worker_that_is_killed_is_named(
    fit: Fit, draw_lines: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw_lines(tmp_path / "lines")
    whole = RecognizerModule.training_step
    killed = 0

    def training_step(self: RecognizerModule, batch: Any, batch_idx: int) -> Tensor | None:
        nonlocal killed
        if batch_idx == 1:
            (worker,) = multiprocessing.active_children()
            killed = worker.pid or 0
            os.kill(killed, signal.SIGKILL)
        return whole(self, batch, batch_idx)

    monkeypatch.setattr(RecognizerModule, "training_step", training_step)
    words = [*FOUR[:2], "trainer.max_steps=100", "data.workers=1", "checkpoint.every_n_steps=1"]
    ended = fit(*words, "run=mine", code=2)
    # Torch tells of the signal only if it hears of it before it misses the worker.
    assert f"a loader worker (process {killed}): " in ended.stderr
    assert "data.workers" in ended.stderr and "Traceback" not in ended.stderr
    assert Path("runs/mine/checkpoints/last.ckpt").is_file()
