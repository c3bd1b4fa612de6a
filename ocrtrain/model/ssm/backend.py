"""Choice of the implementation that runs on a device, with the reason why another does not."""

from __future__ import annotations

import functools
import logging
import os
from pathlib import Path

import torch

from ocrtrain.errors import InputError

log = logging.getLogger(__name__)

BACKENDS = ("auto", "torch", "numba", "eager", "triton", "mamba_ssm")


def choose_backend(backend: str, device: torch.device | str) -> str:
    """Resolve a backend's name for a device to "numba", "eager", "triton" or "mamba_ssm".

    "auto" takes the fastest that can run; "torch" is "numba" on CPUs where that works, else "eager". Raises
    InputError for a name that is not a backend, and for a backend that cannot run there.
    """
    kind = torch.device(device).type
    match backend:
        case "auto" | "torch":
            chosen, reason = _choose(backend, kind, str(device))
            _log_choice("torch" if chosen in ("numba", "eager") else chosen, reason)
            return chosen
        case "numba":
            if kind != "cpu":
                raise InputError("backend=numba", f"runs on CPUs, the data is on {kind}", "set backend=auto.")
            if missing := numba_missing():
                raise InputError("backend=numba", missing, "set backend=torch, or reinstall numba.")
        case "triton":
            if missing := triton_missing(str(device)):
                way_on = "set backend=auto to take what can run."
                raise InputError("backend=triton", missing, way_on)
        case "mamba_ssm":
            if missing := mamba_ssm_missing(kind):
                way_on = "set backend=auto, or install mamba-ssm with its CUDA extension built."
                raise InputError("backend=mamba_ssm", missing, way_on)
        case "eager":
            pass
        case _:
            check_name(backend)
    return backend


def check_name(backend: str) -> str:
    """Return `backend`; raises InputError if there is none of that name. Nothing has to run for that."""
    if backend not in BACKENDS:
        way_on = f"choose one of {', '.join(BACKENDS)}."
        raise InputError(f"backend={backend}", "no such scan backend", way_on)
    return backend


def _choose(backend: str, kind: str, device: str) -> tuple[str, str]:
    if kind == "cpu":
        missing = numba_missing()
        return ("eager", f"plain steps: Numba cannot run: {missing}") if missing else ("numba", _by_numba())
    if kind != "cuda" or backend == "torch":
        return "eager", f"plain steps on {kind}"
    no_triton = "TRITON_INTERPRET is set" if _interpreting() else triton_missing(device)
    if not no_triton:
        return "triton", f"compiled for this GPU, {device}"
    no_mamba_ssm = mamba_ssm_missing(kind)
    if not no_mamba_ssm:
        return "mamba_ssm", f"its kernel is there; Triton cannot run: {no_triton}"
    return "eager", f"plain steps; Triton cannot run: {no_triton}; mamba-ssm cannot: {no_mamba_ssm}"


@functools.cache
def _by_numba() -> str:
    from ocrtrain.model.ssm.scan import numba as scan_numba

    # Numba names its files by module and function.
    kept = Path(scan_numba.scan_forward.stats.cache_path).glob(f"{Path(scan_numba.__file__).stem}.scan_*.nbi")
    if any(kept):
        return "compiled for this CPU by Numba"
    return "Numba compiles it for this CPU, which takes a quarter of a minute, this once"


@functools.cache
def _log_choice(chosen: str, reason: str) -> None:
    log.info("Mamba's scan runs on backend %s (%s)", chosen, reason)


@functools.cache
def numba_missing() -> str | None:
    """Say why Numba's kernels cannot run here; None if they can."""
    try:
        import ocrtrain.model.ssm.scan.numba  # noqa: F401
    except Exception as error:  # a broken install fails in many ways, and plain torch can stand in
        return f"{type(error).__name__}: {error}"
    return None


def _interpreting() -> bool:
    return os.environ.get("TRITON_INTERPRET", "0").lower() in ("1", "true", "yes", "on", "y")


@functools.cache
def triton_missing(device: str) -> str | None:
    """Say why the Triton kernels cannot run on a device; None if a first tiny scan went through."""
    kind = torch.device(device).type
    if kind == "cpu" and not _interpreting():
        return "runs on GPUs, the data is on cpu (its interpreter, TRITON_INTERPRET=1, is for tests)"
    if kind not in ("cpu", "cuda"):
        return f"runs on CUDA devices, the data is on {kind}"
    if kind == "cuda" and not torch.cuda.is_available():
        return "torch finds no CUDA device"
    if kind == "cuda" and torch.version.cuda and torch.cuda.get_device_capability(device) < (7, 0):
        return f"{torch.cuda.get_device_name(device)} is older than compute capability 7.0"
    try:
        from ocrtrain.model.ssm.scan.triton import INTERPRETED, scan_triton

        if kind == "cpu" and not INTERPRETED:
            return "triton was imported before TRITON_INTERPRET was set"
        with torch.no_grad(), torch.autocast(kind, enabled=False):
            frame, matrix = torch.ones(1, 1, 1, device=device), -torch.ones(1, 1, device=device)
            y = scan_triton(frame, frame, matrix, frame, frame, None, None, None, False, None, False)
        return None if y.item() == 1.0 else f"a scan of one frame gave {y.item()}, not 1"
    except Exception as error:  # no compiler, no driver, no package: all of them mean that another must do
        return f"{type(error).__name__}: {error}"


@functools.cache
def mamba_ssm_missing(kind: str) -> str | None:
    """Say why mamba-ssm's kernel cannot run on a type of device; None if it is there.

    Its compiled extension is imported: some versions install, and import, without it.
    """
    if kind != "cuda":
        return f"runs on CUDA devices, the data is on {kind}"
    try:
        import selective_scan_cuda  # noqa: F401
        from mamba_ssm.ops.selective_scan_interface import selective_scan_fn  # noqa: F401
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None
