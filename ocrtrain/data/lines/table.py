"""Table of a set of lines, read without opening an image; kept for the next start where that was slow."""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocrtrain.cache import cache_folder
from ocrtrain.data.lines.strings import Strings
from ocrtrain.errors import InputError
from ocrtrain.fields import CheckedFields, FieldError
from ocrtrain.files import atomic_path
from ocrtrain.json_text import parse_json

# To be raised when tables are made by other rules: what was remembered under the old ones is then made anew.
RULES = 2

_ALIGN = 64
_CHECKSUM = 4  # bytes at the file's end: the CRC-32 of all before them
_KINDS = ("|u1", "<u2", "<u4", "<u8", "<i4", "<i8", "<f4", "<f8")  # of arrays


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
            return load, (self.file, False)
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
        checksum = 0
        with atomic_path(path) as temporary, open(temporary, "wb") as file:
            for part in _parts(header, arrays.values()):
                checksum = zlib.crc32(part, checksum)
                file.write(part)
            file.write(checksum.to_bytes(_CHECKSUM, "little"))


def _parts(header: bytes, arrays: Iterable[NDArray[Any]]) -> Iterator[bytes | memoryview]:
    """Give the parts of a table's file: the header behind its length, and each array at a multiple of 64."""
    yield len(header).to_bytes(8, "little") + header
    place = 8 + len(header)
    for array in arrays:
        yield b"\0" * (-place % _ALIGN)
        yield np.ascontiguousarray(array).data
        place += -place % _ALIGN + array.nbytes


def load(path: Path, check: bool = True) -> LineTable:
    """Map the table at `path` into memory; raises `InputError` if it is gone or is none.

    check: whether its checksum is compared, which reads the file once; another process may have done that.
    """
    try:
        content = np.memmap(path, np.uint8, "r")
        if check and zlib.crc32(content[:-_CHECKSUM].data) != int.from_bytes(
            content[-_CHECKSUM:].tobytes(), "little"
        ):
            raise ValueError("damaged")
        size = int.from_bytes(content[:8].tobytes(), "little")
        header = CheckedFields(parse_json(content[8 : 8 + size].tobytes()))
        header.integer("rules", RULES, RULES)
        layout, skipped = header.fields("arrays"), header.fields("skipped")
        place, arrays = 8 + size, {}
        for name in layout.values:
            kind, length = layout.items(name, _plain)
            if kind not in _KINDS or type(length) is not int or length < 0:
                raise ValueError(f"{name} is not an array")
            place += -place % _ALIGN
            end = place + length * np.dtype(kind).itemsize
            if end > len(content) - _CHECKSUM:
                raise ValueError("cut short")
            arrays[name] = np.asarray(content[place:end]).view(kind)
            place = end
        if len({len(array) for name, array in arrays.items() if name not in ("names", "texts")}) != 1:
            raise ValueError("of lines of several numbers")
        return LineTable(
            Strings(arrays.pop("names"), arrays.pop("name_ends")),
            Strings(arrays.pop("texts"), arrays.pop("text_ends")),
            arrays.pop("aspects"),
            {name.removeprefix("at "): array for name, array in arrays.items()},
            {reason: skipped.items(reason, _name) for reason in skipped.values},
            path,
        )
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            str(path), f"cannot be read as a table of lines ({error})", "start again."
        ) from error


def _plain(value: Any) -> Any:
    return value


def _name(value: Any) -> str:
    if type(value) is not str:
        raise FieldError("must be a list of names")
    return value


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
    if path.is_file():
        with suppress(InputError):
            return load(path)
    table = make()
    if keep is None or keep(table):
        with suppress(InputError):
            table.save(path)
            return load(path)
    return table
