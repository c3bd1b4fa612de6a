"""What the checks that run by hand say where they cannot run."""

from __future__ import annotations

import json
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


def fuzz(script: Path, *words: str) -> subprocess.CompletedProcess[str]:
    own = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'scripts'}"}
    return subprocess.run([sys.executable, script, *words], capture_output=True, text=True, env=own)


def test_damaged_and_hostile_files_end_in_a_message_or_in_what_they_say() -> None:
    ended = fuzz(ROOT / "scripts" / "fuzz_readers.py", "--count", "300", "--seed", "1")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.startswith("seed 1: 300 cases")


def test_a_case_of_the_fuzzer_comes_again(tmp_path: Path) -> None:
    kept = []
    for name in ("once", "again"):
        fuzz(
            *(ROOT / "scripts" / "fuzz_readers.py", "--seed", "1", "--kinds", "lm arpa", "pattern"),
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
