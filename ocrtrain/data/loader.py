"""A loader of batches that says which of its workers hangs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch.utils.data import DataLoader

from ocrtrain.data.batch import Batch


class LineLoader(DataLoader[Batch]):
    """A DataLoader of batches of lines; a timeout's RuntimeError names the worker that is waited for."""

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        batches: Any = super().__iter__()
        while True:
            try:
                batch = next(batches)
            except StopIteration:
                return
            except RuntimeError as error:
                if "DataLoader timed out" not in str(error):
                    raise
                raise RuntimeError(self._silent(batches)) from error
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
