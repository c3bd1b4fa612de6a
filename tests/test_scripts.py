"""That the checks which run by hand run at all, and what they say where they cannot."""

from __future__ import annotations

import importlib
import json
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


def fuzz(script: Path, *words: str) -> subprocess.CompletedProcess[str]:
    own = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'scripts'}"}
    return subprocess.run([sys.executable, script, *words], capture_output=True, text=True, env=own)


def test_damaged_and_hostile_files_end_in_a_message_or_in_what_they_say() -> None:
    ended = fuzz(ROOT / "scripts" / "fuzz_readers.py", "--count", "120", "--seed", "1")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.startswith("seed 1: 120 cases")


def test_a_case_of_the_fuzzer_comes_again(tmp_path: Path) -> None:
    kept = []
    for name in ("once", "again"):
        fuzz(
            *(ROOT / "scripts" / "fuzz_readers.py", "--seed", "1", "--kinds", "image png", "image gif"),
            *("--count", "4", "--keep", str(tmp_path / name)),
        )
        files = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        kept.append({str(path.relative_to(tmp_path / name)): path.read_bytes() for path in files})
    assert len(kept[0]) == 4 and kept[0] == kept[1]
    assert len(set(kept[0].values())) == 4


# A reader that fails in another way for each sum of the bytes.
FAULTY = """
import os, sys, time
import fuzz_readers
from fuzz import cases
from fuzz.kind import Kind
from ocrtrain.errors import InputError

WHOLE = bytes(range(64))

def make(folder):
    (folder / "case").mkdir()
    (folder / "case" / "file.bin").write_bytes(WHOLE)

def read(case, fixed):
    content = (case / "file.bin").read_bytes()
    fault = sum(content) % 8 if content != WHOLE else None
    if fault == 0: os.abort()
    if fault == 1: time.sleep(60)
    if fault == 2: raise KeyError("a field")
    if fault == 3: raise InputError("file", "is damaged", "copy it again.")
    if fault == 4: bytearray(2**34)
    if fault == 5: os.mkdir("RUN-BY-A-FILE")
    return content

cases.KINDS.clear()
cases.KINDS["faulty"] = Kind(make, read, guarded=(".bin",))
cases.NAMES[:], cases.WEIGHTS[:] = ["faulty"], [1]
fuzz_readers.__file__ = __file__
sys.exit(fuzz_readers.main())
"""


def test_the_fuzzer_finds_each_kind_of_fault_and_goes_on(tmp_path: Path) -> None:
    script = tmp_path / "faulty.py"
    script.write_text(FAULTY)
    ended = fuzz(script, "--count", "24", "--limit", "2", "--json", str(tmp_path / "found.json"))
    assert ended.returncode == 1, ended.stderr
    assert ended.stdout.startswith("seed 0: 24 cases")
    said = {
        finding["said"].partition(":")[0].split(" at ")[0]
        for finding in json.loads((tmp_path / "found.json").read_text())
    }
    assert said == {
        "dies",
        "hangs",
        "KeyError",
        "memory",
        "the file had code run",
        "damaged, and read as if it were whole (.bin)",
    }


def test_compiled_search_stays_within_its_arrays() -> None:
    """With bounds checking, which only a process of its own can turn on; the script tries much more."""
    pytest.importorskip("numba")
    command = [sys.executable, "scripts/fuzz_compiled.py", "--only", "decode", "--count", "40"]
    own = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=own)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.splitlines()[-1].split()[:2] == ["decode", "40"]


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
