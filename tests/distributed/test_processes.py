"""Several processes: the same training as in one, and an end together."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import torch
from lightning.fabric.plugins.environments import SLURMEnvironment

from ocrtrain.distributed.processes import LAUNCHED, process_info

Fit = Callable[..., CompletedProcess[str]]

TINY = ["backbone.channels=[8,8,16]", "backbone.out_channels=32", "encoder.width=32", "encoder.layers=1"]
DATA = ["data.train=lines", "data.val=lines", "data.augment=null", "data.workers=0", "data.batch_size=8"]


def environment(tmp_path: Path) -> dict[str, str]:
    threads = {"OMP_NUM_THREADS": "1"}
    return {**os.environ, **threads, "OCRTRAIN_CACHE": str(tmp_path / ".cache")}


def rows(run: str) -> list[dict[str, str]]:
    with open(f"runs/{run}/metrics.csv", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("precision", "close", "rates", "weights"),
    # bf16 keeps eight bits: a line more or less of the 17 may be read right.
    [("32-true", 1e-5, 0.0, (1e-3, 5e-4)), ("bf16-mixed", 2**-8, 0.06, (2e-2, 1e-2))],
)
def test_two_processes_train_as_one_does(
    precision: str,
    close: float,
    rates: float,
    weights: tuple[float, float],
    fit: Fit,
    draw_lines: Callable[..., Path],
    tmp_path: Path,
) -> None:
    # 17 lines in batches of 8: the last batch of an epoch is one line, so that one process has none.
    draw_lines(tmp_path / "lines", count=17, symbols="abcxyz")
    words = [*DATA, "dropout=0", "encoder.dropout=0", "optimizer=adamw", "trainer.sync_batchnorm=true"]
    words.append(f"trainer.precision={precision}")
    words += ["trainer.max_epochs=3", "trainer.validate_every_steps=3", "early_stopping.patience=9"]
    # torchrun's name for a run may be any; both processes must settle on one folder.
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    command = [*torchrun, "-m", "ocrtrain", "fit", *TINY, *words, "trainer.accelerator=cpu"]
    ended = subprocess.run(command, cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.count("6 characters in the charset") == 1  # told once
    (run,) = (path.name for path in (tmp_path / "runs").iterdir())
    fit(*words, "run=one")
    together, alone = rows(run), rows("one")
    assert [row["step"] for row in together] == [row["step"] for row in alone] == ["3", "6", "9"]
    assert [row["lines"] for row in together] == ["17", "34", "51"]  # each once an epoch
    for ours, theirs in zip(together, alone, strict=True):
        for column in ("loss", "val_loss"):
            assert float(ours[column]) == pytest.approx(float(theirs[column]), rel=close)
        for column in ("val_cer", "val_wer", "val_line_accuracy"):
            assert float(ours[column]) == pytest.approx(float(theirs[column]), abs=rates)
    files = [torch.load(f"runs/{name}/checkpoints/last.ckpt", weights_only=True) for name in (run, "one")]
    assert len(files[0]["random"]["others"]) == 1
    # Adam makes steps of one size of gradients that are nearly zero, whose signs are rounding.
    for name, value in files[0]["state_dict"].items():
        torch.testing.assert_close(value, files[1]["state_dict"][name], rtol=weights[0], atol=weights[1])


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for a process in /proc")
def test_a_process_that_dies_ends_the_run(draw_lines: Callable[..., Path], tmp_path: Path) -> None:
    draw_lines(tmp_path / "lines")
    words = [*DATA, "trainer.max_steps=100000", "trainer.validate_every_steps=3", "run=mine"]
    words += ["trainer.devices=2", "checkpoint.every_n_steps=1"]
    command = [sys.executable, "-m", "ocrtrain", "fit", *TINY, *words]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment(tmp_path), stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    try:
        said = ""
        for line in process.stderr:
            said += line
            if line.startswith("step 3 "):
                break
        second = child(process.pid, "RANK=1")
        os.kill(second, signal.SIGKILL)
        said = process.communicate(timeout=300)[1]
    finally:
        process.kill()
    assert process.returncode == 1
    first, after = said[said.index("error:") :].split("\n")[:2]
    assert first == f"error: process 1 of this run ({second}): was ended by signal 9 (SIGKILL)"
    assert "resume=auto" in after and said.count("error:") == 1 and "Traceback" not in said
    content = torch.load(tmp_path / "runs/mine/checkpoints/last.ckpt", weights_only=True)
    assert content["global_step"] >= 2


def child(parent: int, variable: str) -> int:
    """The child process of `parent` in whose environment `variable` is."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            of = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if of == parent and variable.encode() in (folder / "environ").read_bytes().split(b"\0"):
                return int(folder.name)
        except OSError:
            continue
    raise AssertionError("no such process")


NOTHING = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "TORCHELASTIC_RUN_ID", LAUNCHED)
SLURM = {
    "SLURM_JOB_ID": "4711",
    "SLURM_NTASKS": "4",
    "SLURM_NTASKS_PER_NODE": "2",
    "SLURM_PROCID": "3",
    "SLURM_LOCALID": "1",
    "SLURM_NODEID": "1",
    "SLURM_NNODES": "2",
}


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, (0, 1, 0, 1)),
        ({"SLURM_JOB_ID": "4711", "SLURM_NTASKS": "4", "SLURM_PROCID": "0"}, (0, 1, 0, 1)),  # a batch script
        ({**SLURM, "SLURM_STEP_NUM_TASKS": "4", "SLURM_STEP_NUM_NODES": "2"}, (3, 4, 1, 2)),
        (
            {LAUNCHED: "1", "RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"},
            (1, 2, 1, 2),
        ),
    ],
)
def test_a_process_knows_its_place(
    variables: dict[str, str], expected: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (*NOTHING, *SLURM, "SLURM_STEP_NUM_TASKS", "SLURM_STEP_NUM_NODES"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    here = process_info()
    assert (here.rank, here.world, here.local_rank, here.local_world) == expected
    assert isinstance(here.environment, SLURMEnvironment) == ("SLURM_STEP_NUM_TASKS" in variables)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["trainer.devices=1000"], "trainer.devices=1000: must be at most"),
        (
            ["trainer.devices=2", "trainer.num_nodes=2"],
            "trainer.num_nodes=2: other machines cannot be reached",
        ),
        (
            ["trainer.devices=2", "trainer.accelerator=abacus"],
            "trainer.accelerator=abacus: must be one of",
        ),
        (["checkpoint.keep=0"], "checkpoint.keep=0: must be a positive integer"),
        (["charset=merge"], "charset=merge: must be one of keep, extend, replace"),
        (["charset=extend"], "charset=extend: there is no charset before"),
        (["overfit=0"], "overfit=0: must be a positive integer"),
        (["ema.decay=1.0"], "ema.decay=1.0: must be a number above 0 and below 1"),
        (["finetune.layer_decay=0"], "finetune.layer_decay=0: must be a number above 0 and of at most 1"),
    ],
)
def test_what_is_wrong_is_named(
    words: list[str], named: str, fit: Fit, draw_lines: Callable[..., Path], tmp_path: Path
) -> None:
    draw_lines(tmp_path / "lines")
    ended = fit("data.train=lines", "trainer.max_steps=2", *words, code=2)
    assert f"error: {named}" in ended.stderr and "Traceback" not in ended.stderr
    assert not list(tmp_path.glob("runs/*/checkpoints"))
