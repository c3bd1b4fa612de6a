"""LMDB as deep-text-recognition-benchmark and PARSeq use it: image-%09d, label-%09d, num-samples, from 1."""

from __future__ import annotations

import os
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocrtrain.data.formats.byte_ranges import Slices
from ocrtrain.data.formats.lmdb_tree import read_keys
from ocrtrain.data.formats.pairing import NO_IMAGE
from ocrtrain.data.images.image import Channels, legible
from ocrtrain.data.lines.rejections import LONGEST, text_of
from ocrtrain.data.lines.stored import StoredLines, measured
from ocrtrain.data.lines.strings import Strings
from ocrtrain.data.lines.table import LineTable, remembered, stamp
from ocrtrain.errors import InputError
from ocrtrain.files import check_regular

DATA = "data.mdb"
COUNT, IMAGE, LABEL = "num-samples", "image-{:09}", "label-{:09}"
# Ours, and of no concern to others: float32 [lines], so that no image is opened to learn its width.
ASPECTS = "ocrtrain-aspects"

_KEY = re.compile(rb"(image|label)-(\d{9,18})")


def open_lmdb(path: str, channels: Channels = 1) -> StoredLines:
    """Open the LMDB at `path`, a folder with data.mdb or the file itself.

    Raises `InputError` for a damaged file, one of another layout, or one without a usable line.
    """
    file = os.path.join(path, DATA) if os.path.isdir(path) else path
    try:
        check_regular(file)
        key = {"lmdb": stamp([file])}
    except OSError as error:
        why = f"cannot be opened ({error.strerror})"
        raise InputError(legible(file), why, "check the path and its permissions.") from error
    table = remembered(key, lambda: read_table(file))
    return StoredLines(table, Slices(file, table, [file]), "LMDB", file, channels)


def read_table(file: str) -> LineTable:
    """Walk the keys of the LMDB `file`, and the sizes of its images if it does not tell them."""
    if os.path.getsize(file) == 0:
        raise InputError(legible(file), "is empty (0 bytes)", "replace the file.")
    content = np.memmap(file, np.uint8, "r")
    found: dict[bytes, tuple[list[int], list[int], list[int]]] = {
        b"image": ([], [], []),
        b"label": ([], [], []),
    }
    others: dict[bytes, bytes] = {}
    for value in read_keys(legible(file), content):
        if match := _KEY.fullmatch(value.key):
            numbers, offsets, sizes = found[match[1]]
            numbers.append(int(match[2]))
            offsets.append(value.offset)
            sizes.append(value.size)
        elif value.key in (COUNT.encode(), ASPECTS.encode()):
            others[value.key] = content[value.offset : value.offset + value.size].tobytes()
    there = max(len(set(numbers)) for numbers, _, _ in found.values())
    count = _count(file, others.get(COUNT.encode()), there)
    skipped: dict[str, list[str]] = {}
    images, labels = (
        {number: (at, size) for number, at, size in zip(*found[kind], strict=True) if 0 < number <= count}
        for kind in (b"image", b"label")
    )
    if beyond := [n for n in (*found[b"image"][0], *found[b"label"][0]) if not 0 < n <= count]:
        names = [IMAGE.format(n) for n in sorted(set(beyond))]
        skipped[f"sample beyond {COUNT} ({count:,})"] = names
    names, texts, offsets, sizes, kept = [], [], [], [], []
    for number in range(1, count + 1):
        name, fault = IMAGE.format(number), None
        if number not in images or number not in labels:
            fault = NO_IMAGE if number in labels else "image without a text (no label- key)"
            fault = "sample is missing" if number not in images and number not in labels else fault
        else:
            at, size = labels[number]
            text, fault = text_of(content[at : at + min(size, LONGEST + 1)].tobytes(), "utf-8")
        if fault:
            skipped.setdefault(fault, []).append(name)
            continue
        names.append(name)
        texts.append(text)
        offsets.append(images[number][0])
        sizes.append(images[number][1])
        kept.append(number - 1)
    places: dict[str, NDArray[Any]] = {
        "file": np.zeros(len(names), np.uint8),
        "offset": np.array(offsets, np.int64),
        "size": np.array(sizes, np.int64),
    }
    stored = np.frombuffer(others.get(ASPECTS.encode(), b""), np.uint8)
    if len(stored) == 4 * count:
        aspects = stored.view("<f4").astype(np.float32)[kept]
        if (np.isfinite(aspects) & (aspects > 0)).all():
            return LineTable(Strings.of(names), Strings.of(texts), aspects, places, skipped)
    return measured(
        Strings.of(names), Strings.of(texts), skipped, lambda table: Slices(file, table, [file]), places
    )


def _count(file: str, written: bytes | None, there: int) -> int:
    way_on = "it should have image-%09d, label-%09d and num-samples (see docs/data.md)."
    if written is None:
        raise InputError(legible(file), f"is an LMDB without {COUNT}", way_on)
    try:
        count = int(written)
    except ValueError:
        count = -1
    # Each of the missing ones is named: a damaged number must not make billions of names.
    if count < 0 or count > 2 * there + 1000:
        why = f"has {written[:20]!r} for {COUNT}, and {there:,} samples"
        raise InputError(legible(file), why, way_on)
    return count
