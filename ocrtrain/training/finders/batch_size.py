"""Finder of a batch size: the speed of each, until it does not grow or memory is used up."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from ocrtrain.data import LineSets
from ocrtrain.data.batches.batch import Batch
from ocrtrain.training.finders.dry_run import DryRun, load, planned, widest

SMALLEST, LARGEST = 4, 4096
BATCHES = 6  # of each size, of all widths
SECONDS = 3.0  # of training at each size, at least
ENOUGH = 0.95  # of the highest speed: smaller batches make more steps of the same lines


@dataclass(frozen=True, slots=True)
class Measured:
    """Lines per second of training at a batch size, None where it did not fit; the GPU's memory in GiB."""

    batch_size: int
    lines_per_second: float | None
    memory: float | None = None


def measure(dry_run: DryRun, data: LineSets) -> Iterator[Measured]:
    """Train with batches of 4, 8, 16, ... lines, and yield the speed of each.

    On a GPU up to the size that does not fit, elsewhere until speed has fallen for two sizes. Lines are read
    before the clock runs. The model has its weights back in the end.
    """
    on_gpu = dry_run.fabric.device.type == "cuda"
    size, best, slower = SMALLEST, 0.0, 0
    try:
        while size <= min(LARGEST, max(SMALLEST, len(data.train_set))):
            batches = list(load(data, [widest(data, size), *planned(data, size)[:BATCHES]]))
            try:
                measured = _measure(dry_run, size, batches, on_gpu)
            except (torch.OutOfMemoryError, MemoryError):
                yield Measured(size, None)
                return
            yield measured
            speed = measured.lines_per_second or 0.0
            slower = slower + 1 if speed < best else 0
            best = max(best, speed)
            if slower == 2 and not on_gpu:
                return
            size *= 2
    finally:
        dry_run.restore()


def _measure(dry_run: DryRun, size: int, batches: list[Batch], on_gpu: bool) -> Measured:
    if on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    for batch in batches:  # kernels are compiled and chosen at the first sight of a shape
        dry_run.step(batch)
    lines, started = 0, time.monotonic()
    # The widest batch is there for its memory; for speed, only the ordinary ones count.
    for batch in itertools.cycle(batches[1:] or batches):
        dry_run.step(batch)  # its loss is read, which waits for a GPU
        lines += len(batch)
        if time.monotonic() - started >= SECONDS:
            break
    memory = torch.cuda.max_memory_allocated() / 2**30 if on_gpu else None
    return Measured(size, lines / (time.monotonic() - started), memory)


def choose(measured: list[Measured]) -> int | None:
    """The smallest batch size that is nearly as fast as the fastest; None if none fits."""
    known = [(m.batch_size, m.lines_per_second) for m in measured if m.lines_per_second is not None]
    best = max((speed for _, speed in known), default=0.0)
    return next((size for size, speed in known if speed >= ENOUGH * best), None)
