"""Text files that may be larger than the memory, read in blocks of whole lines."""

from __future__ import annotations

from collections.abc import Iterator

from ocrtrain.data.images.image import legible
from ocrtrain.errors import InputError
from ocrtrain.files import open_regular

_BLOCK = 2**20  # bytes read at once
_LONGEST = 2**28  # bytes of a line


def text_blocks(file: str) -> Iterator[tuple[int, str]]:
    """Read the lines of `file`, thousands at a time: the number of the first (from 1), and all as one text.

    They have LF between them, and none at the end; in the file they may end in LF, CR LF or, if there is no
    LF at its beginning, CR. A byte order mark is left out. Bytes that are not UTF-8 become lone surrogates.
    Raises `InputError` for a file that cannot be opened, is not UTF-8 or has a line of more than 256 MB.
    """
    try:
        with open_regular(file) as stream:
            number, rest, end = 1, b"", b"\n"
            while block := stream.read(_BLOCK):
                if number == 1 and not rest:
                    if b"\0" in block[:4096] or block.startswith((b"\xff\xfe", b"\xfe\xff")):
                        why = "is not a text file in UTF-8"
                        raise InputError(legible(file), why, "save it as UTF-8.")
                    block = block.removeprefix(b"\xef\xbb\xbf")
                    if b"\n" not in block and b"\r" in block:  # as on Macs before 2001
                        end = b"\r"
                content, newline, rest = (rest + block).rpartition(end)
                if newline:
                    text = _decoded(content, end)
                    yield number, text
                    number += text.count("\n") + 1
                elif len(rest) > _LONGEST:
                    raise InputError(legible(file), "has a line of 256 MB", "is it a manifest?")
            if rest:
                yield number, _decoded(rest, end)
    except OSError as error:
        why = f"cannot be opened ({error.strerror})"
        raise InputError(legible(file), why, "check the path and its permissions.") from error


def _decoded(content: bytes, end: bytes) -> str:
    text = content.decode("utf-8", "surrogateescape")
    if end == b"\r":
        return text.replace("\r", "\n")
    return text.replace("\r\n", "\n").removesuffix("\r")
