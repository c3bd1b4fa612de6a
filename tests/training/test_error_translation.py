"""What stops training, in words."""

from __future__ import annotations

import pytest
import torch

from ocrtrain.data.batches.batch import Batch
from ocrtrain.errors import InputError
from ocrtrain.training.error_translation import ProcessLost, ended_by, explained, lost


def batch(lines: int, width: int) -> Batch:
    numbers = torch.zeros(lines, dtype=torch.int64)
    pixels = torch.zeros(lines, 1, 40, width, dtype=torch.uint8)
    return Batch(pixels, numbers, numbers[:, None], numbers, [""] * lines, [""] * lines)


@pytest.mark.parametrize(
    ("lines", "fitted", "batch_size", "fits"),
    [
        (16, 0, 16, (8, 2)),  # nothing known: half
        (16, 40 * 800 * 4, 16, (4, 4)),  # what was no problem before
        (16, 40 * 800 * 99, 16, (15, 2)),  # it was the same size, and did not fit this time
        (8, 40 * 800 * 4, 32, (16, 2)),  # a share of the lines on each process
    ],
)
def test_the_setting_that_fits(lines: int, fitted: int, batch_size: int, fits: tuple[int, int]) -> None:
    error = torch.OutOfMemoryError("CUDA out of memory.")
    reason = explained(error, batch(lines, 800), fitted, batch_size)
    assert reason is not None and reason.what == "the GPU's memory"
    assert f"a batch of {lines} lines of 40x800 pixels" in reason.why
    assert "data.batch_size={} trainer.accumulate_grad_batches={} fits".format(*fits) in reason.way_on


def test_one_line_that_does_not_fit() -> None:
    reason = explained(MemoryError(), batch(1, 90_000), 0, 16)
    assert reason is not None and "one line of 90,000 columns alone is too much" in reason.way_on


def test_a_lost_process_is_a_consequence() -> None:
    text = "[../gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:4711"
    assert isinstance(lost(RuntimeError(text), processes=2), ProcessLost)
    assert lost(RuntimeError(text), processes=1) is None
    assert lost(RuntimeError("shape mismatch"), processes=2) is None


@pytest.mark.parametrize(
    ("text", "what", "why"),
    [  # torch's words, from two places
        (
            "DataLoader worker (pid 77) is killed by signal: Killed. ",
            "a loader worker (process 77)",
            "was ended by a signal: Killed",
        ),
        (
            "DataLoader worker (pid(s) 77, 78) exited unexpectedly",
            "a loader worker (process 77, 78)",
            "died",
        ),
    ],
)
def test_a_worker_that_dies_is_named(text: str, what: str, why: str) -> None:
    reason = explained(RuntimeError(text), None, 0, 16)
    assert reason is not None and (reason.what, reason.why) == (what, why)


def test_what_is_a_bug_is_not_explained() -> None:
    assert explained(RuntimeError("shape mismatch"), None, 0, 16) is None
    assert explained(InputError("a", "b", "c"), None, 0, 16) is None


def test_how_a_process_ended() -> None:
    assert ended_by(3) == "ended with exit code 3"
    assert ended_by(-9) == "was ended by signal 9 (SIGKILL)"
