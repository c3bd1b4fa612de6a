"""The quick way through a manifest in which nothing is wrong: millions of rows, none of them an object.

What is odd in any way it leaves to `manifest_rows`, which reads row by row and is the one to say what a
manifest means.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from ocrtrain.cores import in_order
from ocrtrain.data.formats.columns import HEIGHT, WIDTH, Columns
from ocrtrain.data.images.image import MAX_ASPECT
from ocrtrain.data.lines.rejections import LONGEST
from ocrtrain.data.lines.strings import Strings, StringsBuilder
from ocrtrain.data.lines.table import LineTable
from ocrtrain.errors import InputError
from ocrtrain.files import open_regular

_BLOCK = 2**22  # bytes read at once
_LONGEST = 2**28  # bytes of a line

# Names and texts, each with the bytes of every one, and aspect ratios.
Packed = tuple[NDArray[np.uint8], NDArray[np.uint32]]
Rows = tuple[Packed, Packed, NDArray[np.float32]]


def read_quickly(file: str, columns: Columns) -> LineTable | None:
    """Read a manifest in TSV or JSON lines; None where it takes a closer look."""
    suffix = os.path.splitext(file)[1].lower()
    if suffix == ".csv":  # quotes, which may have line ends in them
        return None
    names, texts = StringsBuilder(), StringsBuilder()
    aspects: list[NDArray[np.float32]] = [np.empty(0, np.float32)]
    try:
        with open_regular(file) as stream:
            read = _tsv(stream, columns, file) if suffix == ".tsv" else _json(stream, columns, file)
            for rows in in_order(read, _blocks(stream)):
                if rows is None:
                    return None
                names.extend_bytes(*rows[0])
                texts.extend_bytes(*rows[1])
                aspects.append(rows[2])
    except (InputError, ValueError, OSError, RecursionError):
        return None
    return LineTable(names.finish(), texts.finish(), np.concatenate(aspects))


def _tsv(stream: BinaryIO, columns: Columns, file: str) -> Callable[[bytes], Rows | None]:
    """Read the header, and give what reads the lines behind it."""
    from ocrtrain.data.formats.manifest.rows_numba import tsv_rows

    head = _first_line(stream).split("\t")
    if any('"' in name for name in head):
        raise ValueError("a header that may be quoted")
    image, text, width, height = columns.places(head, file)
    sizes = (-1, -1) if width is None or height is None else (width, height)
    if {image, text} & set(sizes):
        raise ValueError("a column with two meanings")
    return partial(_rows, partial(tsv_rows, columns=len(head), places=(image, text, *sizes)))


def _json(stream: BinaryIO, columns: Columns, file: str) -> Callable[[bytes], Rows | None]:
    """Read the keys of the first object, and give what reads all objects."""
    from ocrtrain.data.formats.manifest.rows_numba import json_rows

    first = json.loads(_first_line(stream))
    if not isinstance(first, dict):
        raise ValueError("no object")
    stream.seek(3 if stream.seek(0) == 0 and stream.read(3) == b"\xef\xbb\xbf" else 0)
    keys = [*columns.names(list(first), file), WIDTH, HEIGHT]
    if len(set(keys)) < len(keys):
        raise ValueError("a key with two meanings")
    packed = Strings.of(keys)
    return partial(_rows, partial(json_rows, keys=packed.content, key_ends=packed.ends))


def _first_line(stream: BinaryIO) -> str:
    first = stream.readline(2**20)
    if b"\0" in first + stream.peek(4096)[:4096] or not first.endswith(b"\n"):  # type: ignore[attr-defined]
        raise ValueError("no plain first line")
    return first.removeprefix(b"\xef\xbb\xbf").decode()[:-1].removesuffix("\r")


def _blocks(stream: BinaryIO) -> Iterator[bytes]:
    """Read whole lines, some megabytes at a time."""
    rest = b""
    while block := stream.read(_BLOCK):
        cut = block.rfind(b"\n") + 1
        if cut:
            yield rest + block[:cut]
            rest = block[cut:]
        elif len(rest) > _LONGEST:
            raise ValueError("a line without end")
        else:
            rest += block
    if rest:
        yield rest + b"\n"


def _rows(read: Callable[..., tuple[int, int, int]], content: bytes) -> Rows | None:
    """Read the rows of a block; None if anything in them is odd."""
    lines = content.count(b"\n")
    names, texts = np.empty(len(content), np.uint8), np.empty(len(content), np.uint8)
    lengths, sizes = np.empty((2, lines), np.uint32), np.empty((2, lines))
    block = np.frombuffer(content, np.uint8)
    count, name_end, text_end = read(block, names=names, texts=texts, lengths=lengths, sizes=sizes)
    if count < 0 or lengths[1, :count].max(initial=0) > LONGEST:
        return None
    return (names[:name_end], lengths[0]), (texts[:text_end], lengths[1]), aspects_of(*sizes)


def aspects_of(widths: NDArray[np.float64], heights: NDArray[np.float64]) -> NDArray[np.float32]:
    """Divide widths by heights, [lines] each; NaN where they say nothing sensible."""
    with np.errstate(all="ignore"):
        aspects = (widths / heights).astype(np.float32)
    aspects[~((widths >= 1) & (heights >= 1) & (aspects <= MAX_ASPECT))] = np.nan
    return aspects
