"""NumPy archives (.npz) from anywhere, read so that a damaged or malicious one is refused.

`np.load` trusts a header's shape before it has seen the data, takes the last of two members of one name, and
leaves each of its parsers' own errors to the caller.
"""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

MOST_MEMBERS = 1000
MOST_BYTES = 2**33  # unpacked, of all members
UNSUSPICIOUS = 2**26  # bytes that may be packed however small
HIGHEST_RATIO = 200  # of larger archives, unpacked to packed; noise, such as log-probabilities, has 1 to 10


class ArchiveError(ValueError):
    """An archive that is damaged, or none; the text says why, to be put behind the file's name."""


def read_arrays(path: str | Path) -> dict[str, NDArray[Any]]:
    """Read all arrays of numbers, of no or one dimension, by their names without `.npy`.

    Every member is read to its end and its checksum compared. Raises `ArchiveError`, and `OSError` where the
    file cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_members(archive, os.path.getsize(path))
            return {
                info.filename.removesuffix(".npy"): _array(archive.read(info)) for info in archive.infolist()
            }
    except (ArchiveError, OSError):
        raise
    except MemoryError:
        raise ArchiveError("does not fit into memory") from None
    except Exception as error:  # zlib's, zipfile's and NumPy's parsers raise a dozen kinds for damaged files
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ArchiveError(f"is damaged ({reason[:100]})") from None


def _check_members(archive: zipfile.ZipFile, packed: int) -> None:
    names = [info.filename for info in archive.infolist()]
    if len(names) > MOST_MEMBERS:
        raise ArchiveError(f"has {len(names):,} members")
    if len(set(names)) < len(names):
        raise ArchiveError("has two members of one name")
    if not all(name.endswith(".npy") for name in names):
        raise ArchiveError("has members that are not NumPy arrays")
    unpacked = sum(info.file_size for info in archive.infolist())
    if unpacked > MOST_BYTES or (unpacked > UNSUSPICIOUS and unpacked > HIGHEST_RATIO * packed):
        raise ArchiveError(f"claims to unpack into {unpacked:,} bytes, from {packed:,}")


def _array(content: bytes) -> NDArray[Any]:
    stream = io.BytesIO(content)
    if npy.read_magic(stream) != (1, 0):
        raise ArchiveError("has an array in another version of NumPy's format")
    shape, _, kind = npy.read_array_header_1_0(stream)
    if len(shape) > 1 or kind.kind not in "uif" or kind.itemsize > 8:
        raise ArchiveError("has an array that is not a row of plain numbers")
    count = shape[0] if shape else 1
    data = content[stream.tell() :]
    if count < 0 or len(data) != count * kind.itemsize:
        raise ArchiveError("has an array of another length than it claims")
    return np.frombuffer(data, kind).reshape(shape).astype(kind.newbyteorder("="))
