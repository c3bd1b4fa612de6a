"""Hugging Face's `datasets`: saved to disk, in parquet files, or on the hub."""

from __future__ import annotations

import glob
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl

import numpy as np

from ocrtrain.data.formats.columns import Columns
from ocrtrain.data.images.image import Channels, legible
from ocrtrain.data.lines.rejections import text_fault
from ocrtrain.data.lines.stored import EncodedImages, StoredLines, measured, read_file
from ocrtrain.data.lines.strings import Strings, StringsBuilder
from ocrtrain.data.lines.table import LineTable, remembered
from ocrtrain.errors import InputError
from ocrtrain.files import check_regular

SCHEME = "hf://"
_BATCH = 8192


class DatasetImages(EncodedImages):
    """The images of a dataset; the table's place `row` numbers its rows."""

    def __init__(self, place: str, table: LineTable, dataset: Any, column: str) -> None:
        super().__init__(place, table)
        self.dataset, self.column = dataset, column

    def encoded(self, index: int) -> bytes:
        """Read the image's bytes, from the dataset or from the file that it names."""
        with _readable(self.where(index), "is damaged"):
            value = self.dataset[int(self.table.places["row"][index])][self.column]
        if isinstance(value, dict):
            value = value.get("bytes") or value.get("path")
        if isinstance(value, str):
            return read_file(value)
        if not value:
            raise InputError(legible(self.where(index)), "row without an image", "take it out.")
        return bytes(value)


def open_dataset(path: str, columns: Columns, channels: Channels = 1) -> StoredLines:
    """Open a dataset: a folder that `save_to_disk` wrote, or parquet files (one, or a pattern).

    Raises `InputError` if the package `datasets` is missing, or the data are not such.
    """
    if os.path.isdir(path):
        return _lines(_load(path, lambda d: d.load_from_disk(path)), path, columns, channels)
    with _readable(path, "cannot be opened as a dataset"):
        for file in glob.glob(path):
            check_regular(file)
    dataset = _load(path, lambda d: d.load_dataset("parquet", data_files=path, split="train"))
    return _lines(dataset, path, columns, channels)


def open_hub(uri: str, columns: Columns, channels: Channels = 1) -> StoredLines:
    """Open a dataset of the hub: hf://OWNER/NAME, with ?split=NAME and &config=NAME where needed.

    The split is "train" by default. Raises `InputError` if it cannot be had.
    """
    name, _, query = uri.removeprefix(SCHEME).partition("?")
    options = dict(parse_qsl(query))
    split, config = options.pop("split", "train"), options.pop("config", None)
    if options or not name.strip("/"):
        raise InputError(
            uri, "does not name a dataset of the hub", "write hf://OWNER/NAME?split=NAME&config=NAME."
        )
    dataset = _load(uri, lambda d: d.load_dataset(name.strip("/"), config, split=split))
    return _lines(dataset, uri, columns, channels)


def _load(path: str, open_it: Callable[[Any], Any]) -> Any:
    try:
        import datasets
    except ImportError:
        why = "is a Hugging Face dataset, which needs the package datasets"
        raise InputError(legible(path), why, 'pip install "ocrtrain[formats]"') from None
    bars = datasets.utils.logging.is_progress_bar_enabled()
    datasets.utils.logging.disable_progress_bar()
    try:
        with warnings.catch_warnings(), _readable(path, "cannot be opened as a dataset"):
            warnings.simplefilter("ignore")
            dataset = open_it(datasets)
    finally:
        if bars:
            datasets.utils.logging.enable_progress_bar()
    if isinstance(dataset, dict):
        splits = ", ".join(dataset)
        raise InputError(
            legible(path),
            f"has several splits ({splits})",
            f"name one: {path}/{next(iter(dataset), 'train')}",
        )
    return dataset


@contextmanager
def _readable(path: str, why: str) -> Iterator[None]:
    """Turn what `datasets` and the packages below it raise, which is nearly anything, into an InputError."""
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
        way_on = "check its name, or export it anew."
        raise InputError(legible(path), f"{why}: {reason}", way_on) from error


def _lines(dataset: Any, path: str, columns: Columns, channels: Channels) -> StoredLines:
    import datasets

    image, text = columns.names(dataset.column_names, path)
    feature = dataset.features[text]
    if getattr(feature, "dtype", None) not in ("string", "large_string"):
        raise InputError(
            legible(path),
            f"holds no texts in column {text!r}, but {getattr(feature, 'dtype', feature)}",
            f"name the text column with data.text_column=NAME; there are: {', '.join(dataset.column_names)}.",
        )
    with _readable(path, "is damaged"):
        # Arrow follows the offsets that it finds in a file, even out of it, unless they are checked first.
        dataset.select_columns([image, text]).data.validate(full=True)
        if isinstance(dataset.features[image], datasets.Image):
            dataset = dataset.cast_column(image, datasets.Image(decode=False))
        images = dataset.select_columns([image])

    def store(table: LineTable) -> DatasetImages:
        return DatasetImages(path, table, images, image)

    key = {"dataset": getattr(dataset, "_fingerprint", None), "path": path, "columns": [image, text]}

    def read() -> LineTable:
        with _readable(path, "is damaged"):
            return _read(dataset.select_columns([text]), text, store)

    # Without a fingerprint nothing tells whether it is still the same.
    table = remembered(key, read) if key["dataset"] else read()
    return StoredLines(table, store(table), "a Hugging Face dataset", path, channels)


def _read(texts_only: Any, column: str, store: Callable[[LineTable], EncodedImages]) -> LineTable:
    texts = StringsBuilder()
    rows: list[int] = []
    skipped: dict[str, list[str]] = {}
    number = 0
    for batch in texts_only.iter(_BATCH):
        good: list[str] = []
        for text in batch[column]:
            fault = "row without a text" if text is None else text_fault(text)
            if fault is None:
                good.append(text)
                rows.append(number)
            else:
                skipped.setdefault(fault, []).append(f"row {number}")
            number += 1
        texts.extend(good)
    names = Strings.of(f"row {row}" for row in rows)
    return measured(names, texts.finish(), skipped, store, {"row": np.array(rows, np.int64)})
