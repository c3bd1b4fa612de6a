"""Several stored sources read as one, one after the other."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from ocrtrain.data.formats.columns import Columns
from ocrtrain.data.formats.detect import open_lines
from ocrtrain.data.images.image import Channels
from ocrtrain.data.lines.stored import FileImages, Images, StoredLines
from ocrtrain.data.lines.strings import Strings
from ocrtrain.data.lines.table import LineTable
from ocrtrain.errors import InputError


class JoinedImages:
    """The images of several sources in their order; `starts`, int64 [sources + 1], is where each begins."""

    def __init__(self, parts: Sequence[Images], starts: NDArray[np.int64]) -> None:
        self.parts, self.starts = list(parts), starts

    def where(self, index: int) -> str:
        """Name the image as its source does."""
        part, own = self._of(index)
        return part.where(own)

    def encoded(self, index: int) -> bytes:
        """Read the image's bytes."""
        part, own = self._of(index)
        return part.encoded(own)

    def stored_size(self, index: int) -> int:
        """Tell the size of the image's bytes, -1 where it is not known."""
        part, own = self._of(index)
        return part.stored_size(own)

    def pixels(self, index: int, channels: Channels) -> NDArray[np.uint8]:
        """Read the image."""
        part, own = self._of(index)
        return part.pixels(own, channels)

    def _of(self, index: int) -> tuple[Images, int]:
        number = int(np.searchsorted(self.starts, index, side="right")) - 1
        return self.parts[number], index - int(self.starts[number])


def as_typed(paths: object) -> str:
    """Write a setting of one path or several as it is typed."""
    return f"[{','.join(map(str, paths))}]" if isinstance(paths, list | tuple) else str(paths)


def open_sources(
    paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    channels: Channels = 1,
    columns: Columns | None = None,
) -> StoredLines:
    """Open the lines at a path, or at several as one source, each in whatever format it is.

    Names of lines are then whole paths. Raises `InputError` as `open_lines`, and for an empty list.
    """
    if isinstance(paths, (str, os.PathLike)):
        return open_lines(paths, channels, columns)
    sources = [open_lines(path, channels, columns) for path in paths]
    if not sources:
        raise InputError("[]", "is a list without a source of lines", "name a folder or a file in it.")
    if len(sources) == 1:
        return sources[0]
    skipped: dict[str, list[str]] = {}
    for source in sources:
        for reason, names in source.skipped.items():
            skipped.setdefault(reason, []).extend(os.path.join(source.place, name) for name in names)
    table = LineTable(
        Strings.of(chain.from_iterable(map(_whole_names, sources))),
        Strings.of(chain.from_iterable(source.originals for source in sources)),
        np.concatenate([source.table.aspects for source in sources]),
        skipped=skipped,
    )
    starts = np.cumsum([0, *map(len, sources)], dtype=np.int64)
    images: Images = JoinedImages([source.images for source in sources], starts)
    if all(isinstance(source.images, FileImages) for source in sources):
        images = FileImages(os.sep, table)
    kinds = ", ".join(dict.fromkeys(source.format for source in sources))
    place = os.path.commonpath([os.path.abspath(source.place) for source in sources])
    return StoredLines(table, images, f"{len(sources)} sources ({kinds})", place, channels)


def _whole_names(source: StoredLines) -> list[str]:
    images = source.images
    if isinstance(images, FileImages):
        return [os.path.abspath(os.path.join(images.root, name)) for name in source.names]
    return [f"{source.place}#{name}" for name in source.names]
