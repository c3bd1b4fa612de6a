"""Images that lie somewhere within bigger files: an archive, a database, a cache of cut lines."""

from __future__ import annotations

import os

from ocrtrain.data.images.image import legible
from ocrtrain.data.lines.stored import EncodedImages
from ocrtrain.data.lines.table import LineTable
from ocrtrain.errors import InputError


class Slices(EncodedImages):
    """Images at places of `files`; the table's `places` are `file`, `offset` and `size`, int64 [lines].

    Files are opened when first read from, in each process anew.
    """

    def __init__(self, place: str, table: LineTable, files: list[str]) -> None:
        super().__init__(place, table)
        self.files = files
        self._open: dict[int, int] = {}

    def where(self, index: int) -> str:
        """Give the path of the file and the image's name in it."""
        return f"{self.files[int(self.table.places['file'][index])]}#{self.table.names[index]}"

    def stored_size(self, index: int) -> int:
        """Look up the slice's length."""
        return int(self.table.places["size"][index])

    def encoded(self, index: int) -> bytes:
        """Read the image's bytes."""
        places = self.table.places
        number, size = int(places["file"][index]), int(places["size"][index])
        offset = int(places["offset"][index])
        try:
            if number not in self._open:
                self._open[number] = os.open(self.files[number], os.O_RDONLY | getattr(os, "O_BINARY", 0))
            # Reads by place, not by a position that forked processes would share.
            content = _read_at(self._open[number], size, offset)
        except OSError as error:
            why = f"cannot be read ({error.strerror})"
            raise InputError(legible(self.where(index)), why, "check the file.") from error
        if len(content) < size:
            raise InputError(legible(self.where(index)), "lies beyond the file's end", "copy the file again.")
        return content

    def __reduce__(self) -> tuple[object, ...]:
        return Slices, (self.place, self.table, self.files)

    def __del__(self) -> None:
        for number in self._open.values():
            os.close(number)


def _read_at(file: int, size: int, offset: int) -> bytes:
    if hasattr(os, "pread"):
        return os.pread(file, size, offset)
    with os.fdopen(os.dup(file), "rb") as stream:  # Windows, where no process is forked
        stream.seek(offset)
        return stream.read(size)
