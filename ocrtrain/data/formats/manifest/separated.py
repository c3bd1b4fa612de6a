"""TSV and CSV: rows of fields with a tab, a comma or a semicolon between them."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from itertools import chain, islice

from ocrtrain.data.formats.columns import Columns
from ocrtrain.data.formats.manifest.rows import EMPTY, Rows
from ocrtrain.data.formats.manifest.text_blocks import text_blocks
from ocrtrain.data.images.image import legible
from ocrtrain.errors import InputError

_AT_ONCE = 8192  # rows of CSV


def tsv_rows(file: str, columns: Columns) -> Iterator[Rows]:
    """Read the rows of a TSV file, thousands at a time; raises `InputError` if a column is missing."""
    table: _Table | None = None
    quoted = False
    for first, content in text_blocks(file):
        if table is None:
            line, newline, content = content.partition("\n")
            header = line.split("\t")
            quoted = all(len(name) > 1 and name[0] == name[-1] == '"' for name in header)
            table = _Table([_unquoted(name, quoted) for name in header], columns, file)
            first += 1
            if not newline:
                continue
        if '"' in content:
            fields = [line.split("\t") for line in content.split("\n")]
            yield table.rows(first, [[_unquoted(field, quoted) for field in row] for row in fields])
        else:
            yield table.rows_of_text(first, content)


def _unquoted(field: str, always: bool) -> str:
    """Undo a spreadsheet's quotes, which it puts where a field has quotes itself (or, `always`, everywhere).

    TSV has no quotes of its own: a text that merely begins and ends with them is meant so.
    """
    inner = field[1:-1]
    if len(field) < 2 or not field[0] == field[-1] == '"' or '"' in inner.replace('""', ""):
        return field
    return inner.replace('""', '"') if always or '""' in inner else field


def csv_rows(file: str, columns: Columns) -> Iterator[Rows]:
    """Read the rows of a CSV file, thousands at a time.

    Raises `InputError` if a column is missing or quotes are not closed.
    """
    csv.field_size_limit(2**24)
    lines = (line + "\n" for _, block in text_blocks(file) for line in block.split("\n"))
    header = next(lines, "")
    comma = max((",", ";", "\t"), key=header.count)
    reader = csv.reader(chain([header], lines), delimiter=comma, strict=True)
    try:
        table = _Table(next(reader, []), columns, file)
        first = 2  # rows are lines, unless a quoted field has line ends
        while fields := list(islice(reader, _AT_ONCE)):
            yield table.rows(first, fields)
            first += len(fields)
    except csv.Error as error:
        why = f"is not CSV: {error} (line {reader.line_num})"
        raise InputError(legible(file), why, "mend that line, or save it as TSV.") from error


class _Table:
    """What the header says of a table: how many columns it has, and which of them are meant."""

    def __init__(self, header: Sequence[str], columns: Columns, file: str) -> None:
        self._count = len(header)
        self._image, self._text, width, height = columns.places(header, file)
        self._sizes = None if width is None or height is None else (width, height)

    def rows_of_text(self, first: int, content: str) -> Rows:
        """Take the columns that are meant out of lines with tabs; the first is line `first`."""
        # All at once, each line's end as a field of its own: that is twice as fast as line by line.
        fields, step = content.replace("\n", "\t\n\t").split("\t"), self._count + 1
        lines = content.count("\n") + 1
        if len(fields) == lines * step - 1 and fields[self._count :: step].count("\n") == lines - 1:
            return self._rows(first, [fields[column::step] for column in range(self._count)], {})
        return self.rows(first, [line.split("\t") for line in content.split("\n")])

    def rows(self, first: int, fields: list[list[str]]) -> Rows:
        """Take the columns that are meant out of rows of `fields`, the first of which is line `first`."""
        faults: dict[int, str] = {}
        uneven = f"row has not as many columns as the header ({self._count})"
        for i, row in enumerate(fields):
            if len(row) != self._count:
                faults[i] = uneven if "".join(row).strip() else EMPTY
                fields[i] = [""] * self._count
        return self._rows(first, list(zip(*fields, strict=True)), faults)

    def _rows(self, first: int, each: Sequence[Sequence[str]], faults: dict[int, str]) -> Rows:
        sizes = None if self._sizes is None else (each[self._sizes[0]], each[self._sizes[1]])
        return Rows(first, each[self._image], each[self._text], sizes, faults)
