"""Writing lines in each format that `convert` makes; an output appears when it is whole, or not at all."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from ocrtrain.data.formats.lmdb import ASPECTS, COUNT, DATA, IMAGE, LABEL
from ocrtrain.data.formats.pairing import TEXT_SUFFIX
from ocrtrain.data.images.image import decoded_size, image_suffix, legible
from ocrtrain.errors import InputError
from ocrtrain.files import unwritable

PER_FOLDER = 10_000
PER_SHARD = 10_000

_BOM = "\ufeff"
_FIRST_MAP = 2**26  # bytes; it doubles when it is full
_SPARE = 2**16  # bytes: a few pages, which LMDB writes besides what it is given


class WrittenLine(NamedTuple):
    """A line to write: the image's file byte for byte, its text, and the name that it had."""

    image: bytes
    text: str
    name: str


class LineWriter(Protocol):
    """Takes lines in their order, then `finish`."""

    def write(self, line: WrittenLine) -> None:
        """Add a line; raises `InputError` if its image has no readable header, `OSError` if it cannot."""

    def finish(self) -> None:
        """Write what belongs at the end."""


def numbered(index: int, suffix: str) -> str:
    """Name file `index` so that sorted paths are in order, at most 10,000 in one folder."""
    return f"{index // PER_FOLDER:04}/{index:06}{suffix}"


class PairsWriter:
    """NAME.png and NAME.gt.txt, in numbered folders."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.count = folder, 0

    def write(self, line: WrittenLine) -> None:
        """Write the two files."""
        path = self.folder / numbered(self.count, image_suffix(line.image, legible(line.name)))
        if self.count % PER_FOLDER == 0:
            path.parent.mkdir()
        path.write_bytes(line.image)
        path.with_suffix(TEXT_SUFFIX).write_bytes(text_file(line.text))
        self.count += 1

    def finish(self) -> None:
        """Nothing is left to do."""


class JsonLinesWriter:
    """metadata.jsonl with each image's name, text, width and height, beside images/."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.count = folder, 0
        self._rows = open(folder / "metadata.jsonl", "wb")  # noqa: SIM115 - closed by finish

    def write(self, line: WrittenLine) -> None:
        """Write the image, and its row."""
        name = legible(line.name)
        width, height = decoded_size(line.image, name)
        path = f"images/{numbered(self.count, image_suffix(line.image, name))}"
        if self.count % PER_FOLDER == 0:
            (self.folder / path).parent.mkdir(parents=True)
        (self.folder / path).write_bytes(line.image)
        row = {"file_name": path, "text": line.text, "width": width, "height": height, "source": name}
        self._rows.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
        self.count += 1

    def finish(self) -> None:
        """Close the table."""
        self._rows.close()


class ShardsWriter:
    """shard-000000.tar and so on, with KEY.png and KEY.txt of 10,000 lines each."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.count = folder, 0
        self._tar: tarfile.TarFile | None = None

    def write(self, line: WrittenLine) -> None:
        """Append the two members."""
        suffix = image_suffix(line.image, legible(line.name))
        if self.count % PER_SHARD == 0:
            self.finish()
            path = self.folder / f"shard-{self.count // PER_SHARD:06}.tar"
            self._tar = tarfile.open(path, "w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115 - see finish
        assert self._tar is not None
        for name, content in ((suffix, line.image), (".txt", text_file(line.text))):
            member = tarfile.TarInfo(f"{self.count:09}{name}")
            member.size = len(content)
            self._tar.addfile(member, io.BytesIO(content))
        self.count += 1

    def finish(self) -> None:
        """Close the last shard."""
        if self._tar is not None:
            self._tar.close()


class LmdbWriter:
    """data.mdb as deep-text-recognition-benchmark and PARSeq read it, and a key with the aspect ratios."""

    def __init__(self, folder: Path) -> None:
        try:
            import lmdb
        except ImportError:
            raise InputError(
                "format=lmdb", "needs the package lmdb", 'pip install "ocrtrain[formats]"'
            ) from None
        self._full: type[Exception] = lmdb.MapFullError
        self._refused: type[Exception] = lmdb.Error
        self.folder, self._size = folder, _FIRST_MAP
        with self._as_os_error():
            self._environment: Any = lmdb.open(str(folder), map_size=self._size, sync=False, metasync=False)
        self._waiting: list[tuple[bytes, bytes]] = []
        self._bytes = 0
        self._aspects: list[float] = []

    def write(self, line: WrittenLine) -> None:
        """Put image and label."""
        width, height = decoded_size(line.image, legible(line.name))
        self._aspects.append(width / height)
        number = len(self._aspects)
        label = line.text.encode()
        self._waiting += [(IMAGE.format(number).encode(), line.image), (LABEL.format(number).encode(), label)]
        self._bytes += len(line.image) + len(label)
        if self._bytes > _FIRST_MAP // 4:
            self._put()

    def finish(self) -> None:
        """Put the number of lines, and close."""
        self._waiting += [
            (COUNT.encode(), str(len(self._aspects)).encode()),
            (ASPECTS.encode(), np.array(self._aspects, "<f4").tobytes()),
        ]
        self._put()
        with self._as_os_error():
            self._environment.sync(True)
        self._environment.close()
        with suppress(OSError):  # only the processes that write one need it
            (self.folder / "lock.mdb").unlink()
        assert (self.folder / DATA).is_file()

    def _put(self) -> None:
        while True:
            try:
                with self._as_os_error(), self._environment.begin(write=True) as transaction:
                    for key, value in self._waiting:
                        transaction.put(key, value)
                break
            except self._full:
                self._size *= 2
                self._environment.set_mapsize(self._size)
        self._waiting, self._bytes = [], 0

    @contextmanager
    def _as_os_error(self) -> Iterator[None]:
        """Turn the library's errors, which carry the system's reason as a text, into the system's."""
        try:
            yield
        except self._full:
            raise
        except self._refused as error:
            reason = str(error).rpartition(": ")[2]
            number = next((n for n in errno.errorcode if os.strerror(n) == reason), errno.EIO)
            if number == errno.EIO and shutil.disk_usage(self.folder).free <= self._bytes + _SPARE:
                number = errno.ENOSPC  # of a write that was cut short, the library says no more
            raise OSError(number, os.strerror(number)) from error


WRITERS: dict[str, Callable[[Path], LineWriter]] = {
    "pairs": PairsWriter,
    "jsonl": JsonLinesWriter,
    "lmdb": LmdbWriter,
    "shards": ShardsWriter,
}


@contextmanager
def writing(form: str, output: Path) -> Iterator[LineWriter]:
    """Write to a folder beside `output` that takes its name when the block ends well.

    Whatever ends the block early, an interrupt too, removes that folder. Raises `InputError` for an unknown
    format, an `output` that is there and not an empty folder, or a place that cannot be written to.
    """
    if form not in WRITERS:
        raise InputError(f"format={form}", "no such format", f"choose {', '.join(WRITERS)}.")
    if os.path.lexists(output) and not (output.is_dir() and not any(output.iterdir())):
        raise InputError(f"output={output}", "is there already", "name a new folder, or remove that one.")
    temporary = output.with_name(f".{output.name[:100]}.{os.getpid()}.partial")
    try:
        try:
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
            writer = WRITERS[form](temporary)
            yield writer
            writer.finish()
            if output.is_dir():
                output.rmdir()
            os.replace(temporary, output)
        except OSError as error:
            raise unwritable(output, error) from error
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def text_file(text: str) -> bytes:
    """Write `text` so that a reader who drops one byte order mark and the line's end gets it back."""
    return ((_BOM + text if text.startswith(_BOM) else text) + "\n").encode()
