"""What the checks that run by hand say where they cannot run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.skipif(torch.cuda.is_available(), reason="would run all of them on the GPU")
def test_the_checks_for_gpus_say_in_one_line_that_there_is_none() -> None:
    command = [sys.executable, "scripts/check_gpu.py"]
    own = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=own)
    assert ended.returncode == 2 and not ended.stdout
    assert ended.stderr == "torch finds no CUDA device: nothing was checked\n"


def test_compiled_search_stays_within_its_arrays() -> None:
    """With bounds checking, which only a process of its own can turn on; the script tries much more."""
    pytest.importorskip("numba")
    command = [sys.executable, "scripts/fuzz_compiled.py", "--only", "decode", "--count", "40"]
    own = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=own)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.splitlines()[-1].split()[:2] == ["decode", "40"]
