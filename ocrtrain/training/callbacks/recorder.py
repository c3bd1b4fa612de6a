"""The record of a run: metrics.csv as it goes, and two pictures after each validation."""

from __future__ import annotations

import csv
import math
import os
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from ocrtrain.evaluation.report.history import MetricCurve, plot_history
from ocrtrain.evaluation.report.sheet import SheetLine, draw_sheet
from ocrtrain.fields import CheckedFields
from ocrtrain.files import atomic_path
from ocrtrain.training.clock import Clock, stepped
from ocrtrain.training.recognizer_module import RecognizerModule, evenly

COLUMNS = (
    "step", "seconds", "lines", "learning_rate_factor", "loss",
    "val_loss", "val_cer", "val_wer", "val_line_accuracy", "skipped_steps",
)  # fmt: skip


class Recorder(Callback):
    """Keeps `metrics.csv`, `history.png` and `samples.png` in the run's folder.

    every_steps: steps between two rows of training loss; sheet_lines: validation lines on the sheet. Where
    validation lines are of several sources, the table has a column "val_cer NAME" for each.
    A resumed run goes on after the row of the step that it resumes from.
    """

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        every_steps: int = 10,
        sheet_lines: int = 24,
    ) -> None:
        self.folder, self.clock = folder, clock
        self.every_steps, self.sheet_lines = every_steps, sheet_lines
        self.lines = 0
        self._losses: list[Any] = []
        self._columns = list(COLUMNS)

    @property
    def table(self) -> Path:
        """Path of the metrics table."""
        return self.folder / "metrics.csv"

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        parts = getattr(getattr(trainer, "datamodule", None), "val_parts", [])
        self._columns = [*COLUMNS, *map(_column, parts)]
        kept = [row for row in self.rows() if int(row["step"]) <= trainer.global_step and trainer.global_step]
        with atomic_path(self.table) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self._columns, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(kept)

    def rows(self) -> list[dict[str, str]]:
        """Read the rows written so far."""
        if not self.table.is_file():
            return []
        with open(self.table, newline="", encoding="utf-8") as file:
            # A row that was cut short, by a crash or a full disk, lacks its last columns.
            whole = [row for row in csv.DictReader(file) if None not in row.values()]
            return [row for row in whole if row.get("step", "").isdigit()]

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, RecognizerModule)
        self.lines += pl_module.lines
        if pl_module.loss is not None:
            self._losses.append(pl_module.loss)
        if stepped(trainer, batch_idx) and trainer.global_step % self.every_steps == 0 and self._losses:
            self._write(trainer, pl_module, loss=self._mean_loss())

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, RecognizerModule)
        validation = pl_module.validation
        if validation is None or trainer.sanity_checking:
            return
        counts = validation.counts
        self._write(
            trainer,
            pl_module,
            loss=self._mean_loss(),
            val_loss=validation.loss,
            val_cer=counts.cer,
            val_wer=counts.wer,
            val_line_accuracy=counts.line_accuracy,
            **{_column(name): part.cer for name, part in validation.parts.items()},
        )
        if not trainer.is_global_zero:
            return
        rows = self.rows()
        curves = [MetricCurve.from_rows(rows, column) for column in ("loss", "val_cer", "val_loss")]
        plot_history(curves[0], curves[1], self.folder / "history.png", curves[2])
        drawn = evenly(validation.samples, self.sheet_lines)
        lines = [SheetLine(r.image, r.truth, r.transcript.text) for r in drawn]
        if lines:
            draw_sheet(lines, self.folder / "samples.png")

    def _mean_loss(self) -> float | None:
        losses = [value for loss in self._losses if math.isfinite(value := float(loss))]
        self._losses.clear()
        return sum(losses) / len(losses) if losses else None

    def _write(self, trainer: Trainer, pl_module: LightningModule, **values: float | None) -> None:
        if not trainer.is_global_zero:
            return
        assert isinstance(pl_module, RecognizerModule)
        known = {
            "step": trainer.global_step,
            "seconds": round(self.clock.seconds, 2),
            "lines": self.lines,
            "learning_rate_factor": round(self.clock.factor, 6),
            "skipped_steps": pl_module.skipped_steps,
        }
        row = {**known, **{k: f"{v:.6g}" for k, v in values.items() if v is not None}}
        with open(self.table, "a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, self._columns).writerow(row)

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        # After a power loss, a run goes on from the checkpoint: the rows before it must be there as well.
        if trainer.is_global_zero and self.table.is_file():
            with open(self.table, "rb+") as file:
                os.fsync(file.fileno())

    def state_dict(self) -> dict[str, Any]:
        return {"lines": self.lines, "losses": [float(loss) for loss in self._losses]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        fields = CheckedFields(state_dict, "Recorder")
        self.lines = fields.integer("lines", 0)
        self._losses = fields.items("losses", _loss, default=[])


def _loss(value: Any) -> float:
    return CheckedFields({"losses": value}, "Recorder").number("losses", finite=False)


def _column(part: str) -> str:
    """Name the column of one source's validation CER."""
    return f"val_cer {part}"
