"""A resumed run with other settings: each takes effect, is refused or is named, and none goes unsaid."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import torch

from ocrtrain.command_line.invocation import parse
from ocrtrain.command_line.presets import compose
from ocrtrain.commands.fit.resumed_settings import RULES, compare_settings, rule
from ocrtrain.commands.settings import plain
from ocrtrain.errors import InputError

Fit = Callable[..., CompletedProcess[str]]

# Every preset of every group that `fit` composes.
CHOICES = [
    [],
    ["data=generated", "texts=print"],
    ["texts=corpus"],
    ["texts=fields"],
    ["data/augment=scan"],
    ["data/augment=photo"],
    ["optimizer=adamw", "schedule=onecycle"],
    ["backbone=resnet18", "adapt=lora"],
    ["adapt=bottleneck", "encoder=mamba2"],
    ["adapt=freeze", "encoder=bilstm"],
    ["encoder=transformer", "logger=wandb"],
    ["encoder=none", "logger=tensorboard", "schedule=constant"],
    ["experiment=quickstart"],
    ["experiment=mamba_ocr"],
    ["experiment=mamba_ocr_130m"],
]


def names(settings: Mapping[str, Any], part: str = "") -> Iterator[str]:
    for key, value in settings.items():
        name = f"{part}.{key}" if part else str(key)
        if isinstance(value, Mapping) and value:
            yield from names(value, name)
        else:
            yield name


def test_every_setting_has_a_rule_and_every_rule_a_setting() -> None:
    reached = set()
    for words in CHOICES:
        settings = plain(compose(parse("fit", []), words))
        settings.pop("hydra", None)  # no part of what a command gets
        for name in names(settings):
            found = rule(name)
            assert found is not None, f"{name} has no rule in {compare_settings.__module__}"
            reached.add(found[0])
    assert {entry[0] for entry in RULES} - reached == set()


def run_once(fit: Fit, draw_lines: Callable[..., Path], tmp_path: Path, *words: str) -> list[str]:
    draw_lines(tmp_path / "lines")
    typed = ["data.train=lines", "data.val=lines", "data.augment=null", "run=mine", "resume=auto", *words]
    fit(*typed, "trainer.max_steps=2", "trainer.validate_every_steps=2")
    return [*typed, "trainer.max_steps=4", "trainer.validate_every_steps=2"]


def last() -> dict[str, Any]:
    content = torch.load("runs/mine/checkpoints/last.ckpt", weights_only=True)
    assert isinstance(content, dict)
    return content


def moved(before: dict[str, Any], after: dict[str, Any]) -> float:
    """The largest change of the encoder's matrices."""
    names = [name for name in before["state_dict"] if name.endswith("in_proj.weight")]
    return max(float((after["state_dict"][n] - before["state_dict"][n]).abs().max()) for n in names)


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_lower_rates_move_the_weights_less(
    optimizer: str, fit: Fit, draw_lines: Callable[..., Path], tmp_path: Path
) -> None:
    constant = [
        "schedule=constant",
        "schedule.warmup=0",
        f"optimizer={optimizer}",
        "optimizer.weight_decay=0",
    ]
    words = run_once(fit, draw_lines, tmp_path, *constant)
    first = last()
    shutil.copytree("runs", "saved")
    distances = []
    for rate in (None, 1e-6, 0.0):
        shutil.rmtree("runs")
        shutil.copytree("saved", "runs")
        keys = ["optimizer.lr", "optimizer.matrix_lr"][: 2 if optimizer == "muon" else 1]
        ended = fit(*words, *([] if rate is None else [f"{key}={rate:g}" for key in keys]))
        distances.append(moved(first, last()))
        rates = {group["lr"] for group in last()["optimizer_states"][0]["param_groups"]}
        before = {0.0015, 0.02} if optimizer == "muon" else {0.0015}
        assert rates == (before if rate is None else {rate})
        assert ("optimizer.lr=" in ended.stderr) == (rate is not None)
    assert distances[0] > 1e-4 > 1e-5 > distances[1] > 0.0 == distances[2]


def test_what_changes_the_course_within_reason_takes_effect_and_is_named(
    fit: Fit, draw_lines: Callable[..., Path], tmp_path: Path
) -> None:
    words = run_once(fit, draw_lines, tmp_path, "trainer.precision=32-true", "ema.decay=0.9")
    changes = ["optimizer.weight_decay=0.2", "optimizer.betas=[0.8,0.9]", "trainer.precision=bf16-mixed"]
    changes += ["data.batch_size=2", "trainer.accumulate_grad_batches=2", "ema.decay=0.5"]
    ended = fit(*words, *changes)
    for named in (
        "optimizer.weight_decay=0.2, before 0.05",
        "optimizer.betas=[0.8,0.9], before [0.9,0.98]",
        "trainer.precision=bf16-mixed, before 32-true",
        "data.batch_size=2, before 4",
        "trainer.accumulate_grad_batches=2, before 1",
        "ema.decay=0.5, before 0.9",
        "an epoch has 6 batches now, before 3",
        "bf16-mixed precision",
    ):
        assert named in ended.stderr
    groups = last()["optimizer_states"][0]["param_groups"]
    assert {group["weight_decay"] for group in groups} == {0.2, 0.0}
    assert {tuple(group["betas"]) for group in groups} == {(0.8, 0.9)}
    # Two batches of three were seen, four of six; two steps of two batches each follow.
    assert last()["LineData"]["batches"] == 8 and last()["global_step"] == 4
    assert last()["ocrtrain"]["config"]["data"]["batch_size"] == 2  # the record of what goes on from here
    ended = fit(*words, *changes, "trainer.max_steps=5")
    assert "data.batch_size" not in ended.stderr and last()["LineData"]["batches"] == 10


def test_without_averages_training_goes_on_from_what_it_trained(
    fit: Fit, draw_lines: Callable[..., Path], tmp_path: Path
) -> None:
    words = run_once(fit, draw_lines, tmp_path, "ema.decay=0.9")
    trained = last()["trained_weights"]
    still = ["ema.decay=null", "optimizer.lr=0", "optimizer.matrix_lr=0"]
    assert "ema.decay=null, before 0.9" in fit(*words, *still).stderr
    after = last()
    assert "trained_weights" not in after
    assert all(torch.equal(value, after["state_dict"][name]) for name, value in trained.items())


@pytest.mark.parametrize(
    ("change", "named", "way_on"),
    [
        ("optimizer=adamw", "optimizer=adamw: this run has optimizer=muon", "go on with optimizer=muon"),
        ("seed=1", "seed=1: this run has seed=0", "go on with seed=0"),
        ("data.seed=1", "data.seed=1: this run has data.seed=0", "data.seed=0"),
        ("data.holdout=0.5", "data.holdout=0.5: this run has data.holdout=0.05", "data.holdout=0.05"),
        (
            "finetune.layer_decay=0.5",
            "finetune.layer_decay=0.5: this run has finetune.layer_decay=1.0",
            "init=",
        ),
        ("finetune.rates=[[head.*,0.5]]", "finetune.rates=[...]: this run has finetune.rates=[]", "init="),
        ("data.height=32", "data.height=32: the model of resume=", "leave it out"),
        ("backbone.channels=[8,8,8]", "backbone.channels=[8,8,8]: does not fit resume=", "leave it out"),
    ],
)
def test_what_cannot_change_within_a_run_is_refused(
    change: str, named: str, way_on: str, fit: Fit, draw_lines: Callable[..., Path], tmp_path: Path
) -> None:
    words = run_once(fit, draw_lines, tmp_path)
    before = Path("runs/mine/checkpoints/last.ckpt").read_bytes()
    ended = fit(*words, change, code=2)
    assert f"error: {named}" in ended.stderr and way_on in ended.stderr and "Traceback" not in ended.stderr
    assert Path("runs/mine/checkpoints/last.ckpt").read_bytes() == before


def test_what_only_a_beginning_has_is_ignored_aloud(
    fit: Fit, draw_lines: Callable[..., Path], tmp_path: Path
) -> None:
    words = run_once(fit, draw_lines, tmp_path)
    (tmp_path / "other.ckpt").write_bytes(Path("runs/mine/checkpoints/best.ckpt").read_bytes())
    ended = fit(*words, "init=other.ckpt", "charset=extend")
    assert "init=other.ckpt is ignored: the weights are those of the run" in ended.stderr
    assert "charset=extend is ignored: the characters are those of the run" in ended.stderr


def test_other_lines_are_noticed(fit: Fit, draw_lines: Callable[..., Path], tmp_path: Path) -> None:
    words = run_once(fit, draw_lines, tmp_path)
    (tmp_path / "lines").rename(tmp_path / "moved")
    there = ["data.train=moved", "data.val=moved"]
    ended = fit(*words, *there, "trainer.max_steps=3")
    assert "data.train=moved, before lines" in ended.stderr
    assert "lines are others" not in ended.stderr  # the same ones, elsewhere
    (tmp_path / "moved/03.gt.txt").write_text("ab\n", encoding="utf-8")
    ended = fit(*words, *there, "trainer.max_steps=4")
    assert "the training lines are others than those of the run: other texts; training goes" in ended.stderr
    assert "the validation lines are others than those of the run: other texts; error rates" in ended.stderr
    (tmp_path / "moved/03.gt.txt").unlink()
    (tmp_path / "moved/03.png").unlink()
    ended = fit(*words, *there, "trainer.max_steps=5")
    assert "the training lines are others than those of the run: 11, before 12; training" in ended.stderr


class Stranger:
    """What no plain value is, and must not be asked anything."""

    def __eq__(self, other: object) -> bool:
        raise AssertionError("compared")

    __hash__ = None  # type: ignore[assignment]


def test_a_record_is_only_compared_with(caplog: pytest.LogCaptureFixture) -> None:
    endless: dict[str, Any] = {}
    endless["deeper"] = endless
    now = {
        "optimizer": {"lr": 0.1, "betas": [0.9, 0.98]},
        "schedule": {"warmup": 0.1},
        "ema": {"decay": None},
    }
    record = {
        "optimizer": {"lr": "${oc.env:HOME}", "betas": endless, "more": Stranger()},
        "schedule": endless,
        "ema": {"decay": "\x1b[2J" + "x" * 1000},
    }
    with caplog.at_level(logging.INFO):
        compare_settings(now, record, {}, "x.ckpt")
    assert "optimizer.lr=0.1, before ${oc.env:HOME}" in caplog.text
    assert "optimizer.more=not set, before other settings" in caplog.text
    assert "before ?[2Jxxx" in caplog.text and "x" * 100 not in caplog.text
    for nothing in (None, [], "text", {1: 2}):
        compare_settings(now, nothing, {}, "x.ckpt")


def test_a_setting_that_was_not_typed_again_is_refused_likewise() -> None:
    with pytest.raises(InputError, match=r"seed=0: this run has seed=3, and .*\n?.*go on with seed=3"):
        compare_settings({"seed": 0}, {"seed": 3}, {}, "x.ckpt")
