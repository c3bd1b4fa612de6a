"""Tables of lines: what is known before an image is opened, kept for the next start where that was slow."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocrtrain.cache import cache_folder
from ocrtrain.data.lines.strings import Strings
from ocrtrain.errors import InputError
from ocrtrain.files import atomic_path

# To be raised when tables are made by other rules: what was remembered under the old ones is then made anew.
RULES = 1

_ALIGN = 64


@dataclass(slots=True)
class LineTable:
    """The lines of a source, in order: names, texts as written, aspect ratios (width / height, float32).

    places: more arrays with a row for each line, such as where its image lies; skipped: what cannot be used,
    by reason; file: where the table lies in the cache, if it does. The arrays of such a table are parts of
    that file, and a copy that goes to another process is the file's name.
    """

    names: Strings
    texts: Strings
    aspects: NDArray[np.float32]
    places: dict[str, NDArray[Any]] = field(default_factory=dict)
    skipped: dict[str, list[str]] = field(default_factory=dict)
    file: Path | None = None

    def __len__(self) -> int:
        return len(self.names)

    def __reduce__(self) -> tuple[Any, ...]:
        if self.file is not None:
            return load, (self.file,)
        return LineTable, (self.names, self.texts, self.aspects, self.places, self.skipped)

    def select(self, kept: NDArray[np.bool_]) -> LineTable:
        """Take the lines for which `kept` is true, all of the rest of the table with them."""
        if kept.all():
            return self
        return LineTable(
            self.names.select(kept),
            self.texts.select(kept),
            self.aspects[kept],
            {name: array[kept] for name, array in self.places.items()},
            self.skipped,
        )

    def save(self, path: Path) -> None:
        """Write the table to `path`, whole or not at all."""
        arrays = {
            "names": self.names.content,
            "name_ends": self.names.ends,
            "texts": self.texts.content,
            "text_ends": self.texts.ends,
            "aspects": self.aspects,
            **{f"at {name}": array for name, array in self.places.items()},
        }
        layout = {name: [array.dtype.str, len(array)] for name, array in arrays.items()}
        header = json.dumps({"rules": RULES, "arrays": layout, "skipped": self.skipped}).encode()
        with atomic_path(path) as temporary, open(temporary, "wb") as file:
            file.write(len(header).to_bytes(8, "little") + header)
            for array in arrays.values():
                file.write(b"\0" * (-file.tell() % _ALIGN))
                file.write(np.ascontiguousarray(array).data)


def load(path: Path) -> LineTable:
    """Map the table at `path` into memory; raises `InputError` if it is gone or damaged."""
    try:
        content = np.memmap(path, np.uint8, "r")
        size = int.from_bytes(content[:8].tobytes(), "little")
        header = json.loads(content[8 : 8 + size].tobytes())
        if header["rules"] != RULES:
            raise ValueError("made by other rules")
        place, arrays = 8 + size, {}
        for name, (kind, length) in header["arrays"].items():
            place += -place % _ALIGN
            end = place + length * np.dtype(kind).itemsize
            if end > len(content):
                raise ValueError("cut short")
            arrays[name] = np.asarray(content[place:end]).view(kind)
            place = end
        return LineTable(
            Strings(arrays.pop("names"), arrays.pop("name_ends")),
            Strings(arrays.pop("texts"), arrays.pop("text_ends")),
            arrays.pop("aspects"),
            {name.removeprefix("at "): array for name, array in arrays.items()},
            header["skipped"],
            path,
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(str(path), f"is not a table of lines ({error})", "start again.") from error


def stamp(files: Sequence[str | os.PathLike[str]]) -> list[list[Any]]:
    """Tell path, size and time of the last change of each file: what a table is remembered by."""
    found = []
    for file in files:
        status = os.stat(file)
        found.append([os.path.abspath(file), status.st_size, status.st_mtime_ns])
    return found


def cache_name(kind: str, key: Mapping[str, Any]) -> Path:
    """Name the file in the cache for what `key` describes."""
    digest = hashlib.sha256(json.dumps([RULES, key], sort_keys=True).encode("utf-8", "replace")).hexdigest()
    return cache_folder() / f"lines-{digest[:24]}.{kind}"


def remembered(
    key: Mapping[str, Any], make: Callable[[], LineTable], keep: Callable[[LineTable], bool] | None = None
) -> LineTable:
    """Take the table for `key` from the cache, or make it and, if `keep` agrees, put it there.

    Where the cache cannot be written, the table stays in memory.
    """
    path = cache_name("table", key)
    if path.exists():
        with suppress(InputError):
            return load(path)
    table = make()
    if keep is None or keep(table):
        with suppress(InputError):
            table.save(path)
            return load(path)
    return table
