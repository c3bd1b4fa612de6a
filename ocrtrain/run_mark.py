"""The mark in a run's folder: tells a run by its folder, and which process trains, or trained, into it."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import dataclass
from pathlib import Path

from ocrtrain.fields import CheckedFields, FieldError
from ocrtrain.files import write_text_atomically
from ocrtrain.json_text import JsonError, parse_json_file

RUN_MARK = ".ocrtrain-run"


@dataclass(frozen=True, slots=True)
class RunMark:
    """A process by its number, and the machine that it runs on."""

    process: int
    host: str

    @property
    def is_here(self) -> bool:
        """Whether the process is, or was, one of this machine's, and can be asked for."""
        return os.name == "posix" and self.host == platform.node()


def write_mark(folder: Path) -> None:
    """Mark `folder` as that of a run that this process trains."""
    text = json.dumps({"pid": os.getpid(), "host": platform.node()})
    write_text_atomically(folder / RUN_MARK, text + "\n")


def read_mark(folder: Path) -> RunMark | None:
    """Read the mark in `folder`; None if there is none that names a process. Links are not followed."""
    file = folder / RUN_MARK
    if file.is_symlink():
        return None
    try:
        mark = CheckedFields(parse_json_file(file))
        return RunMark(mark.integer("pid", 1, 2**31 - 1), mark.text("host"))
    except (OSError, JsonError, FieldError):
        return None


def process_lives(process: int) -> bool:
    """Tell whether a process of this machine is there; where that cannot be asked, yes."""
    if process <= 0 or os.name != "posix":
        return process > 0
    try:
        os.kill(process, 0)  # asks, and sends nothing
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True
