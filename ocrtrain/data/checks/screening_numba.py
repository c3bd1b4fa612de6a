"""Every character of millions of texts looked at once, compiled by Numba.

Texts come packed: `content`, the UTF-8 of all, uint8 [bytes], and `ends`, where each text ends in it, int64
[texts]. `kinds` says of every code point what it is, uint16 [CODES]: bits of its own in the lower byte, the
number of its script in the upper one (0 for none).
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import numba
import numpy as np
from numba import types

CODES = 0x110000

# What a code point is.
ODD, SPACE, TURNS, UNSURE = 1, 2, 4, 8
# What a text is besides: with letters of several scripts; with spaces at its ends, two in a row, or nothing.
MIXED, SPACED = 16, 32

# Packed texts may lie in a file that is mapped, where nothing can be written. One signature does for both.
_BYTES = types.Array(types.uint8, 1, "C", readonly=True)
_ENDS = types.Array(types.int64, 1, "C", readonly=True)
_KINDS = types.Array(types.uint16, 1, "C", readonly=True)


@numba.njit(inline="always")
def _character(content, i):
    """Decode the code point that begins at byte i, of at least two bytes; also where the next one begins."""
    lead = np.int64(content[i])
    second = np.int64(content[i + 1]) & 0x3F
    if lead < 0xE0:
        return (lead & 0x1F) << 6 | second, i + 2
    third = np.int64(content[i + 2]) & 0x3F
    if lead < 0xF0:
        return (lead & 0x0F) << 12 | second << 6 | third, i + 3
    return (lead & 0x07) << 18 | second << 12 | third << 6 | np.int64(content[i + 3]) & 0x3F, i + 4


@numba.njit(types.void(_BYTES, _ENDS, _KINDS, types.boolean[::1], types.boolean[::1]), cache=True, nogil=True)
def mark(content, ends, kinds, there, closer):
    """Mark in `there`, [CODES], what characters the texts have that are plain: of kind 0 from end to end.

    The others are marked in `closer`, [texts]. Without any `kinds`, all are plain.
    """
    start = 0
    for text in range(ends.shape[0]):
        end = ends[text]
        found = np.uint16(0)
        i = start if kinds.shape[0] else end
        while i < end:
            code = np.int64(content[i])
            i += 1
            if code >= 0x80:
                code, i = _character(content, i - 1)
            found |= kinds[code]
        closer[text] = found != 0
        if found == 0:
            i = start
            while i < end:
                code = np.int64(content[i])
                i += 1
                if code >= 0x80:
                    code, i = _character(content, i - 1)
                there[code] = True
        start = end


@numba.njit(types.void(_BYTES, _ENDS, _KINDS, types.uint8[::1], types.int64[::1]), cache=True, nogil=True)
def screen(content, ends, kinds, found, needed):
    """Fill found [texts] with what each text has, and needed [texts] with the frames that it takes."""
    start = 0
    for text in range(ends.shape[0]):
        end = ends[text]
        bits, script, frames = 0, 0, 0
        before = -1
        after_space = True  # so that a space at the beginning is one too many
        i = start
        while i < end:
            code = np.int64(content[i])
            i += 1
            if code >= 0x80:
                code, i = _character(content, i - 1)
            kind = np.int64(kinds[code])
            bits |= kind
            if kind & SPACE:
                if after_space:
                    bits |= SPACED
                after_space = True
            else:
                after_space = False
            if kind > 0xFF and kind >> 8 != script:
                if script:
                    bits |= MIXED
                script = kind >> 8
            frames += 2 if code == before else 1
            before = code
        if after_space:
            bits |= SPACED
        found[text] = bits & 0xFF
        needed[text] = frames
        start = end
