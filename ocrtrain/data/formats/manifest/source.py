"""Manifests: tables in TSV, CSV or JSON lines that name images and have their texts, and perhaps their sizes.

`metadata.csv` and `metadata.jsonl` of Hugging Face's image folders are such.
"""

from __future__ import annotations

import logging
import os
import time

import numpy as np

from ocrtrain.data.formats.columns import Columns
from ocrtrain.data.formats.manifest.reading import read_rows
from ocrtrain.data.images.image import Channels, image_size, legible
from ocrtrain.data.lines.rejections import SECOND_TEXT
from ocrtrain.data.lines.stored import FileImages, StoredLines, located, measure
from ocrtrain.data.lines.strings import Strings
from ocrtrain.data.lines.table import LineTable, remembered, stamp
from ocrtrain.errors import InputError

log = logging.getLogger(__name__)

FORMATS = {".tsv": "a TSV manifest", ".csv": "a CSV manifest", ".jsonl": "a JSON lines manifest"}
SUFFIXES = (*FORMATS, ".ndjson")

_SAY_AFTER = 20_000  # images whose headers take seconds to read


def open_manifest(file: str, columns: Columns, channels: Channels = 1) -> StoredLines:
    """Open the manifest `file`; images are named relative to its folder, or absolutely.

    Where it has columns `width` and `height`, no image is opened to learn its size, and images that are
    missing show only when they are read. Otherwise all headers are read, once until the manifest changes.
    Raises `InputError` if a column is missing or no line can be used.
    """
    root = os.path.dirname(file)
    try:
        key = {"manifest": stamp([file]), "columns": [columns.image, columns.text]}
    except OSError as error:
        why = f"cannot be opened ({error.strerror})"
        raise InputError(legible(file), why, "check the path and its permissions.") from error
    # A fault may be mended without a change to the manifest: look again next time.
    table = remembered(key, lambda: read_manifest(file, columns), keep=lambda made: not made.skipped)
    kind = FORMATS.get(os.path.splitext(file)[1].lower(), FORMATS[".jsonl"])
    return StoredLines(table, FileImages(root, table), kind, file, channels)


def read_manifest(file: str, columns: Columns) -> LineTable:
    """Read the manifest's rows, and the sizes of the images where it does not tell them."""
    return _with_sizes(_first_of_each(read_rows(file, columns)), os.path.dirname(file), file)


def _first_of_each(table: LineTable) -> LineTable:
    """Leave out an image that is listed again with another text."""
    kept = np.ones(len(table), np.bool_)
    hashes = table.names.hashes()
    in_order = np.sort(hashes)
    twice = in_order[1:][in_order[1:] == in_order[:-1]]
    del in_order
    if not len(twice):
        return table
    first: dict[str, str] = {}
    for i in np.flatnonzero(np.isin(hashes, twice)).tolist():
        if first.setdefault(table.names[i], table.texts[i]) != table.texts[i]:
            kept[i] = False
            table.skipped.setdefault(SECOND_TEXT, []).append(table.names[i])
    return table.select(kept)


def _with_sizes(table: LineTable, root: str, file: str) -> LineTable:
    unknown = np.flatnonzero(np.isnan(table.aspects))
    if not len(unknown):
        return table
    began = time.monotonic()
    if len(unknown) > _SAY_AFTER:
        message = "%s: reading the sizes of %s images (it has no columns width and height)"
        log.info(message, legible(file), f"{len(unknown):,}")

    found: dict[int, str] = {}  # images that lie under another name than the one that is written

    def look(i: int) -> tuple[int, int]:
        name = table.names[int(unknown[i])]
        path = located(root, name)
        if path != os.path.join(root, name):
            found[int(unknown[i])] = os.path.relpath(path, root)
        return image_size(path)

    aspects, faults = measure(len(unknown), look)
    if not table.aspects.flags.writeable:
        table.aspects = table.aspects.copy()
    table.aspects[unknown] = aspects
    for i, why in faults.items():
        table.skipped.setdefault(why, []).append(table.names[int(unknown[i])])
    if len(unknown) > _SAY_AFTER:
        log.info("that took %.0f s", time.monotonic() - began)
    known = ~np.isnan(table.aspects)
    if found:  # one image in two spellings shows only now
        table.names = Strings.of(found.get(i, name) for i, name in enumerate(table.names))
        return _first_of_each(table.select(known))
    return table.select(known)
