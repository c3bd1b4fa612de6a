"""The quick way through a manifest in which nothing is wrong: millions of rows, none of them an object.

pyarrow does it where it is installed. Whatever it does not like, or might see otherwise than `manifest` does,
it leaves to the latter, which reads row by row and is the one to say what a manifest means.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocrtrain.data.formats.columns import HEIGHT, WIDTH, Columns
from ocrtrain.data.image import MAX_ASPECT
from ocrtrain.data.strings import StringsBuilder
from ocrtrain.data.table import LineTable
from ocrtrain.errors import InputError

_BLOCK = 2**22  # bytes


def read_with_arrow(file: str, columns: Columns) -> LineTable | None:
    """Read a manifest in TSV or JSON lines, with or without sizes; None where it takes a closer look."""
    suffix = os.path.splitext(file)[1].lower()
    if suffix == ".csv":  # pyarrow and Python differ in what they make of stray quotes
        return None
    try:
        import pyarrow
    except ImportError:
        return None
    names, texts = StringsBuilder(), StringsBuilder()
    aspects: list[NDArray[np.float32]] = [np.empty(0, np.float32)]
    try:
        head = _head(file, suffix)
        image, text = columns.names(head, file)
        sized = WIDTH in head and HEIGHT in head
        wanted = [image, text, *([WIDTH, HEIGHT] if sized else [])]
        batches = _tsv(file, wanted) if suffix == ".tsv" else _json(file, wanted)
        for batch in batches:
            for builder, name in ((names, image), (texts, text)):
                if not _is_plain(batch[name]):
                    return None
                builder.extend_bytes(*_bytes(batch[name]))
            aspects.append(_aspects(batch, sized))
    except (pyarrow.ArrowInvalid, InputError, ValueError, KeyError, OSError):
        return None
    return LineTable(names.finish(), texts.finish(), np.concatenate(aspects))


def _head(file: str, suffix: str) -> list[str]:
    import json

    with open(file, "rb") as stream:
        first = stream.readline(2**20).removeprefix(b"\xef\xbb\xbf").decode().rstrip("\r\n")
    if b"\0" in first.encode() or ('"' in first and suffix == ".tsv"):
        raise ValueError("no plain header")
    if suffix == ".tsv":
        return first.split("\t")
    row = json.loads(first)
    if not isinstance(row, dict):
        raise ValueError("no object")
    return list(row)


def _tsv(file: str, wanted: list[str]) -> Iterator[Any]:
    import pyarrow
    from pyarrow import csv

    kinds = [pyarrow.string(), pyarrow.string(), pyarrow.float64(), pyarrow.float64()]
    yield from csv.open_csv(
        file,
        read_options=csv.ReadOptions(use_threads=False, block_size=_BLOCK),
        parse_options=csv.ParseOptions(delimiter="\t", quote_char=False, ignore_empty_lines=False),
        convert_options=csv.ConvertOptions(
            column_types=dict(zip(wanted, kinds, strict=False)), include_columns=wanted
        ),
    )


def _json(file: str, wanted: list[str]) -> Iterator[Any]:
    import pyarrow
    from pyarrow import json

    kinds = [pyarrow.string(), pyarrow.string(), pyarrow.float64(), pyarrow.float64()]
    schema = pyarrow.schema(list(zip(wanted, kinds, strict=False)))
    yield from json.open_json(
        file,
        read_options=json.ReadOptions(use_threads=False, block_size=_BLOCK),
        parse_options=json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore"),
    )


def _is_plain(strings: Any) -> bool:
    """Tell whether all are there, printable, without spaces at their ends or quotes that one might undo."""
    from pyarrow import compute

    if strings.null_count or not len(strings):
        return not strings.null_count
    good = compute.and_(
        compute.utf8_is_printable(strings), compute.greater(compute.binary_length(strings), 0)
    )
    odd = compute.or_(compute.ends_with(strings, " "), compute.starts_with(strings, '"'))
    return bool(compute.all(good).as_py()) and not compute.any(odd).as_py()


def _bytes(strings: Any) -> tuple[memoryview, NDArray[np.uint32]]:
    """Give the strings' UTF-8 as one block, and the length of each."""
    _, offsets, data = strings.buffers()
    ends = np.frombuffer(offsets, np.int32)[strings.offset : strings.offset + len(strings) + 1]
    block = memoryview(data)[ends[0] : ends[-1]] if data is not None else memoryview(b"")
    return block, np.diff(ends).astype(np.uint32)


def _aspects(batch: Any, sized: bool) -> NDArray[np.float32]:
    if not sized:
        return np.full(len(batch), np.nan, np.float32)
    width, height = (batch[name].to_numpy(zero_copy_only=False) for name in (WIDTH, HEIGHT))
    with np.errstate(all="ignore"):
        aspects = (width / height).astype(np.float32)
    aspects[~((width >= 1) & (height >= 1) & (aspects <= MAX_ASPECT))] = np.nan
    return aspects
