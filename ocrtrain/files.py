"""Files that appear under their final name only when they are whole, and those that are safe to read."""

from __future__ import annotations

import errno
import io
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ocrtrain.errors import InputError

# Without blocking, as opening a pipe would that nobody writes to.
_READ = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_BINARY", "O_NONBLOCK", "O_CLOEXEC"))
_WAYS_ON = {
    errno.ENOSPC: "free some space on that disk, or name a folder on another one.",
    errno.EDQUOT: "free some of your quota on that disk, or name a folder on another one.",
    errno.EFBIG: "raise the limit on file sizes (`ulimit -f`), or name a folder on another disk.",
    errno.EIO: "see whether that disk is full or damaged, or name a folder on another one.",
    errno.EACCES: "make the folder writable for you, or name another one.",
    errno.EPERM: "make the folder writable for you, or name another one.",
    errno.EROFS: "that disk is read-only: name a folder on another one.",
    errno.ENOTDIR: "a file stands where a folder is needed: name another folder.",
    errno.EEXIST: "a file stands where a folder is needed: name another folder.",
    errno.EISDIR: "a folder of that name is in the way: remove it or name another file.",
    errno.ENAMETOOLONG: "name a shorter path.",
}


def unwritable(path: str | Path, error: OSError) -> InputError:
    """Turn the system's refusal to write `path` into a message with its reason and the way on."""
    way_on = _WAYS_ON.get(error.errno or 0, "mend that, or name another place to write to.")
    return InputError(str(path), f"cannot be written: {error.strerror or error}", way_on)


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; when the block ends well, what was written there takes its place.

    Missing folders are made. The temporary name ends in `.partial`, so a writer that reads the format from
    the suffix must be told it. Whatever ends the block early, an interrupt too, leaves the old file, or none,
    under `path` and no temporary file; an `OSError` becomes an `InputError` that names `path`.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name[:100]}.{os.getpid()}-{secrets.token_hex(4)}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with open(temporary, "rb+") as written:
            # Some file systems report a full disk only here, and a crash must not leave an empty file.
            os.fsync(written.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            raise unwritable(path, error) from error
        raise


def write_text_atomically(path: str | Path, text: str) -> None:
    """Write `text` to `path` as UTF-8, whole or not at all.

    A lone surrogate (a byte of a file name that is not UTF-8) is written as its `\\udcXX` escape, which JSON
    reads back as the same character. Raises `InputError` where the place cannot be written to.
    """
    with atomic_path(path) as temporary:
        temporary.write_bytes(text.encode("utf-8", errors="backslashreplace"))


def open_regular(path: str | os.PathLike[str]) -> io.BufferedReader:
    """Open a file to read; raises OSError where that cannot be done, and as `check_regular` does."""
    file, _ = _opened(path)
    return open(file, "rb")


def read_small(path: str | os.PathLike[str], most: int) -> bytes | None:
    """Read a file of at most `most` bytes, None for a larger one; raises as `open_regular` does."""
    file, size = _opened(path)
    try:
        if size > most:
            return None
        content = os.read(file, size)
        while len(content) < size and (more := os.read(file, size - len(content))):
            content += more
        return content
    finally:
        os.close(file)


def _opened(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Open a regular file; gives its descriptor and its size."""
    try:
        file = os.open(path, _READ)
    except ValueError as error:
        raise OSError(errno.EINVAL, str(error), os.fspath(path)) from None  # a null byte in the name
    try:
        status = os.fstat(file)
        check_regular(path, status)
        return file, status.st_size
    except OSError:
        os.close(file)
        raise


def check_regular(path: str | os.PathLike[str], status: os.stat_result | None = None) -> None:
    """Raise OSError for a folder, and for a pipe or a device, which might never answer, or never end.

    Names of files come from files of others, too.
    """
    try:
        mode = (os.stat(path) if status is None else status).st_mode
    except ValueError as error:
        raise OSError(errno.EINVAL, str(error), os.fspath(path)) from None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "not a regular file", os.fspath(path))
