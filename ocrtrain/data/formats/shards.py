"""Tar shards as WebDataset writes them: KEY.png and KEY.txt beside each other, in one archive or many."""

from __future__ import annotations

import glob
import os
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from ocrtrain.data.formats.byte_ranges import Slices
from ocrtrain.data.formats.columns import Columns
from ocrtrain.data.formats.pairing import NO_IMAGE
from ocrtrain.data.images.image import SUFFIXES, Channels, legible
from ocrtrain.data.lines.rejections import LONGEST, NOT_UTF8, text_fault, text_of, undecodable
from ocrtrain.data.lines.stored import StoredLines, measured
from ocrtrain.data.lines.strings import Strings
from ocrtrain.data.lines.table import LineTable, remembered, stamp
from ocrtrain.errors import InputError
from ocrtrain.files import open_regular
from ocrtrain.json_text import JsonError, parse_json

TEXTS = ("txt", "gt.txt", "text", "json")  # the first that a sample has is taken

_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")
_PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")  # gzip, bzip2, xz, zstd
_LARGEST_HEADER = 2**20
_MOST_FILES, _MOST_DIGITS = 100_000, 18


def expand(pattern: str) -> list[str]:
    """List the files that a pattern means: braces ({000..009}, {a,b}) as in a shell, then * and ?."""
    match = _BRACES.search(pattern)
    if match is None:
        return sorted(glob.glob(pattern)) if glob.has_magic(pattern) else [pattern]
    if bounds := _RANGE.fullmatch(match[1]):
        if max(map(len, bounds.groups())) > _MOST_DIGITS:
            raise _too_many(pattern)
        first, last = int(bounds[1]), int(bounds[2])
        if abs(last - first) > _MOST_FILES:
            raise _too_many(pattern)
        digits = len(bounds[1]) if bounds[1].startswith("0") or len(bounds[1]) == len(bounds[2]) else 0
        step = 1 if last >= first else -1
        parts = [f"{number:0{digits}}" for number in range(first, last + step, step)]
    else:
        parts = match[1].split(",")
    found: list[str] = []
    for part in parts:
        found += expand(pattern[: match.start()] + part + pattern[match.end() :])
        if len(found) > _MOST_FILES + 1:
            raise _too_many(pattern)
    return found


def _too_many(pattern: str) -> InputError:
    return InputError(legible(pattern), "means more than 100,000 files", "mend the numbers in the braces.")


def open_shards(
    pattern: str, columns: Columns, channels: Channels = 1, files: list[str] | None = None
) -> StoredLines:
    """Open the shards that `pattern` means (a file, braces, or wildcards), in this order.

    files: what it means, if that is known. Raises `InputError` if one is missing, compressed, or no line can
    be used.
    """
    files = expand(pattern) if files is None else files
    if not files:
        raise InputError(legible(pattern), "matches no file", "check the pattern.")
    try:
        key = {"shards": stamp(files), "text": columns.text}
    except OSError as error:
        why = f"cannot be opened ({error.strerror})"
        raise InputError(legible(error.filename), why, "check the name, or the numbers in braces.") from error
    table = remembered(key, lambda: read_table(files, columns))
    kind = "a tar shard" if len(files) == 1 else f"{len(files):,} tar shards"
    return StoredLines(table, Slices(pattern, table, files), kind, pattern, channels)


@dataclass(slots=True)
class _Sample:
    """The members of one key: where the image lies, and the texts' bytes by suffix."""

    name: str = ""
    place: tuple[int, int] = (0, 0)
    texts: dict[str, bytes] = field(default_factory=dict)


def read_table(files: list[str], columns: Columns) -> LineTable:
    """List the members of all shards, read the texts and the headers of the images."""
    skipped: dict[str, list[str]] = {}
    names: list[str] = []
    texts: list[str] = []
    rows: list[tuple[int, int, int]] = []
    for number, file in enumerate(files):
        for sample, text in _samples(file, columns, skipped):
            names.append(sample.name)
            texts.append(text)
            rows.append((number, *sample.place))
    table = np.array(rows, np.int64).reshape(-1, 3)
    places: dict[str, NDArray[Any]] = {
        "file": table[:, 0].astype(np.uint32),
        "offset": table[:, 1].copy(),
        "size": table[:, 2].copy(),
    }
    packed = Strings.of(names), Strings.of(texts)
    return measured(*packed, skipped, lambda t: Slices("", t, files), places)


def _samples(file: str, columns: Columns, skipped: dict[str, list[str]]) -> Iterator[tuple[_Sample, str]]:
    samples: dict[str, _Sample] = {}
    base = os.path.basename(file)

    def skip(why: str, name: str) -> None:
        skipped.setdefault(why, []).append(f"{base}#{name}")

    for name, offset, size, content in _members(file, skip):
        folder, _, last = name.rpartition("/")
        stem, _, suffix = last.partition(".")
        sample = samples.setdefault(f"{folder}/{stem}", _Sample())
        suffix = suffix.lower()
        if f".{suffix}".endswith(SUFFIXES):
            if sample.name:
                skip("second image under one key", name)
            else:
                sample.name, sample.place = name, (offset, size)
        elif suffix in TEXTS:
            if suffix in sample.texts:
                skip("second text under one key", name)
            else:
                sample.texts[suffix] = content
    for key, sample in samples.items():
        if not sample.name:
            if sample.texts:
                skip(NO_IMAGE, key.removeprefix("/"))
            continue
        text, fault = _text(sample.texts, columns)
        if fault is None:
            yield sample, text
        else:
            skip(fault, sample.name)


def _text(texts: dict[str, bytes], columns: Columns) -> tuple[str, str | None]:
    suffix = next((suffix for suffix in TEXTS if suffix in texts), None)
    if suffix is None:
        return "", "image without a text (no .txt or .json under its key)"
    if suffix != "json" or len(texts[suffix]) > LONGEST:
        return text_of(texts[suffix])
    try:
        value = parse_json(texts[suffix])
    except JsonError:
        return "", "text is not JSON"
    keys = value if isinstance(value, dict) else {}
    name = columns.text_key(keys)
    found = keys.get(name) if name else None
    if not isinstance(found, str):
        return "", "JSON without a text (no string under a usual name)"
    return found, NOT_UTF8 if undecodable(found) else text_fault(found)


class _Bounded:
    """A file of which no more than a header is read at once, whatever size `tarfile` finds written there."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.tell, self.seek, self.name = file.tell, file.seek, file.name

    def read(self, size: int) -> bytes:
        """Read `size` bytes; refuses the names and attributes (pax) that are larger than any."""
        if size > _LARGEST_HEADER:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        return self.file.read(size)


def _members(file: str, skip: object) -> Iterator[tuple[str, int, int, bytes]]:
    """List the regular files in a tar: name, place, size, and the content if it is a text."""
    assert callable(skip)
    whole = os.path.getsize(file)
    try:
        with (
            open_regular(file) as raw,
            tarfile.open(
                fileobj=cast(BinaryIO, _Bounded(raw)),
                mode="r:",
                encoding="utf-8",
                errors="surrogateescape",
            ) as tar,
        ):
            while (member := tar.next()) is not None:
                # A list of all members would outgrow the texts.
                tar.members = []  # type: ignore[attr-defined]
                if member.size < 0 or tar.offset <= member.offset:  # it would be read again and again
                    raise tarfile.ReadError("a member of negative size")
                if member.isdir():
                    continue
                if not member.isfile() or member.issparse():
                    skip("is a link, a device or a file with holes, not a plain file", member.name)
                    continue
                end = member.offset_data + member.size
                if end > whole:
                    skip("lies beyond the end of the shard, which is cut short", member.name)
                    return
                suffix = member.name.rpartition("/")[2].partition(".")[2].lower()
                content = b""
                if suffix in TEXTS:
                    raw.seek(member.offset_data)
                    content = raw.read(min(member.size, LONGEST + 1))
                yield member.name, member.offset_data, member.size, content
            end = tar.offset
    except (tarfile.TarError, OSError, ValueError, EOFError, OverflowError, RecursionError) as error:
        if isinstance(error, OSError) and error.strerror:
            why = f"cannot be opened ({error.strerror})"
            raise InputError(legible(file), why, "check the path and its permissions.") from error
        why, way_on = f"is not a tar archive, or damaged ({error})", "copy it again."
        with open_regular(file) as raw:
            if raw.read(6).startswith(_PACKED):
                why = "is compressed, so that lines cannot be read one by one"
                way_on = "unpack it to .tar (gunzip); images do not shrink anyway."
        raise InputError(legible(file), why, way_on) from error
    # `tarfile` takes any header that it cannot read for the end.
    with open_regular(file) as raw:
        raw.seek(end)
        rest = raw.read(512)
        if rest.strip(b"\0") or not rest:
            skip("the shard is cut short or damaged here: what follows is not read", f"byte {end:,}")
        while block := raw.read(2**20):
            if block.strip(b"\0"):
                skip("something follows the end of the shard (two archives in one file?)", f"byte {end:,}")
                break
