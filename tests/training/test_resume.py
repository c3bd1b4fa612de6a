"""Interrupted and resumed, or never interrupted: the same weights, bit for bit."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import torch
from torch import Tensor

from ocrtrain.training.recognizer_module import RecognizerModule

Fit = Callable[..., CompletedProcess[str]]
StopIn = Callable[[int | None], None]

TINY = [
    "backbone.channels=[8,8,16]",
    "backbone.out_channels=32",
    "encoder.width=32",
    "encoder.layers=1",
    "data.batch_size=4",
]
STOPPED = 128 + signal.SIGTERM
# An epoch of 12 lines has 3 batches of 4.
STEPS = ["trainer.max_steps=6", "trainer.validate_every_steps=3"]
AVERAGED = ("state_dict", "trained_weights")
SOURCES = {
    "real": ["data.train=lines", "data.val=lines", "optimizer=muon", "trainer.precision=32-true"],
    "generated": [
        "data=generated",
        "data.train.lines=12",
        "data.val.lines=6",
        "synthesis.fonts=[bundled]",
        "optimizer=adamw",
        "trainer.precision=bf16-mixed",
        "ema.decay=0.9",
        "checkpoint.every_n_steps=1",
    ],
}


@pytest.fixture
def stop_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[StopIn]:
    """Let SIGTERM arrive in the midst of the batch of that number, counted from 1; None: in none."""
    whole = RecognizerModule.training_step
    wanted: int | None = None
    seen = 0

    def training_step(self: RecognizerModule, batch: Any, batch_idx: int) -> Tensor | None:
        nonlocal seen
        seen += 1
        if seen == wanted:
            signal.raise_signal(signal.SIGTERM)
        return whole(self, batch, batch_idx)

    def arrange(number: int | None) -> None:
        nonlocal wanted, seen
        wanted, seen = number, 0

    monkeypatch.setattr(RecognizerModule, "training_step", training_step)
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
    parts = ("global_step", "state_dict", "trained_weights", "optimizer_states", "random")
    return [d for part in parts for d in differing(ours.get(part), theirs.get(part), part)]


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
    fit(*words, "run=cut", "resume=auto")
    assert differences("cut", "whole") == []
    assert differences("cut", "whole", "best") == []
    assert record("cut") == record("whole")
    if "ema.decay=0.9" in words:  # what is read with is the average, and training goes on with another
        assert not torch.equal(*(checkpoint("cut")[key]["model.head.bias"] for key in AVERAGED))

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

    def training_step(self: RecognizerModule, batch: Any, batch_idx: int) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("it goes on")

    monkeypatch.setattr(RecognizerModule, "training_step", training_step)
    ended = fit("data.train=lines", *STEPS, "run=cut", code=128 + signal.SIGINT)
    assert "interrupted from the keyboard" in ended.stderr
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert not list(tmp_path.glob("runs/cut/checkpoints/*"))


def test_resume_auto_takes_the_newest_whole_checkpoint(
    fit: Fit, stop_in: StopIn, draw_lines: Callable[..., Path], tmp_path: Path
) -> None:
    draw_lines(tmp_path / "lines")
    words = ["data.train=lines", "data.val=lines", *STEPS, "checkpoint.every_n_steps=2", "resume=auto"]
    ended = fit(*words[:-1], "resume=auto", code=2)
    assert "resume=auto: needs a run to look for" in ended.stderr and not Path("runs").exists()
    ended = fit(*words, "run=whole")
    assert "resume=auto: nothing in runs/whole/checkpoints yet" in ended.stderr
    stop_in(5)
    ended = fit(*words, "run=cut", code=STOPPED)
    assert "resume=auto" in ended.stderr.partition("go on with")[2]
    folder = tmp_path / "runs/cut/checkpoints"
    assert {path.name for path in folder.iterdir()} == {"last.ckpt", "step-4.ckpt", "best.ckpt"}
    # Power fails in the midst of a save, on a disk that does not keep its word.
    (folder / "last.ckpt").write_bytes((folder / "last.ckpt").read_bytes()[:-1000])
    (folder / ".last.ckpt.1-ab.partial").write_bytes(b"half")
    with open("runs/cut/metrics.csv", "a", newline="") as file:
        file.write("5,1")
    stop_in(None)
    ended = fit(*words, "run=cut")
    assert (
        "last.ckpt is damaged" in ended.stderr and "going on from runs/cut/checkpoints/step-4" in ended.stderr
    )
    assert differences("cut", "whole") == []
    assert record("cut") == record("whole")
    assert not list(folder.glob(".*"))
    # A finished run has nothing left to do, and one without a whole checkpoint is not begun again unasked.
    before = (folder / "last.ckpt").stat().st_mtime_ns
    assert "best CER" in fit(*words, "run=cut").stderr
    assert (folder / "last.ckpt").stat().st_mtime_ns == before
    for path in folder.glob("*.ckpt"):
        path.write_bytes(b"gone")
    ended = fit(*words, "run=cut", code=2)
    assert "none of the checkpoints in runs/cut/checkpoints can be gone on from" in ended.stderr


def test_killed_at_any_moment(
    draw_lines: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill -9 with loader workers running and a checkpoint in the writing."""
    monkeypatch.chdir(tmp_path)
    draw_lines(tmp_path / "lines")
    words = ["data.train=lines", "data.val=lines", "trainer.max_steps=30", "trainer.validate_every_steps=10"]
    words.append("checkpoint.every_n_steps=1")
    own = {**os.environ, "OCRTRAIN_CACHE": str(tmp_path / ".cache")}
    command = [sys.executable, "-m", "ocrtrain", "fit", *TINY, *words, "data.workers=2", "run=cut"]
    process = subprocess.Popen(command, cwd=tmp_path, env=own, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("step 10"):
            break
    process.kill()
    process.communicate()
    assert 0 < checkpoint("cut")["global_step"] < 30
    # In processes of their own as well: what earlier tests left in this one (threads, say) changes rounding.
    for run in (["run=cut", "resume=auto"], ["run=whole"]):
        again = [*command[: command.index("data.workers=2")], *run]
        subprocess.run(again, cwd=tmp_path, env=own, check=True, capture_output=True)
    assert differences("cut", "whole") == []
    assert differences("cut", "whole", "best") == []
    assert record("cut") == record("whole")


def test_a_slurm_job_goes_back_into_the_queue(
    fit: Fit, draw_lines: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw_lines(tmp_path / "lines")
    scontrol = tmp_path / "bin/scontrol"
    scontrol.parent.mkdir()
    scontrol.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n')
    scontrol.chmod(0o755)
    monkeypatch.setenv("PATH", f"{scontrol.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_JOB_ID", "77")
    whole = RecognizerModule.training_step

    def training_step(self: RecognizerModule, batch: Any, batch_idx: int) -> Tensor | None:
        os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGTERM)  # which follows soon
        return whole(self, batch, batch_idx)

    monkeypatch.setattr(RecognizerModule, "training_step", training_step)
    words = ["data.train=lines", "data.val=lines", *STEPS]
    ended = fit(*words, "run=queued", "resume=auto", code=128 + signal.SIGUSR1)
    assert (tmp_path / "asked").read_text() == "requeue 77\n"
    assert "SLURM job 77 is back in the queue" in ended.stderr
    assert checkpoint("queued")["global_step"] == 1
    ended = fit(*words, "run=other", code=128 + signal.SIGUSR1)
    assert "not put back into the queue: without resume=auto" in ended.stderr
    assert (tmp_path / "asked").read_text() == "requeue 77\n"


def test_early_stopping_is_remembered(fit: Fit, draw_lines: Callable[..., Path], tmp_path: Path) -> None:
    draw_lines(tmp_path / "lines")
    words = ["data.train=lines", "data.val=lines", "trainer.max_steps=40", "trainer.validate_every_steps=1"]
    words += ["optimizer=adamw", "optimizer.lr=0", "early_stopping.patience=2", "run=mine", "resume=auto"]
    ended = fit(*words, "data.augment=null")
    assert "stopping early: no better than" in ended.stderr
    # Running statistics still move, so the CER may have fallen once or twice.
    step = checkpoint("mine")["global_step"]
    assert 3 <= step < 40
    assert [row["step"] for row in record("mine") if row["val_cer"]] == [str(i + 1) for i in range(step)]
    fit(*words, "data.augment=null")
    assert checkpoint("mine")["global_step"] == step


def test_two_processes_do_not_train_into_one_folder(
    fit: Fit, draw_lines: Callable[..., Path], tmp_path: Path
) -> None:
    draw_lines(tmp_path / "lines")
    words = ["data.train=lines", "data.val=lines", *STEPS, "run=mine"]
    fit(*words)
    before = checkpoint("mine")
    taken = "from filelock import FileLock; lock = FileLock('runs/mine/.lock'); lock.acquire(); "
    hold = taken + "print(flush=True); input()"
    command = [sys.executable, "-c", hold]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline()
        ended = fit(*words, "overwrite=true", code=2)
        assert "run=mine: another process is training into runs/mine" in ended.stderr
        assert checkpoint("mine")["global_step"] == before["global_step"] == 6
        other.kill()
    fit(*words, "resume=auto")
