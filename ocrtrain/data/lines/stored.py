"""Lines that a disk holds, in any format: a table of them, and a way to each image."""

from __future__ import annotations

import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ocrtrain.data.formats.naming import spelling
from ocrtrain.data.images.image import Channels, aspect, decode_image, decoded_size, legible, read_image
from ocrtrain.data.lines.rejections import by_reason
from ocrtrain.data.lines.strings import Strings
from ocrtrain.data.lines.table import LineTable
from ocrtrain.errors import InputError
from ocrtrain.files import open_regular
from ocrtrain.line import Line
from ocrtrain.text.normalization import normalize

THREADS = 8  # they hide a network disk's latency; on a local disk one would do
CHUNK = 64  # files per task: a task for every file would cost more than reading its header


class Images(Protocol):
    """The images of a table's lines, by line number; in every process that it is sent to."""

    def where(self, index: int) -> str:
        """Name the image so that a user finds it."""

    def encoded(self, index: int) -> bytes:
        """Read the image's file, byte for byte; raises `InputError` if it cannot be read."""

    def stored_size(self, index: int) -> int:
        """Tell how many bytes `encoded` gives, without reading them; -1 where that is not known."""

    def pixels(self, index: int, channels: Channels) -> NDArray[np.uint8]:
        """Read the image, uint8 [H, W] or [H, W, 3]; raises `InputError` if it cannot be read."""


class StoredLines:
    """A source of stored lines.

    table: their names within `place`, their texts as written (`originals`), and names of samples that cannot
        be used, by reason (`skipped`), which `check_skipped` judges.
    images: a way to each image.
    format: what they are stored as, in words.
    place: where.
    channels: how images are read.

    Raises `InputError` if there is no line that can be used.
    """

    def __init__(
        self, table: LineTable, images: Images, format: str, place: str, channels: Channels = 1
    ) -> None:
        self.table, self.images = table, images
        self.format, self.place, self.channels = format, place, channels
        self.names, self.originals, self.skipped = table.names, table.texts, table.skipped
        if not len(table):
            raise InputError(
                legible(place),
                "\n    ".join([f"has no line that can be used, as {format}", *by_reason(table.skipped)]),
                "give images with a text each; docs/data.md shows every format.",
            )
        table.aspects.flags.writeable = False  # they are handed out, not copied

    def __len__(self) -> int:
        return len(self.table)

    def line(self, index: int, epoch: int) -> Line:
        """Read line `index`, the same in every epoch; raises `InputError` if its image is damaged."""
        image, where = self.images.pixels(index, self.channels), self.images.where(index)
        aspect((image.shape[1], image.shape[0]), legible(where))
        return Line(image, self.originals[index], where)

    def widths(self, epoch: int) -> NDArray[np.float32]:
        """Tell every line's width at height 1, float32 [lines], read-only."""
        return self.table.aspects

    def part_of(self, index: int) -> str:
        """There is but one source."""
        return ""

    def texts(self) -> list[str]:
        """List all texts in NFC."""
        return [normalize(text) for text in self.originals]

    def __reduce__(self) -> tuple[object, ...]:
        # Without the attributes that are parts of the table: it may be a file that is mapped, not copied.
        return StoredLines, (self.table, self.images, self.format, self.place, self.channels)


class FileImages:
    """Image files at the table's names under `root`, as `formats.naming` finds them."""

    def __init__(self, root: str, table: LineTable) -> None:
        self.root, self.table = root, table

    def where(self, index: int) -> str:
        """Give the image's path."""
        return located(self.root, self.table.names[index])

    def encoded(self, index: int) -> bytes:
        """Read the file."""
        return read_file(self.where(index))

    def stored_size(self, index: int) -> int:
        """Ask the disk for the file's size."""
        try:
            return os.stat(self.where(index)).st_size
        except OSError:
            return -1

    def pixels(self, index: int, channels: Channels) -> NDArray[np.uint8]:
        """Read the image."""
        return read_image(self.where(index), channels)


def located(root: str, name: str) -> str:
    """Give the path of the file that `name` means under `root`, or what it would be if there is none."""
    path = os.path.join(root, name)
    if os.path.exists(path):
        return path
    found = spelling(root, name)
    return path if found is None else os.path.join(root, found)


class EncodedImages(ABC):
    """Images that lie within something bigger: what gives their bytes is a subclass's."""

    def __init__(self, place: str, table: LineTable) -> None:
        self.place, self.table = place, table

    def where(self, index: int) -> str:
        """Give the path of the whole and the image's name in it."""
        return f"{self.place}#{self.table.names[index]}"

    @abstractmethod
    def encoded(self, index: int) -> bytes:
        """Read the image's bytes."""

    def pixels(self, index: int, channels: Channels) -> NDArray[np.uint8]:
        """Read the image."""
        return decode_image(self.encoded(index), channels, legible(self.where(index)))

    def stored_size(self, index: int) -> int:
        """Not known without reading."""
        return -1

    def size(self, index: int) -> tuple[int, int]:
        """Read the image's width and height."""
        return decoded_size(self.encoded(index), legible(self.where(index)))


def read_file(path: str) -> bytes:
    """Read a whole file; raises `InputError` if that fails."""
    try:
        with open_regular(path) as file:
            return file.read()
    except FileNotFoundError:
        raise InputError(legible(path), "does not exist", "check the path.") from None
    except OSError as error:
        why = f"cannot be opened ({error.strerror})"
        raise InputError(legible(path), why, "check the path and its permissions.") from error


def measure(
    count: int,
    size_of: Callable[[int], tuple[int, int]],
    threads: int = THREADS,
    report: Callable[[int], object] | None = None,
) -> tuple[NDArray[np.float32], dict[int, str]]:
    """Read width and height of images 0 ... count - 1, and give their ratios, and why some have none.

    `size_of` raises `InputError` for an image that cannot be used; its ratio is NaN then.
    """
    aspects = np.full(count, np.nan, np.float32)

    def look(start: int) -> dict[int, str]:
        faults = {}
        for i in range(start, min(start + CHUNK, count)):
            try:
                aspects[i] = aspect(size_of(i), "")
            except InputError as error:
                faults[i] = error.why
        return faults

    faults: dict[int, str] = {}
    # Pillow's warning of large images comes before our refusal of them; one of the two is enough.
    with warnings.catch_warnings(), ThreadPoolExecutor(threads) as pool:
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        for found in pool.map(look, range(0, count, CHUNK)):
            faults.update(found)
            if report is not None:
                report(CHUNK)
    return aspects, faults


def measured(
    names: Strings,
    texts: Strings,
    skipped: dict[str, list[str]],
    images: Callable[[LineTable], EncodedImages],
    places: dict[str, NDArray[Any]] | None = None,
) -> LineTable:
    """Make a table of lines whose images tell their sizes; those that do not are skipped."""
    table = LineTable(names, texts, np.full(len(names), np.nan, np.float32), places or {}, skipped)
    table.aspects, faults = measure(len(names), images(table).size, threads=1)
    for i, why in faults.items():
        skipped.setdefault(why, []).append(names[i])
    return table.select(~np.isnan(table.aspects))
