"""A run's record for other programs to show: what metrics.csv and samples.png have, nothing else."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from ocrtrain.errors import InputError
from ocrtrain.fields import CheckedFields
from ocrtrain.training.clock import stepped
from ocrtrain.training.recognizer_module import RecognizerModule, evenly

# Columns of metrics.csv that are no curves of their own.
AXES = ("step", "seconds")
SAMPLES = 8  # lines shown as texts


class Sink:
    """Where a run's record goes beside its folder: this one, nowhere."""

    def open(self, folder: Path, config: Mapping[str, Any], step: int, identity: str | None) -> str | None:
        """Begin at `step`, or go on with the run `identity`; returns the identity of the run."""
        return None

    def write(self, row: Mapping[str, float]) -> None:
        """Take the numbers of a row of metrics.csv, by its columns, `step` among them."""

    def show(self, step: int, sheet: Path | None, lines: Sequence[tuple[str, str]]) -> None:
        """Take the picture of validation lines, and some (truth, reading)."""

    def close(self, code: int) -> None:
        """End the record: `code` is 0 if the run went well."""


class TensorBoard(Sink):
    """Writes TensorBoard's event files into the run's folder. Raises InputError where it is missing."""

    def __init__(self) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise missing("tensorboard") from error
        self._make: Any = SummaryWriter
        self._writer: Any = None

    def open(self, folder: Path, config: Mapping[str, Any], step: int, identity: str | None) -> str | None:
        # Whatever an interrupted run wrote after the checkpoint that it goes on from is no longer shown.
        self._writer = self._make(str(folder / "tensorboard"), purge_step=step + 1 if step else None)
        if not step:
            lines = [f"    {key}: {value}" for key, value in flat(config).items()]
            self._writer.add_text("settings", "\n".join(lines))
        return None

    def write(self, row: Mapping[str, float]) -> None:
        for name, value in row.items():
            if name not in AXES:
                self._writer.add_scalar(titled(name), value, int(row["step"]))

    def show(self, step: int, sheet: Path | None, lines: Sequence[tuple[str, str]]) -> None:
        if sheet is not None:
            import numpy as np
            from PIL import Image

            with Image.open(sheet) as image:
                pixels = np.asarray(image.convert("RGB"))
            self._writer.add_image("samples", pixels, step, dataformats="HWC")
        table = [f"    {truth}\n    {read}\n" for truth, read in lines]
        self._writer.add_text("samples, truth over reading", "\n".join(table), step)
        self._writer.flush()

    def close(self, code: int) -> None:
        self._writer.close()


class WeightsAndBiases(Sink):
    """Sends a run's record to Weights & Biases, or keeps it in the run's folder with `offline`.

    A resumed run goes on under its old id. Raises InputError where wandb or an account is missing.
    """

    def __init__(
        self,
        project: str = "ocrtrain",
        entity: str | None = None,
        group: str | None = None,
        tags: Sequence[str] = (),
        offline: bool = False,
    ) -> None:
        try:
            import wandb
        except ImportError as error:
            raise missing("wandb") from error
        self.project, self.entity, self.group, self.tags = project, entity, group, list(tags)
        chosen = os.environ.get("WANDB_MODE", "online")
        self.mode = "offline" if offline else chosen
        self._wandb: Any = wandb
        self._run: Any = None
        if self.mode == "online" and not logged_in(wandb):
            raise InputError(
                "logger=wandb",
                "Weights & Biases knows no account here",
                "log in with `wandb login` or by WANDB_API_KEY, or keep the record here: logger.offline=true"
                " or WANDB_MODE=offline.",
            )

    def open(self, folder: Path, config: Mapping[str, Any], step: int, identity: str | None) -> str | None:
        try:
            self._run = self._wandb.init(
                project=self.project,
                entity=self.entity,
                group=self.group,
                tags=self.tags,
                name=folder.name,
                config=dict(config),
                dir=str(folder),
                id=identity,
                resume="allow",
                mode=self.mode,
                settings=self._wandb.Settings(console="off", silent=True),
            )
        except self._wandb.errors.Error as error:
            raise InputError(
                "logger=wandb",
                f"Weights & Biases does not begin a run: {' '.join(str(error).split())}",
                "train without it, or with logger.offline=true; `wandb sync` uploads later.",
            ) from error
        # Steps of our own: theirs only grow, and a resumed run goes back to those after its checkpoint.
        self._run.define_metric("*", step_metric="step")
        return str(self._run.id)

    def write(self, row: Mapping[str, float]) -> None:
        named = {name if name in AXES else titled(name): value for name, value in row.items()}
        self._run.log({**named, "step": int(row["step"])})

    def show(self, step: int, sheet: Path | None, lines: Sequence[tuple[str, str]]) -> None:
        table = self._wandb.Table(columns=["truth", "read"], data=[list(line) for line in lines])
        picture = {} if sheet is None else {"samples": self._wandb.Image(str(sheet))}
        self._run.log({"step": step, "lines": table, **picture})

    def close(self, code: int) -> None:
        self._run.finish(exit_code=code)


class Publisher(Callback):
    """Hands what the recorder wrote on to `sink`: rows every so many steps, samples after each validation.

    Belongs behind the recorder in the list of callbacks. config: the run's settings.
    """

    def __init__(self, sink: Sink, folder: Path, config: Mapping[str, Any], every_steps: int = 50) -> None:
        self.sink, self.folder, self.config, self.every_steps = sink, folder, config, every_steps
        self.identity: str | None = None
        self._read = 0  # bytes of metrics.csv
        self._columns: list[str] = []
        self._open = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        self.identity = self.sink.open(self.folder, self.config, trainer.global_step, self.identity)
        self._open = True
        self._new_rows()  # those before a resumed run's checkpoint are known already

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if stepped(trainer, batch_idx) and trainer.global_step % self.every_steps == 0:
            self._publish()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, RecognizerModule)
        if trainer.sanity_checking or pl_module.validation is None or not self._open:
            return
        self._publish()
        readings = evenly(pl_module.validation.samples, SAMPLES)
        sheet = self.folder / "samples.png"
        lines = [(reading.truth, reading.transcript.text) for reading in readings]
        self.sink.show(trainer.global_step, sheet if sheet.is_file() else None, lines)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._publish()
        self._close(0)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._close(1)

    def _publish(self) -> None:
        if self._open:
            for row in self._new_rows():
                self.sink.write(row)

    def _new_rows(self) -> list[dict[str, float]]:
        """The numbers of the rows of metrics.csv that were not read before."""
        with open(self.folder / "metrics.csv", "rb") as file:
            file.seek(self._read)
            text = file.read()
        text = text[: text.rfind(b"\n") + 1]
        self._read += len(text)
        rows = list(csv.reader(text.decode("utf-8").splitlines()))
        if not self._columns and rows:
            self._columns = rows.pop(0)
        named = [dict(zip(self._columns, row, strict=False)) for row in rows]
        return [{name: float(value) for name, value in row.items() if value} for row in named]

    def _close(self, code: int) -> None:
        if self._open:
            self._open = False
            self.sink.close(code)

    def state_dict(self) -> dict[str, Any]:
        return {"identity": self.identity}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.identity = CheckedFields(state_dict, "Publisher").text("identity", default=None)


def publishers(sink: Sink, folder: Path, config: Mapping[str, Any]) -> list[Callback]:
    """The callbacks that `sink` needs: none, where the run's folder is all."""
    return [] if type(sink) is Sink else [Publisher(sink, folder, config)]


def titled(column: str) -> str:
    """A column's name with its part of the run before it: `val/cer`, `train/loss`."""
    return f"val/{column.removeprefix('val_')}" if column.startswith("val_") else f"train/{column}"


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings by their dotted keys."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return found


def missing(name: str) -> InputError:
    """Say that the logger's package is missing."""
    return InputError(
        f"logger={name}", f"{name} is not installed", f'Install it: pip install "ocrtrain[{name}]"'
    )


def logged_in(wandb: Any) -> bool:
    """Tell whether wandb knows an account, by an environment variable or by its files."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    try:
        return bool(wandb.login(prompt=False))
    except TypeError:  # versions that would ask: what they find out they say when the run begins
        return True
    except wandb.errors.Error:
        return False
