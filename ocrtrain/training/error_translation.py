"""Errors from below training in plain words: workers, memory, the other processes."""

from __future__ import annotations

import re
import signal

import torch

from ocrtrain.data.batches.batch import Batch
from ocrtrain.errors import InputError

# What torch says when the connection to another process of the run is gone.
LOST = re.compile(
    r"Connection (closed|reset) by peer|Broken pipe|gloo.*(Timed out|timeout|reset|refused)|NCCL|"
    r"DistBackendError|DistNetworkError|recvValue failed|sendBytes failed|failed to recv",
    re.IGNORECASE,
)


class ProcessLost(InputError):  # noqa: N818 - named for what it reports
    """Another process of the run is gone: a consequence, so not the first thing to be told."""


def explained(error: BaseException, batch: Batch | None, fitted: int, batch_size: int) -> InputError | None:
    """Explain what stopped training; None if it is nothing of the kind.

    batch: the one at hand; fitted: the most pixels (padding and all lines included) of a batch that was
    trained on before; batch_size: lines of a step.
    """
    text = str(error)
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "can't allocate memory" in text:
        return out_of_memory(batch, fitted, batch_size, isinstance(error, torch.OutOfMemoryError))
    if not isinstance(error, RuntimeError):
        return None
    if "DataLoader timed out" in text or "DataLoader worker" in text:
        return worker_lost(text)
    return None


def lost(error: RuntimeError, processes: int) -> ProcessLost | None:
    """Tell whether `error` says that another of the run's `processes` is gone."""
    if processes == 1 or not LOST.search(str(error)):
        return None
    return ProcessLost(
        "the connection to another process of this run",
        "is lost",
        "Its own message tells why. Go on from the last checkpoint with resume=auto.",
    )


def out_of_memory(batch: Batch | None, fitted: int, batch_size: int, on_gpu: bool) -> InputError:
    """Say which batch did not fit, and how many lines of its width would."""
    what = "the GPU's memory" if on_gpu else "memory"
    if batch is None or not len(batch):
        return InputError(what, "is used up", "make the batches smaller (data.batch_size), or the model.")
    lines, channels, height, width = batch.pixels.shape
    pixels = channels * height * width
    known = min(fitted // pixels, lines - 1)
    fits = max(1, known if known else lines // 2)
    share = max(1, batch_size * fits // lines)
    tried = (
        f"batches of up to {fitted // (channels * height):,} columns in all were no problem; "
        if fitted
        else ""
    )
    way_on = (
        f"{tried}data.batch_size={share} trainer.accumulate_grad_batches={-(-batch_size // share)} fits,"
        " and trains alike."
        if lines > 1
        else f"one line of {width:,} columns alone is too much: take the widest lines out, lower data.height,"
        " or choose a smaller model."
    )
    return InputError(
        what,
        f"is used up by a batch of {lines} lines of {height}x{width} pixels, {channels} channels",
        way_on,
    )


def worker_lost(text: str) -> InputError:
    """Say which loader worker died, of what, or that one hangs."""
    if found := re.search(r"worker (\d+) \(process (\d+)\).* silent for (\S+) seconds", text):
        return InputError(
            f"loader worker {found[1]} (process {found[2]})",
            f"has given nothing for {found[3]} seconds",
            "is the disk or the network that holds the lines slow or away? data.timeout=SECONDS allows for"
            " more, data.workers=0 reads in the training process itself; go on with resume=auto.",
        )
    named = re.search(r"pid(?:\(s\))? ([\d, ]+)\)", text)
    pids = named[1] if named else "?"
    cause = re.search(r"killed by signal: ([^.]*)", text)
    why = "died" if cause is None else f"was ended by a signal: {cause[1].strip()}"
    return InputError(
        f"a loader worker (process {pids})",
        why,
        "most often memory is used up (the system then kills a process), or /dev/shm is too small in a"
        " container: fewer data.workers help, and 0 needs none; go on with resume=auto.",
    )


def ended_by(code: int) -> str:
    """Say how a process ended: its exit code, or the signal."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = str(-code)
    return f"was ended by signal {-code} ({name})"
