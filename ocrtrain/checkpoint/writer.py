"""Writing of checkpoints while training goes on: whole or not at all."""

from __future__ import annotations

import errno
import logging
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from torch import Tensor

from ocrtrain.checkpoint.description import read_checkpoint
from ocrtrain.errors import InputError
from ocrtrain.files import atomic_path, unwritable

log = logging.getLogger(__name__)

KEEP = "keep"  # the storage option that says how many checkpoints are to stay


class BackgroundCheckpointIO(TorchCheckpointIO):
    """Copies what is to be saved and writes the copy in a thread, beside its final name, then moves it there.

    One checkpoint is written at a time: the next save waits for it. What goes wrong in the thread is raised
    by the next `save_checkpoint`, `check` or `wait`. With the storage option `keep`, the checkpoint that is
    replaced stays as `step-N.ckpt`, and of those the newest keep - 1.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._writing: Future[None] | None = None
        self._steps: dict[Path, int | None] = {}

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        """Begin to save `checkpoint`; the previous one's failure to be written raises InputError."""
        self.wait()
        keep = int((storage_options or {}).get(KEEP, 1))
        self._writing = self._thread.submit(self._write, copied(checkpoint), Path(path), keep)

    def load_checkpoint(
        self, path: Any, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint whole, as everything else does; raises InputError if it is damaged."""
        return read_checkpoint(path, "resume")

    def check(self) -> None:
        """Raise what has gone wrong, without waiting."""
        if self._writing is not None and self._writing.done():
            self.wait()

    def wait(self) -> None:
        """Wait until nothing is being written; raises what has gone wrong, once."""
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def close(self) -> None:
        """Let the thread finish; what goes wrong is logged, because something else has gone wrong before."""
        try:
            self.wait()
        except InputError as error:
            log.error("%s", error)
        self._thread.shutdown()

    def _write(self, checkpoint: dict[str, Any], path: Path, keep: int) -> None:
        step = checkpoint.get("global_step")
        with atomic_path(path) as temporary:
            with full_disks_named(path):
                torch.save(checkpoint, temporary)
            if keep > 1:
                self._keep_old(path, step)
        self._steps[path] = step
        if keep > 1:
            for old in kept(path.parent)[keep - 1 :]:
                old.unlink(missing_ok=True)

    def _keep_old(self, path: Path, step: int | None) -> None:
        """Give the checkpoint that is about to be replaced a second name: at any time, one is there."""
        before = self._steps[path] if path in self._steps else step_of(path)
        if before is None or before == step:
            return
        name = path.with_name(f"step-{before}.ckpt")
        name.unlink(missing_ok=True)
        try:
            os.link(path, name)
        except OSError:  # a file system without second names
            with atomic_path(name) as temporary:
                shutil.copyfile(path, temporary)


def copied(value: Any) -> Any:
    """Copy a nested value so that training cannot change it any more; tensors come to the CPU."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        items = [copied(item) for item in value]
        return items if isinstance(value, list) else tuple(items)
    return value


def kept(folder: Path) -> list[Path]:
    """List the earlier checkpoints that were kept, the newest first."""
    return sorted(folder.glob("step-*.ckpt"), key=lambda path: path.stat().st_mtime_ns, reverse=True)


def step_of(path: Path) -> int | None:
    """Tell the step of a training's checkpoint, of which only the index is read; None if there is none."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        return int(content["global_step"]) if content["optimizer_states"] else None
    except Exception:  # whatever torch says of a damaged file
        return None


@contextmanager
def full_disks_named(path: Path) -> Iterator[None]:
    """Turn torch's word for a refused write into the system's, which says why."""
    try:
        yield
    except RuntimeError as error:
        # Its writer in C++ says neither what was refused nor why.
        if "PytorchStreamWriter" not in str(error) and "unexpected pos" not in str(error):
            raise
        free = None
        with suppress(OSError):
            free = shutil.disk_usage(path.parent).free
        refused = errno.EFBIG if free is not None and free > 1 << 28 else errno.ENOSPC
        raise unwritable(path, OSError(refused, os.strerror(refused))) from error
