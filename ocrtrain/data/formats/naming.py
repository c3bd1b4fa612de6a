"""Files found by names in lists, tables and pages, which may have been written on another system.

Windows parts folders with backslashes and, like macOS, does not tell `SCAN.TIF` from `scan.tif`; archives
made on macOS spell `ä` as two characters (NFD). Every reader of names asks here, so that all of them agree.
"""

from __future__ import annotations

import os
import time
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from ocrtrain.data.images.image import legible
from ocrtrain.errors import InputError

AMBIGUOUS = "name fits several files, which differ only in case or Unicode form"

_SETTLED = 2 * 10**9  # nanoseconds: file systems tell the time of a change no finer than to 2 s


class AmbiguousNameError(InputError):
    """A name that fits several files, and none of them exactly; `files` are their paths."""

    def __init__(self, name: str, files: list[str]) -> None:
        super().__init__(legible(name), AMBIGUOUS, "write the name as the wanted file has it.")
        self.files = files

    def __reduce__(self) -> tuple[object, ...]:
        return AmbiguousNameError, (self.what, self.files)


def resolve(folder: str | os.PathLike[str], name: str) -> Path | None:
    """Find the file that `name` means in `folder`, or anywhere if it is absolute; None if there is none.

    The exact name comes first, then the one with slashes for backslashes, then the one file that has the same
    name in another Unicode form, then the one that differs in case alone. Raises `AmbiguousNameError` where
    several files fit.
    """
    found = spelling(folder, name)
    return None if found is None else Path(folder, found)


def spelling(folder: str | os.PathLike[str], name: str) -> str | None:
    """Give the name under which the file that `resolve` finds lies in `folder`, as the disk spells it."""
    root = os.fspath(folder)
    if not name or "\0" in name:
        return None
    if os.path.isfile(os.path.join(root, name)):  # nearly always, so nothing else may come before it
        return name
    turned = name.replace("\\", "/")
    if turned != name and os.path.isfile(os.path.join(root, turned)):
        return turned
    found = _alike(root, turned)
    found = [path for path in found if composed(path) == composed(turned)] or found
    if len(found) > 1:
        raise AmbiguousNameError(name, found)
    return found[0] if found else None


def folded(name: str) -> str:
    """Map names that differ only in case or Unicode form to one."""
    return composed(composed(name).lower())


def composed(name: str) -> str:
    """Write `name` in Unicode's form NFC."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def _alike(root: str, name: str) -> list[str]:
    """List the files whose paths differ from `name` only in case or Unicode form."""
    found = ["/" if name.startswith("/") else ""]
    for part in name.split("/"):
        if part in ("", "."):
            continue
        if part == "..":
            found = [os.path.join(place, part) for place in found]
            continue
        found = [
            os.path.join(place, entry)
            for place in found
            for entry in _listing(os.path.join(root, place)).get(folded(part), ())
        ]
    return sorted(path for path in found if os.path.isfile(os.path.join(root, path)))


def _listing(folder: str) -> Mapping[str, tuple[str, ...]]:
    """Group the names in `folder` by their folded form; remembered until the folder changes."""
    try:
        changed = os.stat(folder).st_mtime_ns
    except (OSError, ValueError):
        return {}
    if time.time_ns() - changed < _SETTLED:  # another change now might bear the same time
        return _list(folder)
    return _remembered(folder, changed)


@lru_cache(maxsize=4096)
def _remembered(folder: str, changed: int) -> Mapping[str, tuple[str, ...]]:
    return _list(folder)


def _list(folder: str) -> Mapping[str, tuple[str, ...]]:
    try:
        names = os.listdir(folder)
    except OSError:
        return {}
    groups: dict[str, tuple[str, ...]] = {}
    for name in names:
        key = folded(name)
        groups[key] = (*groups.get(key, ()), name)
    return groups
