"""All texts of a large set at once: which characters they have, and which lines deserve a closer look."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ocrtrain.text.normalization import normalize

_LINES = 8192
_CODES = 0x110000
_SPACE = 32
_END = 10


def symbols_of(texts: Sequence[str]) -> set[str]:
    """Collect the characters of `texts`, each of one line, in NFC."""
    there = np.zeros(_CODES, np.bool_)
    for start in range(0, len(texts), _LINES):
        # Nothing composes with the line's end that parts them.
        there[_codes(normalize("\n".join(texts[start : start + _LINES])))] = True
    there[_END] = False
    return {chr(code) for code in np.flatnonzero(there)}


def suspects(
    texts: Sequence[str],
    widths: NDArray[np.float32],
    known: Sequence[str],
    frames: Callable[[NDArray[np.float32]], NDArray[np.int64]],
) -> NDArray[np.int64]:
    """Number the lines in which `inspect` might find something; it need not look at any other.

    A line is passed over if it is in NFC, has only `known` characters and no control characters, no space at
    its ends nor two in a row, and fits its frames even if each character repeats the one before.
    """
    # One table of all code points says whether a character is odd by itself.
    odd = np.ones(_CODES, np.bool_)
    odd[[ord(symbol) for symbol in known]] = False
    odd[_END] = False
    for low, high in ((0x00, 0x0A), (0x0B, 0x20), (0x7F, 0xA0), (0x2028, 0x202A)):
        odd[low:high] = True
    odd[[0xFEFF, 0xFFFD]] = True
    spaces = np.zeros(_CODES, np.bool_)
    spaces[[code for code in range(0x3001) if chr(code).isspace()]] = True
    found = []
    for start in range(0, len(texts), _LINES):
        chunk = texts[start : start + _LINES]
        flags = _flags(chunk, odd, spaces)
        lengths = np.fromiter(map(len, chunk), np.int64, len(chunk))
        flags |= 2 * lengths - 1 > frames(widths[start : start + _LINES])
        found.append(np.flatnonzero(flags) + start)
    return np.concatenate([np.empty(0, np.int64), *found])


def _flags(chunk: Sequence[str], odd: NDArray[np.bool_], spaces: NDArray[np.bool_]) -> NDArray[np.bool_]:
    joined = "\n".join(chunk)
    codes = _codes(f"\n{joined}\n")
    ends = codes == _END
    if int(ends.sum()) != len(chunk) + 1:  # a text of several lines, which no source gives
        return np.ones(len(chunk), np.bool_)
    space = spaces[codes]
    bad = odd[codes]
    # Line ends are spaces too: two in a row are a double space, or one at an end.
    bad[1:] |= space[1:] & space[:-1]
    flags = np.zeros(len(chunk) + 2, np.bool_)
    flags[np.cumsum(ends)[np.flatnonzero(bad)]] = True
    # A space before a line's end is marked at that end, which belongs to the next line.
    before_end = np.flatnonzero(ends[1:] & space[:-1]) + 1
    flags[np.cumsum(ends)[before_end] - 1] = True
    result = flags[1:-1]
    if not unicodedata.is_normalized("NFC", joined):
        result = result | np.array([not unicodedata.is_normalized("NFC", text) for text in chunk])
    return result


def _codes(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
