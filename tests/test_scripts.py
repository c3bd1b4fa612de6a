"""That the checks which run by hand run at all, and what they say where they cannot."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import a script by its name."""
    monkeypatch.syspath_prepend(ROOT / "scripts")
    return importlib.import_module


def check_gpu(*words: str, **variables: str) -> CompletedProcess[str]:
    command = [sys.executable, "scripts/check_gpu.py", *words]
    own = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **variables}
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=own)


@pytest.mark.skipif(torch.cuda.is_available(), reason="would run all of them on the GPU")
def test_the_checks_for_gpus_say_in_one_line_that_there_is_none() -> None:
    ended = check_gpu()
    assert ended.returncode == 2 and not ended.stdout
    assert ended.stderr == "torch finds no CUDA device: nothing was checked\n"


def test_every_check_for_gpus_runs_at_toy_sizes_on_a_cpu(tmp_path: Path, scripts: Any) -> None:
    pytest.importorskip("triton")
    ended = check_gpu("--cpu", OUT=str(tmp_path))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert (tmp_path / "check_gpu.txt").read_text() == ended.stdout
    parts = [line.split(":")[0] for line in ended.stdout.splitlines() if line.startswith("-- ")]
    assert parts == [f"-- {part}" for part, *_ in scripts("check_gpu").PARTS]
    skipped = [line for line in ended.stdout.splitlines() if line.startswith("skipped")]
    assert skipped in ([], ["skipped: there is no experiment=print"])


def test_a_part_that_fails_hangs_or_dies_costs_no_other(
    tmp_path: Path, scripts: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad_parts.py").write_text(
        "import os, time\nfrom gpu_kernels import Row\nROW = Row('one', 'float32', '1', 0.5, limit=0.1)\n"
        "def fails(setting):\n    yield ROW\n    raise ValueError('no')\n"
        "def hangs(setting):\n    os.fork()\n    yield ROW\n    time.sleep(600)\n"
        "def dies(setting):\n    yield ROW\n    os.kill(os.getpid(), 9)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    script, _ = scripts("check_gpu"), scripts("gpu_speed")
    table = script.Table(None)
    options = {"tiny": True, "seconds": 10.0, "folder": tmp_path}
    with open(tmp_path / "log", "w+") as log:
        for part in ("fails", "hangs", "dies"):
            script.watch(part, f"bad_parts.{part}", options, log.fileno(), table)
    said = capsys.readouterr().out
    assert table.failed >= 6 and said.count("NO\n") >= 3
    assert "failed: ValueError: no\n" in said
    assert "hangs: failed: stopped after its 10 seconds\n" in said
    assert "dies: failed: its process ended with code -9\n" in said


def test_an_error_that_is_no_number_is_not_passed_over(scripts: Any) -> None:
    kernels = scripts("gpu_kernels")
    given = {"x": torch.ones(3), "y": torch.ones(3)}

    def broken(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x + torch.where(y > 5, y / (y - 1), 0)  # its gradient is zero times infinity

    error = kernels.worst(broken, lambda x, y: x + 0 * y, given)
    assert not kernels.Row("", "", "", error, limit=1.0).ok
