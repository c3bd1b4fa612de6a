"""Millions of short strings in the memory that their bytes take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, repeat
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

_CHUNK = 8192
# A file name that is not UTF-8 has lone surrogates in Python.
_ERRORS = "surrogatepass"


class Strings(Sequence[str]):
    """A list of strings that cannot be changed, as one block of UTF-8; a `str` exists only while it is used.

    content: uint8 [bytes]; ends: the end of each string in it, [strings] of an unsigned type.
    """

    __slots__ = ("content", "ends")

    def __init__(self, content: NDArray[np.uint8], ends: NDArray[Any]) -> None:
        self.content, self.ends = content, ends

    @classmethod
    def of(cls, strings: Iterable[str]) -> Strings:
        """Pack `strings`, a few thousand at a time."""
        builder, rest = StringsBuilder(), iter(strings)
        while chunk := list(islice(rest, _CHUNK)):
            builder.extend(chunk)
        return builder.finish()

    def __len__(self) -> int:
        return len(self.ends)

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> list[str]: ...

    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            return self._range(start, stop) if step == 1 else [self[i] for i in range(start, stop, step)]
        place = index + len(self) if index < 0 else index
        if not 0 <= place < len(self):
            raise IndexError(index)
        start = int(self.ends[place - 1]) if place else 0
        return self.content[start : int(self.ends[place])].tobytes().decode("utf-8", _ERRORS)

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), _CHUNK):
            yield from self._range(start, min(start + _CHUNK, len(self)))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, list | tuple | Strings):
            return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{len(self):,} strings, {len(self.content):,} bytes>"

    def block(self, start: int, stop: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Give the bytes of strings `start` to `stop`, uint8 [bytes], and where each ends in them."""
        begin = int(self.ends[start - 1]) if start else 0
        ends = self.ends[start:stop].astype(np.int64) - begin
        return self.content[begin : begin + (int(ends[-1]) if len(ends) else 0)], ends

    def hashes(self) -> NDArray[np.uint64]:
        """Give each string a number, equal ones the same and others hardly ever: uint64 [strings]."""
        from ocrtrain.data.lines.strings_numba import hash_each

        hashes = np.empty(len(self), np.uint64)
        for start in range(0, len(self), _CHUNK):
            hash_each(*self.block(start, start + _CHUNK), hashes[start : start + _CHUNK])
        return hashes

    def select(self, kept: NDArray[np.bool_]) -> Strings:
        """Take the strings for which `kept`, bool [strings], is true."""
        builder = StringsBuilder()
        for start in range(0, len(self), _CHUNK):
            content, ends = self.block(start, start + _CHUNK)
            some, lengths = kept[start : start + _CHUNK], np.diff(ends, prepend=0)
            builder.extend_bytes(content[np.repeat(some, lengths)], lengths[some].astype(np.uint32))
        return builder.finish()

    def _range(self, start: int, stop: int) -> list[str]:
        if stop <= start:
            return []
        content, all_ends = self.block(start, stop)
        block, ends = content.tobytes(), all_ends.tolist()
        starts = [0, *ends[:-1]]
        if block.isascii():  # then a character is a byte, and one decoding does for all
            text = block.decode("ascii")
            return [text[a:b] for a, b in zip(starts, ends, strict=True)]
        return [block[a:b].decode("utf-8", _ERRORS) for a, b in zip(starts, ends, strict=True)]


class StringsBuilder:
    """Grows a `Strings`, a chunk at a time."""

    def __init__(self) -> None:
        self._content = bytearray()
        self._lengths: list[NDArray[np.uint32]] = []

    def extend(self, strings: Sequence[str]) -> None:
        """Append all of `strings`."""
        joined = "".join(strings)
        content = joined.encode("utf-8", _ERRORS)
        if len(content) == len(joined):
            lengths = np.fromiter(map(len, strings), np.uint32, len(strings))
        else:
            each = map(str.encode, strings, repeat("utf-8"), repeat(_ERRORS))
            lengths = np.fromiter(map(len, each), np.uint32, len(strings))
        self._content += content
        self._lengths.append(lengths)

    def extend_bytes(self, content: NDArray[np.uint8], lengths: NDArray[np.uint32]) -> None:
        """Append strings that are one block of UTF-8 already, of `lengths` bytes each."""
        self._content += content.data
        self._lengths.append(lengths)

    def finish(self) -> Strings:
        """Give what was appended; the builder is of no use afterwards."""
        kind: Any = np.uint32 if len(self._content) < 2**32 else np.uint64
        ends = np.empty(sum(map(len, self._lengths)), kind)
        place, end = 0, 0
        for lengths in self._lengths:
            part = ends[place : place + len(lengths)]
            np.cumsum(lengths, out=part, dtype=kind)
            part += kind(end)
            place += len(lengths)
            end = int(ends[place - 1]) if place else 0
        self._lengths = []
        return Strings(np.frombuffer(self._content, np.uint8), ends)
