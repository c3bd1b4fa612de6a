"""Images that are files, each with its text: in a file beside it, or in one file for all."""

from __future__ import annotations

import os

import numpy as np

from ocrtrain.data.image import Channels, image_size
from ocrtrain.data.pairing import Pairs, find_pairs
from ocrtrain.data.skipped import NOT_UTF8, text_fault
from ocrtrain.data.stored import FileImages, StoredLines, measure
from ocrtrain.data.strings import Strings
from ocrtrain.data.table import LineTable
from ocrtrain.errors import InputError


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
            texts[index] = _read_text(os.path.join(pairs.root, pairs.texts[index]))
        if fault := text_fault(texts[index]):
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


def _read_text(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return file.read().decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError:
        raise InputError("", NOT_UTF8, "") from None
    except OSError as error:
        raise InputError("", f"text cannot be opened ({error.strerror})", "") from error
