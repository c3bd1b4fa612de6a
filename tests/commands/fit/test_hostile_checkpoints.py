"""Checkpoints that say strange things of themselves: one message, exit code 2, and nothing is called."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import torch

from ocrtrain import Recognizer
from ocrtrain.errors import InputError

Command = Callable[..., CompletedProcess[str]]


def hostile(mark: Path) -> list[Any]:
    """Values of every type; the last ones would write `mark` if they were instantiated or interpolated."""
    nested: list[Any] = []
    for _ in range(200):
        nested = [nested]
    plain: list[Any] = [{"a": 1}, [1, [2]], "text", "\ud800", 10**200, math.nan, -math.inf, -1, None, True]
    calls = [{"_target_": "pathlib.Path.touch", "self": str(mark)}, "${oc.env:HOME}", "${now:%Y}"]
    return [*plain, nested, torch.zeros(2, 2), *calls]


# What changes nothing, or is a choice that a field has; of `config`, a record, nothing is looked at.
HARMLESS: dict[tuple[str, ...], tuple[Any, ...]] = {
    ("version",): ("text", "${oc.env:HOME}", "${now:%Y}"),
    ("writing",): (None,),
    ("preprocess", "width"): (None,),
    ("preprocess", "ink"): (True,),
    ("model", "adapt"): (None,),
    ("model", "encoder", "bidirectional"): (True,),
    ("model", "encoder", "d_model"): (None,),
    ("model", "encoder", "pretrained"): (None, "text", "${oc.env:HOME}", "${now:%Y}"),
}


def paths(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every field of a description but those of its record."""
    if path:
        yield path
    if isinstance(value, dict) and path != ("config",):
        for key, item in value.items():
            yield from paths(item, (*path, key))


def changed(content: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """Copy nested mappings and lists with one value changed."""
    copied: Any = dict(content) if isinstance(content, dict) else list(content)
    copied[path[0]] = value if len(path) == 1 else changed(copied[path[0]], path[1:], value)
    return copied


@pytest.fixture
def last(trained: Path) -> dict[str, Any]:
    content = torch.load(trained / "runs/tiny/checkpoints/last.ckpt", weights_only=True)
    assert isinstance(content, dict)
    return content


def test_every_field_of_a_description_is_checked(last: dict[str, Any], tmp_path: Path) -> None:
    mark, file = tmp_path / "called", tmp_path / "x.ckpt"
    for path in paths(last["ocrtrain"]):
        for value in hostile(mark):
            torch.save(changed(last, ("ocrtrain", *path), value), file)
            said = f"{'.'.join(path)}={str(value)[:40]}"
            if path == ("config",) and isinstance(value, dict):
                continue
            if any(
                value is one or value == one for one in HARMLESS.get(path, ()) if type(one) is type(value)
            ):
                continue
            with pytest.raises(InputError) as caught:
                Recognizer.load(file, "cpu")
                pytest.fail(f"{said} was read")
            assert len(str(caught.value)) < 2000
    assert not mark.exists()


INTO_SETTINGS = [
    ("ocrtrain", "preprocess", "ink"),
    ("ocrtrain", "preprocess", "height"),
    ("ocrtrain", "writing", "direction"),
    ("ocrtrain", "model", "backbone", "channels"),
    ("ocrtrain", "model", "encoder", "backend"),
    ("ocrtrain", "model", "dropout"),
    ("ocrtrain", "model", "adapt"),
]


@pytest.mark.parametrize("setting", ["init", "resume"])
def test_nothing_in_a_checkpoint_becomes_a_setting(
    setting: str, last: dict[str, Any], trained: Path, command: Command, tmp_path: Path
) -> None:
    mark = tmp_path / "called"
    words = [f"data.train={trained / 'lines'}", f"data.val={trained / 'lines'}", "data.workers=0", "run=new"]
    for path in INTO_SETTINGS:
        for value in ({"_target_": "pathlib.Path.touch", "self": str(mark)}, "${oc.env:HOME}"):
            torch.save(changed(last, path, value), "x.ckpt")
            ended = command("fit", *words, "trainer.max_steps=1", f"{setting}=x.ckpt")
            assert ended.returncode == 2 and "x.ckpt" in ended.stderr, (path, value, ended.stderr)
    assert not mark.exists() and not Path("runs").exists()


STATE = [
    (("callbacks",), None),
    (("callbacks", "Checkpointer"), 5),
    (("callbacks", "Checkpointer", "best_cer"), "low"),
    (("callbacks", "Clock", "seconds"), math.nan),
    (("callbacks", "Clock", "rates"), [0.1]),
    (("callbacks", "Validator", "tenths"), 10**200),
    (("callbacks", "BlankPlateauWarning", "told"), []),
    (("callbacks", "Recorder", "losses"), {"a": 1}),
    (("loops",), []),
    (("loops", "fit_loop"), {"epoch_progress": "half"}),
    (("loops", "fit_loop", "epoch_progress", "current"), {}),
    (("loops", "fit_loop", "epoch_loop.batch_progress", "total", "ready"), -1),
    (("loops", "fit_loop", "epoch_loop.batch_progress", "is_last_batch"), 3),
    (("random",), 7),
    (("random", "cpu"), torch.zeros(3)),
    (("random", "cpu"), torch.zeros(5056, dtype=torch.uint8)),
    (("random", "others"), [5]),
    (("optimizer_states",), [5]),
    (("optimizer_states",), []),
    (("optimizer_states", 0, "state"), []),
    (("optimizer_states", 0, "state", 0), {"momentum": torch.zeros(3)}),
    (("optimizer_states", 0, "state", 0, "momentum"), "much"),
    (("optimizer_states", 0, "param_groups"), []),
    (("optimizer_states", 0, "param_groups", 0, "lr"), math.nan),
    (("optimizer_states", 0, "param_groups", 0, "momentum"), "much"),
    (("global_step",), -1),
    (("epoch",), "first"),
    (("pytorch-lightning_version",), "1" * 5000),
    (("lr_schedulers",), None),
    (("guard",), "up"),
    (("trained_weights",), {"model.head.bias": torch.zeros(1)}),
    (("ocrtrain", "config", "init"), "${oc.env:HOME}"),
]


def test_a_damaged_state_of_training_is_refused_before_anything_is_written(
    last: dict[str, Any], trained: Path, command: Command
) -> None:
    lines = trained / "lines"
    words = [f"data.train={lines}", f"data.val={lines}", "data.workers=0", "data.batch_size=4", "run=new"]
    for path, value in STATE:
        torch.save(changed(last, path, value), "x.ckpt")
        ended = command("fit", *words, "trainer.max_steps=41", "resume=x.ckpt")
        assert ended.returncode == 2 and "resume=x.ckpt" in ended.stderr, (path, value, ended.stderr)
        assert not Path("runs").exists(), path
