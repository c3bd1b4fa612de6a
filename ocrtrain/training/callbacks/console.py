"""Progress of a run on the console: speed, time left, and how well it reads."""

from __future__ import annotations

import sys
import time
from typing import Any, TextIO

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from ocrtrain.data.batches.batch import Batch
from ocrtrain.training.clock import Clock
from ocrtrain.training.recognizer_module import RecognizerModule, Validation, evenly

REFRESH = 0.5  # seconds between two updates of a terminal's line
REPORT = 30.0  # seconds between two lines in a log file


class Console(Callback):
    """Shows one line that renews itself on a terminal, or a line every half minute in a log file.

    Data-wait is the share of the time in which training had nothing to do but wait for the next batch.
    """

    def __init__(
        self, clock: Clock, batches_per_epoch: int, samples: int = 5, out: TextIO | None = None
    ) -> None:
        self.clock, self.batches_per_epoch, self.samples = clock, batches_per_epoch, samples
        self.out = sys.stderr if out is None else out
        self.live = self.out.isatty()
        # A running mean, left on its device: reading it at each step would wait for a GPU.
        self._loss: Tensor | None = None
        self.lines = 0
        self._window: tuple[float, int, float] = (0.0, 0, 0.0)
        self._waited, self._idle_since, self._shown = 0.0, 0.0, 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        now = time.monotonic()
        self._idle_since, self._window, self._shown = now, (now, 0, 0.0), now

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        self._waited += time.monotonic() - self._idle_since

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, RecognizerModule)
        self.lines += pl_module.lines
        now = time.monotonic()
        self._idle_since = now
        if (loss := pl_module.loss) is not None:
            mean = loss if self._loss is None else self._loss.lerp(loss, 0.05)
            self._loss = mean.where(mean.isfinite(), loss if self._loss is None else self._loss)
        if not trainer.is_global_zero or now - self._shown < (REFRESH if self.live else REPORT):
            return
        self._shown = now
        self._write(self._status(trainer, now), ends=not self.live)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.live and trainer.is_global_zero:
            self._write(f"step {trainer.global_step:,}  reading the validation lines ...", ends=False)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, RecognizerModule)
        # Validation is no waiting for data, and its seconds are no training speed.
        now = time.monotonic()
        self._idle_since, self._window = now, (now, self.lines, self._waited)
        if pl_module.validation is not None and trainer.is_global_zero and not trainer.sanity_checking:
            for line in self._verdict(trainer, pl_module.validation):
                self._write(line, ends=True)

    def _status(self, trainer: Trainer, now: float) -> str:
        since, lines, waited = self._window
        elapsed = max(now - since, 1e-6)
        if elapsed > 20.0:
            self._window = (now, self.lines, self._waited)
        progress = self.clock.progress(trainer.global_step)
        loss = float("nan") if self._loss is None else float(self._loss)
        left = max(0.0, self.clock.seconds * (1.0 / progress - 1.0)) if progress > 0 else 0.0
        batches: Any = trainer.fit_loop.epoch_loop.batch_progress.total
        return (
            f"step {trainer.global_step:,}  epoch {batches.processed / self.batches_per_epoch:.2f}"
            f"  {min(progress, 1.0):4.0%}  loss {loss:.3f}  {(self.lines - lines) / elapsed:,.0f} lines/s"
            f"  data-wait {(self._waited - waited) / elapsed:.0%}  {clock_time(left)} left"
        )

    def _verdict(self, trainer: Trainer, validation: Validation) -> list[str]:
        counts = validation.counts
        lines = [
            f"step {trainer.global_step:,}  after {clock_time(self.clock.seconds)}"
            f"  CER {counts.cer:.2%}  WER {counts.wer:.2%}  exact lines {counts.line_accuracy:.1%}"
            f"  loss {validation.loss:.3f}  ({counts.lines:,} lines)"
        ]
        for name, part in validation.parts.items():
            lines.append(f"    {name}: CER {part.cer:.2%}  exact lines {part.line_accuracy:.1%}")
        for reading in evenly(validation.samples, self.samples):
            read = reading.transcript.text
            lines += [
                f"    truth  {reading.truth}",
                f"    {'=' if read == reading.truth else 'read':<5}  {read}",
            ]
        return lines

    def _write(self, text: str, ends: bool) -> None:
        start = "\r\x1b[K" if self.live else ""  # the renewed line must not show through
        self.out.write(start + text + ("\n" if ends else ""))
        self.out.flush()


def clock_time(seconds: float) -> str:
    """Write a duration as 7 s, 12:05 or 3:04:05."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, hours = whole // 60 % 60, whole // 3600
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
