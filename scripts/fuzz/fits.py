"""Trainings that go on from a checkpoint: as far as their settings, and with all that is restored."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
from pathlib import Path

from fuzz.kind import Kind, ShownError
from fuzz.lines import make_listed
from fuzz.models import begin

TINY = (
    "backbone.channels=[4,4,8]",
    "backbone.out_channels=8",
    "encoder=bilstm",
    "encoder.width=8",
    "encoder.layers=1",
    "data.batch_size=4",
    "data.workers=0",
    "data.augment=null",
    "trainer.validate_every_steps=100",
    "run=tiny",
)


def fit(folder: Path, data: Path, *words: str) -> Path:
    """Train into `folder`; gives its last checkpoint, or ends with the command's exit code."""
    from ocrtrain.__main__ import main

    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = main(["fit", *TINY, f"data.train={data}", f"data.val={data}", f"runs={folder}", *words])
    if code == 2:
        raise SystemExit(2)
    if code != 0:
        told = [line.strip() for line in said.getvalue().splitlines() if line.strip()]
        places = [line for line in told if line.startswith("File ") and f"{os.sep}ocrtrain{os.sep}" in line]
        raised = next((line for line in reversed(told) if "Error" in line.partition(":")[0]), told[-1])
        where = places[-1].rpartition(f"{os.sep}ocrtrain{os.sep}")[2] if places else ""
        kind, _, message = raised.partition(":")
        raise ShownError(f"{kind} at {where}:{message[:90]} (exit code {code})")
    return folder / "tiny" / "checkpoints" / "last.ckpt"


def make(folder: Path) -> None:
    make_listed(folder, ".list", False)
    (folder / "case").rename(folder / "fixed")
    (folder / "case").mkdir()
    last = fit(folder / "runs", folder / "fixed", "trainer.max_steps=2")
    shutil.copy(last, folder / "case" / "tiny.ckpt")
    shutil.rmtree(folder / "runs")


def resume(case: Path, fixed: Path) -> object:
    """Train one step more; the weights after it are found."""
    import torch

    last = fit(case.parent / "runs", fixed, "trainer.max_steps=3", f"resume={case / 'tiny.ckpt'}")
    return torch.load(last, weights_only=True)["state_dict"]


KINDS = {
    "resume": Kind(make, lambda case, fixed: begin(case, "resume"), 6, (".ckpt",), cut_shows=True),
    "fit resume": Kind(make, resume, 2, (".ckpt",), cut_shows=True),
}
