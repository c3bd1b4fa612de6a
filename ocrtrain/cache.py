"""Where ocrtrain keeps what it can make again, and the list of what earlier runs wrote."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ocrtrain.json_text import parse_json


@dataclass(frozen=True, slots=True)
class Output:
    """Something that a run wrote: `kind` is "data", "run" or the like, `path` is absolute."""

    kind: str
    path: Path


def cache_folder() -> Path:
    """Name the user's cache folder, which may not exist yet; the variable OCRTRAIN_CACHE overrides it."""
    if chosen := os.environ.get("OCRTRAIN_CACHE"):
        return Path(chosen).expanduser().absolute()
    try:
        home = Path.home()
    except RuntimeError:  # an account without a home folder, as in some containers
        home = Path(tempfile.gettempdir())
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "ocrtrain"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "ocrtrain" / "cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "ocrtrain"


def ledger() -> Path:
    """Name the file that lists outputs: one JSON object a line, `{"kind": ..., "path": ...}`."""
    return cache_folder() / "outputs.jsonl"


def record(kind: str, path: str | os.PathLike[str]) -> None:
    """Note that a run writes to `path`, so that `clean` finds it; where nothing can be noted, do nothing."""
    entry = (json.dumps({"kind": kind, "path": os.path.abspath(path)}) + "\n").encode()
    with suppress(OSError):
        ledger().parent.mkdir(parents=True, exist_ok=True)
        # One write in append mode: entries of runs that end together do not mix.
        file = os.open(ledger(), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(file, entry)
        finally:
            os.close(file)


def recorded() -> list[Output]:
    """List the outputs of earlier runs, oldest first, once each, whether they still exist or not."""
    try:
        lines = ledger().read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    outputs: dict[Output, None] = {}
    for line in lines:
        with suppress(ValueError, TypeError, KeyError):  # a line cut short by a full disk
            entry = parse_json(line)
            outputs[Output(str(entry["kind"]), Path(entry["path"]))] = None
    return list(outputs)
