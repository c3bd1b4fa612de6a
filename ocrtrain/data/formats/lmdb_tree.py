"""The keys of an LMDB file, and where their values lie in it; read without the LMDB library.

That library maps the file and follows the pointers that it finds there, so a damaged file ends the process.
Here every pointer is checked first. Source: the structures in LMDB 0.9's mdb.c (data version 1).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ocrtrain.errors import InputError

_HEADER = 16
_MAGIC, _VERSION = 0xBEEFC0DE, 1
_BRANCH, _LEAF, _OVERFLOW, _LEAF2 = 1, 2, 4, 0x20
_BIG, _SUB, _DUPLICATES = 1, 2, 4
_NO_PAGE = 2**64 - 1
_DEEPEST = 32

_META = struct.Struct("<IIQQ48s48sQQ")
_DATABASE = struct.Struct("<IHHQQQQQ")
_PAGE = struct.Struct("<QHHHH")
_NODE = struct.Struct("<HHHH")


class Value(NamedTuple):
    """A key, and the place of its value in the file."""

    key: bytes
    offset: int
    size: int


class Damaged(ValueError):  # noqa: N818 - named for what it reports
    """The file is not what LMDB writes; the text says where."""


def read_keys(path: str, content: NDArray[np.uint8]) -> Iterator[Value]:
    """Walk the keys of the main database in their order; `content` is the file's bytes, [bytes].

    Raises `InputError` where the file is damaged or cut short.
    """
    view = memoryview(content.data)
    try:
        page_size, root = _newest_meta(view)
        if root != _NO_PAGE:
            yield from _walk(view, page_size, root)
    except (Damaged, struct.error) as error:
        way_on = "copy the file again, or export it anew."
        raise InputError(path, f"is a damaged LMDB file: {error}", way_on) from error


def _newest_meta(view: memoryview) -> tuple[int, int]:
    found = []
    page_size = 4096
    for number in (0, 1):
        place = number * page_size + _HEADER
        if place + _META.size > len(view):
            raise Damaged("it ends within its first pages: cut short")
        magic, version, _, _, free, main, _, txn = _META.unpack_from(view, place)
        if magic != _MAGIC or version != _VERSION:
            # With one of the two alone, it may be an older state that is read.
            raise Damaged("it does not begin as one (or was written on a machine of another kind)")
        size = _DATABASE.unpack(free)[0]
        if size < 512 or size > 65536 or size & (size - 1):
            raise Damaged(f"its page size is {size}")
        page_size = size
        flags, root = _DATABASE.unpack(main)[1], _DATABASE.unpack(main)[7]
        if flags & ~0x08:
            raise Damaged("its keys are sorted, or doubled, in a way that data of lines never has")
        found.append((txn, root))
    return page_size, max(found)[1]


def _walk(view: memoryview, page_size: int, root: int) -> Iterator[Value]:
    pages = len(view) // page_size
    seen = np.zeros(pages, np.bool_)
    stack = [(root, 0)]
    previous = b""
    room = len(view)  # values do not share their bytes, or reading them all could take for ever
    while stack:
        number, depth = stack.pop()
        if number >= pages or seen[number] or depth > _DEEPEST:
            raise Damaged(f"page {number} is beyond its end (cut short?) or referred to twice")
        seen[number] = True
        page = view[number * page_size : (number + 1) * page_size]
        own, _, flags, lower, upper = _PAGE.unpack_from(page)
        if own != number or not _HEADER <= lower <= upper <= page_size or lower % 2:
            raise Damaged(f"page {number} has no valid header")
        pointers = struct.unpack_from(f"<{(lower - _HEADER) // 2}H", page, _HEADER)
        if flags & _BRANCH:
            children = []
            for pointer in pointers:
                lo, hi, top, _ = _NODE.unpack_from(page, pointer)
                children.append((lo | hi << 16 | top << 32, depth + 1))
            stack += reversed(children)
        elif flags & _LEAF and not flags & _LEAF2:
            for pointer in pointers:
                value = _leaf(view, page, number * page_size, page_size, pointer)
                if value.key <= previous and previous:
                    raise Damaged(f"the keys on page {number} are not in order")
                previous = value.key
                room -= len(value.key) + value.size
                if room < 0:
                    raise Damaged("its values are larger together than the file")
                yield value
        else:
            raise Damaged(f"page {number} is of no known kind")


def _leaf(view: memoryview, page: memoryview, start: int, page_size: int, pointer: int) -> Value:
    lo, hi, flags, key_size = _NODE.unpack_from(page, pointer)
    size, begin = lo | hi << 16, pointer + _NODE.size
    end = begin + key_size
    if flags & (_SUB | _DUPLICATES) or end > page_size:
        raise Damaged(f"a key at byte {start + pointer} is of no known kind")
    key = bytes(page[begin:end])
    if not flags & _BIG:
        if end + size > page_size:
            raise Damaged(f"the value of {key!r} runs out of its page")
        return Value(key, start + end, size)
    if end + 8 > page_size:
        raise Damaged(f"the value of {key!r} has no page")
    number = int.from_bytes(page[end : end + 8], "little")
    offset = number * page_size
    if offset + _HEADER + size > len(view):
        raise Damaged(f"the value of {key!r} lies beyond its end")
    own, _, kind, _, _ = _PAGE.unpack_from(view, offset)
    if own != number or not kind & _OVERFLOW:
        raise Damaged(f"the value of {key!r} is not where it should be")
    return Value(key, offset + _HEADER, size)
