"""Texts that some engine read, from a file: TSV with a header, or JSON lines."""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ocrtrain.data.lines.rejections import examples
from ocrtrain.errors import InputError
from ocrtrain.evaluation.judgement import Prediction
from ocrtrain.json_text import JsonError, parse_json

# What a column may be called: the first name of each is ours, the second the one in what `predict` writes.
ID, PREDICTION, TRUTH = ("id", "image"), ("prediction", "text"), ("truth", "text")
CONFIDENCE, SOURCE, IMAGE = ("confidence",), ("source",), ("image",)
JSON_SUFFIXES = (".jsonl", ".ndjson")


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: the cells of all rows, and what it is called there."""

    name: str
    cells: list[object]


class Table:
    """A file of rows, a value for each column: TSV with the names in its first line, or JSON lines.

    A TSV cell within quotes is unquoted, as spreadsheets and `predict` write cells with a quote in them.
    Raises `InputError` for a file that cannot be read so, naming the line.
    """

    def __init__(self, path: str | Path, setting: str) -> None:
        self.what = f"{setting}={path}"
        try:
            lines = Path(path).expanduser().read_bytes().decode("utf-8-sig").split("\n")
        except UnicodeDecodeError:
            raise InputError(self.what, "is not UTF-8", "save it as UTF-8.") from None
        except OSError as error:
            reason = "does not exist" if isinstance(error, FileNotFoundError) else f"{error.strerror}"
            raise InputError(self.what, reason, "name a .tsv or .jsonl file.") from None
        rows = [(number, line.removesuffix("\r")) for number, line in enumerate(lines, 1) if line.strip()]
        is_json = str(path).lower().endswith(JSON_SUFFIXES)
        self.columns: dict[str, list[object]] = self._json(rows) if is_json else self._tsv(rows)
        self.rows = len(next(iter(self.columns.values()), []))
        if not self.rows:
            raise InputError(self.what, "has no rows", "give a row for each line that was read.")

    def take(self, names: Sequence[str]) -> list[object] | None:
        """Give the cells of the first of `names` that is a column here, or None."""
        return next((self.columns[name] for name in names if name in self.columns), None)

    def texts(self, names: Sequence[str]) -> list[str]:
        """Give the cells of a column that must be there and hold texts."""
        cells = self.take(names)
        if cells is None:
            raise InputError(
                self.what,
                f"has no column {names[0]}; it has {', '.join(self.columns)}",
                "name the columns id, truth and prediction, in the first line of a TSV or as keys of JSON "
                "objects; confidence, source and image may come with them.",
            )
        for i, cell in enumerate(cells):
            if not isinstance(cell, str):
                raise self._wrong(i, f"{names[0]} is {as_json(cell)}", "give a text in every row.")
        return cells  # type: ignore[return-value]

    def confidences(self) -> list[float] | None:
        """Give the column of confidences, if there is one."""
        cells = self.take(CONFIDENCE)
        return None if cells is None else [self._confidence(i, cell) for i, cell in enumerate(cells)]

    def _confidence(self, row: int, cell: object) -> float:
        try:
            value = math.nan if isinstance(cell, bool) else float(cell)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            value = math.nan
        if not 0 <= value <= 1:
            raise self._wrong(
                row, f"confidence is {as_json(cell)}", "give a number from 0 to 1, or no such column."
            )
        return value

    def _wrong(self, row: int, why: str, way_on: str) -> InputError:
        return InputError(self.what, f"in row {row + 1}, {why}", way_on)

    def _tsv(self, rows: Sequence[tuple[int, str]]) -> dict[str, list[object]]:
        if not rows:
            return {}
        header = [unquoted(cell).strip().lower() for cell in rows[0][1].split("\t")]
        columns: list[list[object]] = [[] for _ in header]
        if len(header) < 2 or len(set(header)) < len(header):
            raise InputError(
                self.what,
                "does not begin with the names of its columns, parted by tabs",
                "let its first line be: id<TAB>truth<TAB>prediction",
            )
        for number, line in rows[1:]:
            cells = line.split("\t")
            if len(cells) != len(header):
                raise InputError(
                    self.what,
                    f"line {number} has {len(cells)} columns, where the first line names {len(header)}",
                    "mend that line; a text with a tab in it needs JSON lines.",
                )
            for column, cell in zip(columns, cells, strict=True):
                column.append(unquoted(cell))
        return dict(zip(header, columns, strict=True))

    def _json(self, rows: Sequence[tuple[int, str]]) -> dict[str, list[object]]:
        columns: dict[str, list[object]] = {}
        for number, line in rows:
            try:
                row = parse_json(line)
            except JsonError as error:
                raise InputError(self.what, f"line {number} {error}", "mend it.") from None
            if not isinstance(row, dict) or (columns and row.keys() != columns.keys()):
                expected = f"an object with {', '.join(columns)}" if columns else "an object"
                raise InputError(
                    self.what, f"line {number} is not {expected}", "give all rows the same keys."
                )
            for key, value in row.items():
                columns.setdefault(key, []).append(value)
        return columns


def as_json(cell: object) -> str:
    """Show a cell in a message: a text in quotes, all else as JSON writes it, cut short where it is long."""
    text = ascii(cell) if isinstance(cell, str) else json.dumps(cell)
    return text if len(text) <= 60 else f"{text[:57]}..."


def unquoted(cell: str) -> str:
    """Take a cell out of its quotes, if it stands in a pair of them and has only doubled ones within."""
    if len(cell) >= 2 and cell[0] == cell[-1] == '"':
        inner = cell[1:-1]
        if '"' not in inner.replace('""', ""):
            return inner.replace('""', '"')
    return cell


@dataclass(frozen=True, slots=True)
class PredictionFile:
    """N rows of an engine's output; what is None was no column of the file."""

    what: str
    ids: list[str]
    readings: list[Prediction]
    truths: list[str] | None
    sources: list[str] | None
    images: list[str] | None


def read_predictions(path: str | Path) -> PredictionFile:
    """Read an engine's output; raises `InputError` for missing columns, double ids and cells of no use."""
    table = Table(path, "predictions")
    ids, texts = table.texts(ID), table.texts(PREDICTION)
    refuse_doubles(ids, table.what)
    confidences = table.confidences()
    if confidences is None:
        readings = [Prediction(text) for text in texts]
    else:
        readings = [Prediction(*pair) for pair in zip(texts, confidences, strict=True)]
    optional = (table.texts(names) if table.take(names) else None for names in (TRUTH[:1], SOURCE, IMAGE))
    return PredictionFile(table.what, ids, readings, *optional)


def read_truths(path: str | Path) -> tuple[list[str], list[str]]:
    """Read the ids and the truths of a file; raises `InputError` as `read_predictions`."""
    table = Table(path, "truth")
    ids = table.texts(ID)
    refuse_doubles(ids, table.what)
    return ids, table.texts(TRUTH)


def refuse_doubles(ids: Sequence[str], what: str) -> None:
    """Raise `InputError` if an id occurs more than once."""
    if len(set(ids)) < len(ids):
        doubles = [name for name, count in Counter(ids).items() if count > 1]
        raise InputError(
            what, f"has {len(doubles)} ids more than once: {examples(doubles)}", "give each line one row."
        )


def match(ids: Sequence[str], names: Sequence[str], root: str = "") -> tuple[list[int | None], list[str]]:
    """Find the row of each of N named lines: its index in `ids` or None; and the ids of no line.

    An id is a line's name, its path (root and name), whole or from the working folder as `predict` writes it,
    or any of these without the image's suffix, unless two lines would then be called the same.
    """
    spelled = Counter(spelling for name in names for spelling in spellings(name, root))
    rows: Mapping[str, int] = {name: i for i, name in enumerate(ids)}
    found: list[int | None] = []
    for name in names:
        known = (rows.get(s) for s in spellings(name, root) if spelled[s] == 1)
        found.append(next((row for row in known if row is not None), None))
    used = set(found)
    return found, [name for i, name in enumerate(ids) if i not in used]


def spellings(name: str, root: str) -> Iterator[str]:
    """List what a line may be called, each once, the full name first."""
    whole = str(Path(root, name))
    names = [name, whole, os.path.relpath(whole)] if root else [name]
    stems = [str(Path(path).with_suffix("")) for path in names] if root else []
    return iter(dict.fromkeys([*names, *stems]))
