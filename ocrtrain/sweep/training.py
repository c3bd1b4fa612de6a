"""One trial's training: a process, the CERs that it writes down, and how it ended."""

from __future__ import annotations

import csv
import math
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ocrtrain.errors import InputError
from ocrtrain.files import unwritable
from ocrtrain.run_mark import process_lives, read_mark

LOG = "log.txt"
TAIL = 8  # lines of a log that tell why a training failed


@dataclass(frozen=True, slots=True)
class Judged:
    """A validation: after how many steps and seconds of training, and its CER."""

    step: int
    seconds: float
    cer: float


def read_validations(table: Path) -> list[Judged]:
    """Read the validations that a run's metrics.csv has so far; a row half written does not count."""
    try:
        text = table.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    judged = []
    for row in csv.DictReader(text[: text.rfind("\n") + 1].splitlines()):
        try:
            judged.append(Judged(int(row["step"]), float(row["seconds"]), float(row["val_cer"])))
        except (KeyError, TypeError, ValueError):
            continue
    return judged


def best_cer(judged: Sequence[Judged]) -> float | None:
    """The lowest CER; None if there is no finite one."""
    return min((v.cer for v in judged if math.isfinite(v.cer)), default=None)


def still_at_work(folder: Path) -> int | None:
    """The process that trains in `folder`, left behind by a search that was killed; None if there is none."""
    mark = read_mark(folder)
    if mark is None or not process_lives(mark.process):
        return None
    with suppress(OSError):
        # It writes a line every half minute. A number that was given to another process says nothing.
        if time.time() - (folder / LOG).stat().st_mtime < 120.0:
            return mark.process
    return None


class Training:
    """Starts `command` as a process of its own, with what it prints in `folder`/log.txt.

    Ctrl-C in the terminal does not reach it: whoever started it decides. environment: variables beyond ours.
    """

    def __init__(self, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        self.folder, self.started = folder, time.monotonic()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with open(folder / LOG, "a", encoding="utf-8") as log:
                log.write(f"$ {shlex.join(command)}\n")
                log.flush()
                self.process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **environment},
                    start_new_session=os.name == "posix",
                )
        except OSError as error:
            raise unwritable(error.filename or folder, error) from error

    @property
    def seconds(self) -> float:
        """Seconds since it was started."""
        return time.monotonic() - self.started

    @property
    def code(self) -> int | None:
        """Its exit code; None while it runs."""
        return self.process.poll()

    def validations(self) -> list[Judged]:
        """The validations so far, also those before it was interrupted."""
        return read_validations(self.folder / "metrics.csv")

    def ask_to_stop(self) -> None:
        """Ask it to end after the step at hand, with a checkpoint to go on from."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it and its loader processes at once."""
        if os.name == "posix":
            with suppress(OSError):
                os.killpg(self.process.pid, signal.SIGKILL)
        else:
            self.process.kill()
        self.process.wait()

    def last_words(self) -> str:
        """The last lines of its log."""
        try:
            text = (self.folder / LOG).read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise InputError(str(self.folder / LOG), f"cannot be read: {error.strerror}", "") from error
        text = text.rpartition("\n$ ")[2].partition("\n")[2]  # what was printed since it was started last
        lines = [line.rstrip()[:300] for line in text.splitlines() if line.strip()]
        return "\n".join(lines[-TAIL:])
