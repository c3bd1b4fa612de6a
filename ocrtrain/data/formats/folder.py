"""Images that are files, each with its text: in a file beside it, or in one file for all."""

from __future__ import annotations

import os

import numpy as np

from ocrtrain.data.formats.pairing import Pairs, find_pairs
from ocrtrain.data.images.image import Channels, image_size
from ocrtrain.data.lines.rejections import LONGEST, text_fault, text_of
from ocrtrain.data.lines.stored import FileImages, StoredLines, measure
from ocrtrain.data.lines.strings import Strings
from ocrtrain.data.lines.table import LineTable
from ocrtrain.errors import InputError
from ocrtrain.files import open_regular


class FolderSource(StoredLines):
    """The lines at `path`: a folder of pairs, a list file of images, or a labels file (see `pairing`).

    All texts and image headers are read at once, the images themselves when asked for. `names` are the
    images' paths under `root`. A folder is sorted by path, a file keeps its order.
    Raises `InputError` if there is no such path, or no sample at all that can be used.
    """

    def __init__(self, path: str | os.PathLike[str], channels: Channels = 1) -> None:
        pairs = find_pairs(path)
        self.root = pairs.root
        table = _table(pairs)
        super().__init__(table, FileImages(pairs.root, table), pairs.format, os.fspath(path), channels)


def _table(pairs: Pairs) -> LineTable:
    texts: list[str] = list(pairs.texts)

    def look(index: int) -> tuple[int, int]:
        # Text and image in one go: on a network disk each of the two takes a while.
        if pairs.in_files:
            texts[index], fault = _read_text(os.path.join(pairs.root, pairs.texts[index]))
        else:
            fault = text_fault(texts[index])
        if fault:
            raise InputError("", fault, "")
        return image_size(os.path.join(pairs.root, pairs.names[index]))

    aspects, faults = measure(len(pairs.names), look)
    for index, why in faults.items():
        pairs.skipped[why].append(pairs.names[index])
    good = [i for i in range(len(texts)) if i not in faults]
    return LineTable(
        Strings.of(pairs.names[i] for i in good),
        Strings.of(texts[i] for i in good),
        aspects[~np.isnan(aspects)],
        skipped=dict(pairs.skipped),
    )


def _read_text(path: str) -> tuple[str, str | None]:
    try:
        with open_regular(path) as file:
            return text_of(file.read(LONGEST + 1))
    except OSError as error:
        raise InputError("", f"text cannot be opened ({error.strerror})", "") from error
