"""JSON lines: an object for each image."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from ocrtrain.data.formats.columns import HEIGHT, WIDTH, Columns
from ocrtrain.data.formats.manifest.rows import EMPTY, Rows
from ocrtrain.data.formats.manifest.text_blocks import text_blocks
from ocrtrain.data.images.image import legible
from ocrtrain.data.lines.rejections import NOT_UTF8, undecodable
from ocrtrain.errors import InputError
from ocrtrain.json_text import JsonError, parse_json

Object = dict[str, Any]


def json_rows(file: str, columns: Columns) -> Iterator[Rows]:
    """Read the rows of a file of JSON objects, one a line, thousands at a time.

    The first object's keys say which are meant. Raises `InputError` if one is missing, or there is no object
    at the beginning of the file.
    """
    keys: tuple[str, str] | None = None
    for first, content in text_blocks(file):
        objects, faults = _objects(content)
        if keys is None:
            head = next((value for i, value in enumerate(objects) if i not in faults), None)
            if head is not None:
                keys = columns.names(list(head), file)
            elif all(why == EMPTY for why in faults.values()):
                continue
            else:
                raise InputError(legible(file), "is not a file of JSON objects, one a line", "mend it.")
        each: list[list[Any]] = [[value.get(key) for value in objects] for key in (*keys, WIDTH, HEIGHT)]
        names, texts, widths, heights = each
        if {*map(type, names), *map(type, texts)} != {str} or not _each_once(content, keys):
            for i, (line, *pair) in enumerate(zip(content.split("\n"), names, texts, strict=True)):
                if i not in faults and (why := _fault(line, keys, pair)):
                    faults[i] = why
                if i in faults:  # where there may be no strings
                    names[i] = texts[i] = ""
        yield Rows(first, names, texts, (widths, heights), faults)


def _objects(content: str) -> tuple[list[Object], dict[int, str]]:
    """Parse each line of `content`; say by its place which is not an object, and why: {} stands for it."""
    try:
        values = json.loads("[" + content.replace("\n", ",") + "]")  # one call for thousands of lines
        if len(values) == content.count("\n") + 1 and set(map(type, values)) == {dict}:
            return values, {}
    except (ValueError, RecursionError):
        pass
    found = [_object(line) for line in content.split("\n")]
    faults = {i: value for i, value in enumerate(found) if isinstance(value, str)}
    return [{} if isinstance(value, str) else value for value in found], faults


def _object(line: str) -> Object | str:
    if not line.strip():
        return EMPTY
    try:
        value = parse_json(line)
    except JsonError:
        return NOT_UTF8 if undecodable(line) else "row is not JSON"
    return value if isinstance(value, dict) else "row is not a JSON object"


def _each_once(lines: str, keys: tuple[str, str]) -> bool:
    """Tell whether no line can have one of `keys` twice where all have both, without parsing them again."""
    written = [json.dumps(key, ensure_ascii=False) for key in keys]
    return all("\\u" not in key and lines.count(key) == lines.count("\n") + 1 for key in written)


def _fault(line: str, keys: tuple[str, str], values: list[Any]) -> str | None:
    if twice := _twice(line):
        return f"key {twice!r} occurs twice"
    missing = [key for key, value in zip(keys, values, strict=True) if not isinstance(value, str)]
    return f"no string under {missing[0]!r}" if missing else None


def _twice(line: str) -> str | None:
    """Name a key that an object in `line` has twice: which of the values is meant, nobody knows."""
    doubled: list[str] = []

    def look(pairs: list[tuple[str, Any]]) -> Object:
        value = dict(pairs)
        if len(value) < len(pairs):
            seen: set[str] = set()
            doubled.extend(k for k, _ in pairs if k in seen or seen.add(k))  # type: ignore[func-returns-value]
        return value

    with suppress(JsonError):  # more digits, or levels, than others should get to see; here they do no harm
        parse_json(line, look)
    return doubled[0] if doubled else None
