"""Manifests read row by row: what each means, and what is wrong with those that cannot be used."""

from __future__ import annotations

import csv
import json
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocrtrain.data.formats.columns import HEIGHT, WIDTH, Columns
from ocrtrain.data.formats.manifest.quick import aspects_of
from ocrtrain.data.images.image import legible
from ocrtrain.data.lines.rejections import LONGEST, NOT_UTF8, text_fault, undecodable
from ocrtrain.data.lines.strings import StringsBuilder
from ocrtrain.data.lines.table import LineTable
from ocrtrain.errors import InputError
from ocrtrain.files import open_regular
from ocrtrain.json_text import JsonError, parse_json

_BLOCK = 2**22  # bytes read at once

# A row: the image's name, the text, and width and height or None; or, as a string, what is wrong with it.
Row = tuple[str, str, Any, Any]


def read_rows(file: str, columns: Columns) -> LineTable:
    """Read the manifest row by row, and name what is wrong with each."""
    skipped: defaultdict[str, list[str]] = defaultdict(list)
    names, texts = StringsBuilder(), StringsBuilder()
    sizes: list[NDArray[np.float32]] = []
    for rows in _rows(file, columns, skipped):
        found_names, found_texts, widths, heights = zip(*rows, strict=True) if rows else ((), (), (), ())
        names.extend(found_names)
        texts.extend(found_texts)
        sizes.append(_aspects(widths, heights))
    aspects = np.concatenate([np.empty(0, np.float32), *sizes])
    return LineTable(names.finish(), texts.finish(), aspects, skipped=skipped)


def _aspects(widths: Sequence[Any], heights: Sequence[Any]) -> NDArray[np.float32]:
    """Divide widths by heights; NaN where they say nothing sensible."""
    try:
        width, height = np.array(widths, np.float64), np.array(heights, np.float64)
    except (TypeError, ValueError, OverflowError):  # some of them are empty, or no numbers
        width, height = (np.array([_number(v) for v in values]) for values in (widths, heights))
    return aspects_of(width, height)


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return float("nan")


def _rows(file: str, columns: Columns, skipped: defaultdict[str, list[str]]) -> Iterator[list[Row]]:
    """Read the rows that can be used, many at a time; what is wrong with the others goes to `skipped`."""
    suffix = os.path.splitext(file)[1].lower()
    read = {".tsv": _tsv, ".csv": _csv}.get(suffix, _json)
    base = os.path.basename(file)
    number = 1
    for start, rows in read(file, columns):
        good: list[Row] = []
        for number, row in enumerate(rows, start):
            if isinstance(row, str):
                skipped[row].append(f"{base} line {number}")
            elif fault := _fault(row):
                skipped[fault].append(f"{row[0]} ({base} line {number})")
            else:
                good.append(row)
        yield good


def _fault(row: Row) -> str | None:
    name, text = row[0], row[1]
    # Nearly all rows have none of this, and there may be millions.
    if (
        text.isprintable()
        and name.isprintable()
        and name
        and text[-1:] not in ("", " ")
        and len(text) <= LONGEST
    ):
        return None
    if not name or "\0" in name or "\n" in name:
        return "row without an image's name"
    if undecodable(text) or undecodable(name):
        return NOT_UTF8
    return text_fault(text)


def _blocks(file: str) -> Iterator[tuple[int, list[str]]]:
    """Read the lines of a text file, many at a time, with the number of the first of them.

    Bytes that are not UTF-8 become lone surrogates.
    """
    try:
        with open_regular(file) as stream:
            number, rest, end = 1, b"", b"\n"
            while block := stream.read(_BLOCK):
                if number == 1 and not rest:
                    if b"\0" in block[:4096] or block.startswith((b"\xff\xfe", b"\xfe\xff")):
                        why = "is not a text file in UTF-8"
                        raise InputError(legible(file), why, "save it as UTF-8.")
                    block = block.removeprefix(b"\xef\xbb\xbf")
                    if b"\n" not in block and b"\r" in block:  # as on Macs before 2001
                        end = b"\r"
                content, newline, rest_now = (rest + block).rpartition(end)
                if not newline:
                    rest = rest_now
                    if len(rest) > 2**28:
                        raise InputError(legible(file), "has a line of 256 MB", "is it a manifest?")
                    continue
                rest = rest_now
                lines = _decoded(content, end)
                yield number, lines
                number += len(lines)
            if rest:
                yield number, _decoded(rest, end)
    except OSError as error:
        why = f"cannot be opened ({error.strerror})"
        raise InputError(legible(file), why, "check the path and its permissions.") from error


def _decoded(content: bytes, end: bytes) -> list[str]:
    lines = content.decode("utf-8", "surrogateescape").split(end.decode())
    return [line.removesuffix("\r") for line in lines] if end == b"\n" and b"\r" in content else lines


def _tsv(file: str, columns: Columns) -> Iterator[tuple[int, list[Row | str]]]:
    head: list[str] | None = None
    take: tuple[int, int, int | None, int | None] = (0, 1, None, None)
    quoted = False
    for first, lines in _blocks(file):
        if head is None:
            quoted = all(len(f) > 1 and f[0] == f[-1] == '"' for f in lines[0].split("\t"))
            head = [_unquoted(field, quoted) for field in lines[0].split("\t")]
            take = columns.places(head, file)
            first, lines = first + 1, lines[1:]
        yield first, _split(lines, len(head), take, quoted)


def _split(
    lines: list[str], count: int, take: tuple[int, int, int | None, int | None], quoted: bool
) -> list[Row | str]:
    image, text, width, height = take
    rows: list[Row | str] = []
    for line in lines:
        fields = line.split("\t")
        if '"' in line:
            fields = [_unquoted(field, quoted) for field in fields]
        if len(fields) == count:
            sizes = (None, None) if width is None or height is None else (fields[width], fields[height])
            rows.append((fields[image], fields[text], *sizes))
        elif line.strip():
            rows.append(f"row has not as many columns as the header ({count})")
        else:
            rows.append("empty row")
    while rows and rows[-1] == "empty row":
        rows.pop()
    return rows


def _unquoted(field: str, always: bool) -> str:
    """Undo a spreadsheet's quotes, which it puts where a field has quotes itself (or, `always`, everywhere).

    TSV has no quotes of its own: a text that merely begins and ends with them is meant so.
    """
    inner = field[1:-1]
    if len(field) < 2 or not field[0] == field[-1] == '"' or '"' in inner.replace('""', ""):
        return field
    return inner.replace('""', '"') if always or '""' in inner else field


def _csv(file: str, columns: Columns) -> Iterator[tuple[int, list[Row | str]]]:
    csv.field_size_limit(2**24)
    lines = (line + "\n" for _, block in _blocks(file) for line in block)
    first = next(lines, "")
    comma = max((",", ";", "\t"), key=first.count)
    reader = csv.reader(chain([first], lines), delimiter=comma, strict=True)
    try:
        head = next(reader, [])
        image, text, width, height = columns.places(head, file)
        rows: list[Row | str] = []
        begin = 2  # rows are lines, unless a quoted field has line ends
        for fields in reader:
            if len(fields) != len(head):
                why = f"row has not as many columns as the header ({len(head)})"
                rows.append(why if fields else "empty row")
            else:
                sizes = (None, None) if width is None or height is None else (fields[width], fields[height])
                rows.append((fields[image], fields[text], *sizes))
            if len(rows) == 8192:
                yield begin, rows
                begin, rows = begin + len(rows), []
        while rows and rows[-1] == "empty row":
            rows.pop()
        yield begin, rows
    except csv.Error as error:
        why = f"is not CSV: {error} (line {reader.line_num})"
        raise InputError(legible(file), why, "mend that line, or save it as TSV.") from error


def _json(file: str, columns: Columns) -> Iterator[tuple[int, list[Row | str]]]:
    take: tuple[str, str] | None = None
    for first, lines in _blocks(file):
        objects = _objects(lines)
        if take is None:
            head = next((o for o in objects if isinstance(o, dict)), None)
            if head is None:
                continue_reading = all(isinstance(o, str) and not o for o in objects)
                if continue_reading:
                    continue
                raise InputError(legible(file), "is not a file of JSON objects, one a line", "mend it.")
            places = columns.places(list(head), file)
            take = (list(head)[places[0]], list(head)[places[1]])
        image, text = take
        counts_match = _once(lines, image) and _once(lines, text)
        rows: list[Row | str] = []
        for line, value in zip(lines, objects, strict=True):
            if not isinstance(value, dict):
                rows.append(value or "empty row")
            elif not counts_match and (twice := _twice(line)):
                rows.append(f"key {twice!r} occurs twice")
            elif isinstance(value.get(image), str) and isinstance(value.get(text), str):
                rows.append((value[image], value[text], value.get(WIDTH), value.get(HEIGHT)))
            else:
                missing = text if isinstance(value.get(image), str) else image
                rows.append(f"no string under {missing!r}")
        while rows and rows[-1] == "empty row":
            rows.pop()
        yield first, rows


def _objects(lines: list[str]) -> list[dict[str, Any] | str]:
    """Parse each line; what is none is told as a string, which is empty for an empty line."""
    try:
        values = json.loads(f"[{','.join(lines)}]")
        if len(values) == len(lines) and all(type(value) is dict for value in values):
            return values
    except (ValueError, RecursionError):
        pass
    return [_object(line) for line in lines]


def _object(line: str) -> dict[str, Any] | str:
    if not line.strip():
        return ""
    try:
        value = parse_json(line)
    except JsonError:
        return NOT_UTF8 if undecodable(line) else "row is not JSON"
    return value if isinstance(value, dict) else "row is not a JSON object"


def _once(lines: list[str], key: str) -> bool:
    """Tell whether `key` may occur twice in none of the lines, without parsing them again."""
    written = json.dumps(key, ensure_ascii=False)
    return "\\u" not in written and sum(line.count(written) for line in lines) == len(lines)


def _twice(line: str) -> str | None:
    """Name a key that the JSON object in `line` has twice: which of the values is meant, nobody knows."""
    doubled: list[str] = []

    def look(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) < len(pairs):
            seen: set[str] = set()
            doubled.extend(k for k, _ in pairs if k in seen or seen.add(k))  # type: ignore[func-returns-value]
        return value

    parse_json(line, look)
    return doubled[0] if doubled else None
