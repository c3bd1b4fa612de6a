"""The progress of a command: a bar on a terminal, now and then a plain line elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from tqdm import tqdm

_SECONDS_BETWEEN_LINES = 30.0


class Progress:
    """Counts up to `total` things called `unit` on stderr; control codes go to terminals only."""

    def __init__(self, unit: str, total: int) -> None:
        self.unit, self.total, self.done = unit, total, 0
        self._bar = tqdm(total=total, unit=f" {unit}", disable=not sys.stderr.isatty(), leave=False)
        self._began = self._said = time.monotonic()

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._bar.close()

    def __call__(self, more: int) -> None:
        """Count `more` of them."""
        self.done += more
        self._bar.update(more)
        now = time.monotonic()
        if self._bar.disable and now - self._said > _SECONDS_BETWEEN_LINES:
            self._said = now
            rate = self.done / (now - self._began)
            left = (self.total - self.done) / rate
            message = f"{self.done:,} of {self.total:,} {self.unit}, {rate:,.0f} a second, {left:,.0f} s left"
            print(message, file=sys.stderr, flush=True)
