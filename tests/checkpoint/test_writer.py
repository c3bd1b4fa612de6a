"""Checkpoints that are whole, kept for a while, and written while training goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from ocrtrain.checkpoint.writer import KEEP, BackgroundCheckpointIO, copied, kept, step_of
from ocrtrain.commands.fit.run_folder import newest_checkpoint
from ocrtrain.errors import InputError


def content(step: int, size: int = 8) -> dict[str, Any]:
    weights = {"model.w": torch.full((size,), float(step))}
    return {"global_step": step, "state_dict": weights, "optimizer_states": [{}], "ocrtrain": {}}


def test_what_is_saved_is_as_it_was(tmp_path: Path) -> None:
    writer = BackgroundCheckpointIO()
    live = content(1)
    writer.save_checkpoint(live, tmp_path / "last.ckpt")
    live["state_dict"]["model.w"].zero_()
    live["optimizer_states"].append("more")
    writer.close()
    saved = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert torch.equal(saved["state_dict"]["model.w"], torch.ones(8)) and saved["optimizer_states"] == [{}]
    nested = {"a": [torch.zeros(2), (1, "b")], 3: None}
    assert str(copied(nested)) == str(nested) and copied(nested)["a"][0] is not nested["a"][0]


def test_the_newest_few_are_kept(tmp_path: Path) -> None:
    writer, last = BackgroundCheckpointIO(), tmp_path / "last.ckpt"
    for step in (5, 10, 10, 15, 20):
        writer.save_checkpoint(content(step), last, {KEEP: 3})
    writer.close()
    assert step_of(last) == 20
    assert [(path.name, step_of(path)) for path in kept(tmp_path)] == [
        ("step-15.ckpt", 15),
        ("step-10.ckpt", 10),
    ]
    # Another process goes on, and asks the file what it replaces.
    writer = BackgroundCheckpointIO()
    writer.save_checkpoint(content(25), last, {KEEP: 2})
    writer.close()
    assert {path.name for path in tmp_path.iterdir()} == {"last.ckpt", "step-20.ckpt"}


def test_the_newest_whole_one_is_found(tmp_path: Path) -> None:
    assert newest_checkpoint(tmp_path) == (None, [])
    for name, step in (("step-2", 2), ("step-11", 11), ("last", 20), ("best", 11)):
        torch.save(content(step), tmp_path / f"{name}.ckpt")
    weights_only = {**content(99), "optimizer_states": []}
    torch.save(weights_only, tmp_path / "exported.ckpt")
    assert newest_checkpoint(tmp_path) == (tmp_path / "last.ckpt", [])
    last = tmp_path / "last.ckpt"
    last.write_bytes(last.read_bytes()[:-100])
    newest, damaged = newest_checkpoint(tmp_path)
    assert newest is not None and step_of(newest) == 11 and damaged == [last]


def test_a_write_that_is_refused_leaves_the_old_checkpoint(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    writer, last = BackgroundCheckpointIO(), tmp_path / "last.ckpt"
    writer.save_checkpoint(content(1), last, {KEEP: 2})
    writer.wait()
    before = last.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        writer.save_checkpoint(content(2, size=1_000_000), last, {KEEP: 2})
        with pytest.raises(InputError, match=r"last.ckpt: cannot be written: (File too large|No space left)"):
            writer.wait()
        writer.wait()  # told once
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert last.read_bytes() == before and step_of(last) == 1
    assert {path.name for path in tmp_path.iterdir()} <= {"last.ckpt", "step-1.ckpt"}
    writer.save_checkpoint(content(3), last)
    writer.close()
    assert step_of(last) == 3


def test_the_newest_whole_one_is_looked_for(tmp_path: Path) -> None:
    for step in (3, 5):
        torch.save(content(step, 5000), tmp_path / f"step-{step}.ckpt")
    assert newest_checkpoint(tmp_path) == (tmp_path / "step-5.ckpt", [])
    whole = (tmp_path / "step-5.ckpt").read_bytes()
    at = whole.index(torch.full((9,), 5.0).numpy().tobytes())
    (tmp_path / "step-5.ckpt").write_bytes(whole[:at] + bytes(4096) + whole[at + 4096 :])  # a hole
    assert newest_checkpoint(tmp_path) == (tmp_path / "step-3.ckpt", [tmp_path / "step-5.ckpt"])
