"""A run's folder: its name, what is in it at the start, and the checkpoint to go on from."""

from __future__ import annotations

import json
import logging
import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
import yaml
from filelock import FileLock, Timeout

from ocrtrain import cache
from ocrtrain.checkpoint.adapter import CONFIG, WEIGHTS
from ocrtrain.checkpoint.description import KEY, read_checkpoint
from ocrtrain.commands.clean import RUN_MARK
from ocrtrain.commands.fit.settings import FitSettings
from ocrtrain.errors import InputError
from ocrtrain.files import atomic_path, write_text_atomically

log = logging.getLogger(__name__)

AUTO = "auto"


def run_folder(settings: FitSettings) -> Path:
    """Name the run's folder; raises InputError if it holds another run that this one would overwrite."""
    folder = Path(settings.runs) / settings.run
    if settings.resume is not None:
        resume = Path(settings.resume)
        # A checkpoint in a run's own folder goes on there, wherever that is.
        return resume.resolve().parent.parent if resume.parent.name == "checkpoints" else folder
    if any(folder.glob("checkpoints/*.ckpt")) and not settings.overwrite:
        raise InputError(
            f"run={settings.run}",
            f"{folder} holds the checkpoints of an earlier run",
            f"choose another name, go on with resume={folder / 'checkpoints' / 'last.ckpt'}, "
            "or set overwrite=true.",
        )
    return folder


def resume_path(settings: FitSettings) -> str | None:
    """Name the checkpoint to go on from: for `resume=auto` the newest whole one of the run, if it has any.

    Raises InputError if the run has checkpoints of which none can be read.
    """
    if settings.resume != AUTO:
        return settings.resume
    folder = Path(settings.runs) / settings.run / "checkpoints"
    newest, damaged = newest_checkpoint(folder)
    for path in damaged:
        way_on = f"going on from {newest}" if newest else "there is no other"
        log.warning("%s is damaged or no checkpoint to go on from: %s", path, way_on)
    if newest is None and damaged and not settings.overwrite:
        raise InputError(
            "resume=auto",
            f"none of the checkpoints in {folder} can be gone on from",
            "bring one back, or begin again with overwrite=true.",
        )
    if newest is None:
        log.info("resume=auto: nothing in %s yet, so this is a beginning", folder)
    return None if newest is None else str(newest)


def newest_checkpoint(folder: Path) -> tuple[Path | None, list[Path]]:
    """Find the checkpoint of the highest step that can be gone on from, and those that are damaged.

    Of equals, `last.ckpt` comes first. Of most, only the index is read, which lies at the end; the newest is
    compared with its checksums, and if it is damaged, the next.
    """
    found: list[tuple[int, bool, Path]] = []
    damaged = []
    for path in sorted(folder.glob("*.ckpt")):
        try:
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
            whole = KEY in content and bool(content["optimizer_states"])
            found.append((int(content["global_step"]) if whole else -1, path.name == "last.ckpt", path))
        except Exception:  # whatever torch says of a damaged file
            damaged.append(path)
    for _, _, path in sorted((entry for entry in found if entry[0] >= 0), reverse=True):
        try:
            read_checkpoint(path)
        except InputError:
            damaged.append(path)
        else:
            return path, damaged
    return None, damaged


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep other processes out of the run's folder; raises InputError if one trains into it.

    The system lets go of the lock when a process ends, however it does.
    """
    lock = FileLock(folder / ".lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(blocking=False)
    except Timeout:
        raise InputError(
            f"run={folder.name}",
            f"another process is training into {folder}",
            "choose another name, or wait for it, or stop it.",
        ) from None
    except (OSError, NotImplementedError) as error:  # a file system without locks, or one to read only
        log.debug("%s is not locked: %s", folder, error)
    try:
        yield
    finally:
        if lock.is_locked:
            with suppress(OSError):  # while it is ours: afterwards it may be another's
                os.unlink(lock.lock_file)
        lock.release()


def prepare_folder(folder: Path, chosen: Mapping[str, Any]) -> None:
    """Make the run's folder and put the resolved configuration into it."""
    with atomic_path(folder / "config.yaml") as temporary:
        temporary.write_text(yaml.safe_dump(dict(chosen), sort_keys=False, allow_unicode=True), "utf-8")
    # What `clean` tells a run by; while this process lives, it leaves the folder alone.
    write_text_atomically(folder / RUN_MARK, json.dumps({"pid": os.getpid(), "host": platform.node()}) + "\n")
    remove_unfinished(folder)
    if chosen["resume"] is None:  # with overwrite=true, the old run's must not be taken for this one's
        for old in (folder / "checkpoints").glob("*.ckpt"):
            old.unlink()
        for name in (CONFIG, WEIGHTS):
            (folder / "adapter" / name).unlink(missing_ok=True)
    cache.record("run", folder)


def remove_unfinished(folder: Path) -> None:
    """Remove what a kill in the midst of a save left, wherever it lies in a run's folder.

    A run in a folder within it is another's, and may be saving right now.
    """
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not (Path(place) / name / RUN_MARK).exists()]
        for name in files:
            if name.startswith(".") and name.endswith(".partial"):
                with suppress(FileNotFoundError):
                    (Path(place) / name).unlink()
