"""A loader worker that hangs or dies is named."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time

import pytest
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ocrtrain.data.batches.loader import LineLoader
from ocrtrain.errors import InputError
from ocrtrain.training.error_translation import explained


class Sleepy(Dataset[int]):
    """Its third item never comes."""

    def __getitem__(self, index: int) -> int:
        if index == 2:
            time.sleep(60)
        return index


def test_a_worker_that_hangs_is_named() -> None:
    loader = LineLoader(Sleepy(), sampler=range(4), num_workers=2, timeout=3, batch_size=None)
    batches = iter(loader)
    assert [next(batches), next(batches)] == [0, 1]
    workers = [worker.pid for worker in multiprocessing.active_children()]
    with pytest.raises(RuntimeError, match="DataLoader timed out") as caught:
        next(batches)
    reason = explained(caught.value, None, 0, 4)
    assert isinstance(reason, InputError) and "has given nothing for 3 seconds" in reason.why
    named = reason.what.removeprefix("loader worker 0 (process ").removesuffix(")")
    assert int(named) in workers and "data.timeout" in reason.way_on
    del batches, caught  # which ends the workers


class Drawn(Dataset[Tensor]):
    def __getitem__(self, index: int) -> Tensor:
        return torch.full((1000,), index)


def test_a_worker_that_dies_between_drawing_and_handing_over_is_named() -> None:
    batches = iter(LineLoader(Drawn(), sampler=range(9), num_workers=1, batch_size=None))
    assert next(batches)[0] == 0
    (worker,) = multiprocessing.active_children()
    time.sleep(0.5)  # the next two wait in the queue: names of memory that the worker still has to hand over
    assert worker.pid is not None
    with pytest.raises(RuntimeError, match=f"DataLoader worker .*{worker.pid}") as caught:
        os.kill(worker.pid, signal.SIGKILL)
        list(batches)
    reason = explained(caught.value, None, 0, 4)
    assert isinstance(reason, InputError) and reason.what == f"a loader worker (process {worker.pid})"
    del batches, caught


def test_a_loader_without_workers_gives_all() -> None:
    assert list(LineLoader(Sleepy(), sampler=range(2), batch_size=None)) == [0, 1]
