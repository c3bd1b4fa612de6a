"""Signals that ask a run to stop after its running step."""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import Any


class StopSignals:
    """Notes SIGINT and SIGTERM, and SIGUSR1 in a SLURM job, which warns by it; `received` is the first, or 0.

    The running step is finished first, so that what is saved then is exact. Asked twice from the keyboard,
    the process stops at once.
    """

    def __init__(self) -> None:
        self.received = 0
        self._before: dict[int, Any] = {}

    def listen(self) -> None:
        """Take the place of the handlers that are there, until `restore`."""
        slurm = "SLURM_JOB_ID" in os.environ and hasattr(signal, "SIGUSR1")
        for number in (signal.SIGINT, signal.SIGTERM, *((signal.SIGUSR1,) if slurm else ())):
            self._before[number] = signal.signal(number, self._note)

    def restore(self) -> None:
        """Put the handlers of before back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def _note(self, number: int, frame: FrameType | None) -> None:
        # A batch system may well tell every process, and so some twice: only the keyboard means it.
        if self.received and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.received = self.received or number
