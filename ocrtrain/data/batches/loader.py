"""A loader of batches that says which of its workers hangs, or is gone."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

from torch.utils.data import DataLoader

from ocrtrain.data.batches.batch import Batch


class LineLoader(DataLoader[Batch]):
    """A DataLoader of batches of lines.

    Raises RuntimeError that names the worker where one hangs (a timeout) or has died, also where torch
    meets the death while it takes over a batch and passes on the bare error of the connection.
    """

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        batches: Any = super().__iter__()
        while True:
            try:
                batch = next(batches)
            except StopIteration:
                return
            except RuntimeError as error:
                if "DataLoader timed out" in str(error):
                    raise RuntimeError(self._silent(batches)) from error
                if "Pin memory thread" in str(error) and (gone := _gone(batches)):
                    raise RuntimeError(gone) from error
                raise
            except (ConnectionError, EOFError, FileNotFoundError) as error:
                # A batch stays its worker's until it is taken over through the worker's socket.
                if gone := _gone(batches):
                    raise RuntimeError(gone) from error
                raise
            yield batch

    def _silent(self, batches: Any) -> str:
        """Name the worker that owes the next batch; torch knows it, and keeps it to itself."""
        try:
            number = batches._task_info[batches._rcvd_idx][0]
            process = batches._workers[number].pid
        except (AttributeError, KeyError, IndexError):  # another version of torch
            number, process = 0, 0
        worker = f"worker {number} (process {process})"
        return f"DataLoader timed out: {worker} was silent for {self.timeout:g} seconds"


def ignore_signals(worker: int) -> None:
    """Leave Ctrl-C and SIGTERM to the main process, which ends after the step at hand: it needs its batches.

    A terminal sends Ctrl-C to all processes of a command, and batch systems send SIGTERM to all of a job. A
    worker ends when its loader does, or when the main process is gone.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _gone(batches: Any) -> str:
    """Say which of a loader's workers have ended by themselves, in torch's own words; "" if none has."""
    workers = getattr(batches, "_workers", [])
    for worker in workers:
        worker.join(timeout=1 / len(workers))  # its socket closes a moment before it is seen to have ended
    pids = ", ".join(str(worker.pid) for worker in workers if not worker.is_alive())
    return f"DataLoader worker (pid(s) {pids}) exited unexpectedly" if pids else ""
