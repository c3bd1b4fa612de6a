"""Check that a zip file of torch's is still what was written, byte for byte."""

from __future__ import annotations

import zipfile
from pathlib import Path

CHUNK = 1 << 20  # bytes that are read at once


class DamagedFile(ValueError):  # noqa: N818 - named for what it reports
    """A file that is not what was written; the text gives the reason."""


def check_zip(path: Path) -> None:
    """Compare every part of the zip file at `path` with its checksum (CRC-32), which torch writes.

    torch itself reads past checksums. It stores parts as they are, so none that is compressed is read: a part
    is never longer than the file. Raises DamagedFile, for whatever a file makes of its reader.
    """
    try:
        with zipfile.ZipFile(path) as file:
            entries = file.infolist()
            if len({entry.filename for entry in entries}) < len(entries):
                raise DamagedFile("two of its parts have one name")
            if any(e.compress_type != zipfile.ZIP_STORED or e.compress_size != e.file_size for e in entries):
                raise DamagedFile("it has compressed parts")
            if sum(entry.file_size for entry in entries) > path.stat().st_size:
                raise DamagedFile("its parts are longer than the file")
            for entry in entries:
                with file.open(entry) as part:
                    while part.read(CHUNK):
                        pass
    except DamagedFile:
        raise
    except Exception as error:
        raise DamagedFile(str(error).partition("\n")[0] or type(error).__name__) from None
