"""Manifests read into tables of lines; what cannot be used is named by its line.

Python's own `str.split`, `csv` and `json` do it, column by column and thousands of rows at a time: ten
million rows take 16 s (TSV) or 33 s (JSON lines), once for each table. pyarrow takes 5 s or 10 s, but misses
some of what is wrong, so all this would have to stay beside it (docs/benchmarks.md).
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocrtrain.data.formats.columns import Columns
from ocrtrain.data.formats.manifest.json_lines import json_rows
from ocrtrain.data.formats.manifest.rows import EMPTY
from ocrtrain.data.formats.manifest.separated import csv_rows, tsv_rows
from ocrtrain.data.images.image import MAX_ASPECT
from ocrtrain.data.lines.strings import StringsBuilder
from ocrtrain.data.lines.table import LineTable

_READERS = {".tsv": tsv_rows, ".csv": csv_rows}


def read_rows(file: str, columns: Columns) -> LineTable:
    """Read all rows of a manifest; aspect ratios are NaN where it tells no sizes that make sense.

    Raises `InputError` if it cannot be opened or a column is missing.
    """
    read = _READERS.get(os.path.splitext(file)[1].lower(), json_rows)
    base = os.path.basename(file)
    names, texts = StringsBuilder(), StringsBuilder()
    aspects = [np.empty(0, np.float32)]
    skipped: defaultdict[str, list[str]] = defaultdict(list)
    empty: list[int] = []
    last = 0
    for rows in read(file, columns):
        last = rows.first + len(rows) - 1
        if faults := rows.all_faults():
            for i, why in faults.items():
                where = f"{base} line {rows.first + i}"
                if why == EMPTY:
                    empty.append(rows.first + i)
                else:
                    skipped[why].append(where if i in rows.faults else f"{rows.names[i]} ({where})")
            rows = rows.without(faults)
        names.extend(rows.names)
        texts.extend(rows.texts)
        aspects.append(_aspects(*rows.sizes) if rows.sizes else np.full(len(rows), np.nan, np.float32))
    while empty and empty[-1] == last:  # at the end of a file they are usual
        last = empty.pop() - 1
    if empty:
        skipped[EMPTY] = [f"{base} line {number}" for number in empty]
    return LineTable(names.finish(), texts.finish(), np.concatenate(aspects), skipped=skipped)


def _aspects(widths: Sequence[Any], heights: Sequence[Any]) -> NDArray[np.float32]:
    """Divide widths by heights; NaN where they say nothing sensible."""
    width, height = _numbers(widths), _numbers(heights)
    with np.errstate(all="ignore"):
        aspects = (width / height).astype(np.float32)
    aspects[~((width >= 1) & (height >= 1) & (aspects <= MAX_ASPECT))] = np.nan
    return aspects


def _numbers(values: Sequence[Any]) -> NDArray[np.float64]:
    try:
        known = {value: _number(value) for value in set(values)}  # many images have the same
        return np.fromiter(map(known.__getitem__, values), np.float64, len(values))
    except TypeError:  # JSON's lists and objects, which cannot be looked up
        return np.array([_number(value) for value in values])


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return float("nan")
