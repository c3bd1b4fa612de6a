"""Numbers for millions of strings, compiled by Numba."""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import numba
import numpy as np
from numba import types

_BYTES = types.Array(types.uint8, 1, "C", readonly=True)  # they may lie in a file that is mapped


@numba.njit(types.void(_BYTES, types.int64[::1], types.uint64[::1]), cache=True, nogil=True)
def hash_each(content, ends, hashes):
    """Fill hashes [strings] for strings that are packed in `content` and end at `ends`, int64 [strings].

    Each byte is mixed in as FNV-1a does; at the end all bits are spread, as MurmurHash3 does.
    """
    start = 0
    for k in range(ends.shape[0]):
        value = np.uint64(0xCBF29CE484222325)
        for i in range(start, ends[k]):
            value = (value ^ np.uint64(content[i])) * np.uint64(0x100000001B3)
        value = (value ^ (value >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
        hashes[k] = value ^ (value >> np.uint64(33))
        start = ends[k]
