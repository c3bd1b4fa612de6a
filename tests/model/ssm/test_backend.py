"""Which backend runs where, and what is said about it."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

from ocrtrain.errors import InputError
from ocrtrain.model.ssm import backend as backends
from ocrtrain.model.ssm import selective_scan
from ocrtrain.model.ssm.backend import choose_backend

CACHED = (
    backends.numba_missing,
    backends.triton_missing,
    backends.mamba_ssm_missing,
    backends._by_numba,
    backends._log_choice,
)
no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="is about machines without a GPU")


@pytest.fixture(autouse=True)
def asked_anew() -> Iterator[None]:
    """Forget what was found out, before and after."""
    for function in CACHED:
        function.cache_clear()
    yield
    for function in CACHED:
        function.cache_clear()


@pytest.fixture
def kernel_of_mamba_ssm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let mamba-ssm and its extension be found."""
    interface = ModuleType("mamba_ssm.ops.selective_scan_interface")
    interface.selective_scan_fn = None  # type: ignore[attr-defined]
    for name in ("selective_scan_cuda", "mamba_ssm", "mamba_ssm.ops"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, interface.__name__, interface)


def without_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ocrtrain.model.ssm.scan.numba", None)


def test_auto_takes_the_compiled_form_of_torch_on_a_cpu() -> None:
    assert choose_backend("auto", "cpu") == choose_backend("torch", "cpu") == "numba"
    frame = torch.ones(1, 2, 1)
    arguments = (frame, frame, -torch.ones(1, 1), frame, frame)
    chosen, named = (selective_scan(*arguments, backend=b) for b in ("auto", "numba"))
    assert torch.equal(chosen, named)


def test_torch_stands_in_with_plain_steps_where_numba_does_not_work(monkeypatch: pytest.MonkeyPatch) -> None:
    without_numba(monkeypatch)
    assert choose_backend("auto", "cpu") == choose_backend("torch", "cpu") == "eager"
    with pytest.raises(InputError, match=r"backend=numba: .*scan\.numba.*\n.*reinstall numba"):
        choose_backend("numba", "cpu")


@no_gpu
def test_auto_goes_on_to_what_is_really_there_on_a_gpu(kernel_of_mamba_ssm: None) -> None:
    assert choose_backend("auto", "cuda") == choose_backend("mamba_ssm", "cuda") == "mamba_ssm"
    assert choose_backend("torch", "cuda") == "eager"


@pytest.mark.parametrize("device", ["cuda", "mps", "xpu"])
@no_gpu
def test_auto_ends_at_plain_steps(device: str) -> None:
    assert choose_backend("auto", device) == "eager"


@no_gpu
def test_the_log_says_once_which_runs_and_why(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger=backends.__name__)
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    frame = torch.ones(1, 2, 1)
    selective_scan(frame, frame, -torch.ones(1, 1), frame, frame, backend="numba")  # compiles it, once
    for _ in range(2):
        choose_backend("auto", "cpu")
        choose_backend("auto", "cuda")
    on_cpu, on_cuda = caplog.messages
    assert on_cpu == "Mamba's scan runs on backend torch (compiled for this CPU by Numba)"
    assert "on backend torch (plain steps; Triton cannot run: torch finds no CUDA device" in on_cuda
    assert "mamba-ssm cannot: ModuleNotFoundError: No module named 'selective_scan_cuda'" in on_cuda


def test_a_first_start_says_that_it_compiles(tmp_path: Path) -> None:
    program = (
        "import logging; logging.basicConfig(level='INFO');"
        "from ocrtrain.model.ssm.backend import choose_backend; choose_backend('auto', 'cpu')"
    )
    fresh = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    ended = subprocess.run([sys.executable, "-c", program], env=fresh, capture_output=True, text=True)
    assert "runs on backend torch (Numba compiles it for this CPU" in ended.stderr


def test_a_package_without_its_kernel_is_no_backend(
    kernel_of_mamba_ssm: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "selective_scan_cuda", None)
    with pytest.raises(InputError, match=r"backend=mamba_ssm: .*selective_scan_cuda.*\n.*extension"):
        choose_backend("mamba_ssm", "cuda")


def test_what_only_gpus_run_is_refused_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    with pytest.raises(InputError, match=r"backend=triton: .*on cpu.*\n.*backend=auto"):
        choose_backend("triton", "cpu")
    with pytest.raises(InputError, match=r"backend=triton: .*on mps"):
        choose_backend("triton", "mps")
    with pytest.raises(InputError, match=r"backend=mamba_ssm: .*on cpu"):
        choose_backend("mamba_ssm", "cpu")
    with pytest.raises(InputError, match=r"backend=numba: .*on cuda"):
        choose_backend("numba", "cuda")


def test_without_the_package_triton_is_missed_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    monkeypatch.setitem(sys.modules, "ocrtrain.model.ssm.scan.triton", None)
    with pytest.raises(InputError, match=r"backend=triton: .*scan\.triton"):
        choose_backend("triton", "cpu")


@no_gpu
def test_interpreted_kernels_are_never_what_auto_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    assert choose_backend("auto", "cuda") == "eager"
    assert choose_backend("auto", "cpu") == "numba"
