"""All texts of a large set at once: which characters they have, and which lines deserve a closer look."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ocrtrain.text import Charset, Writing
from ocrtrain.text.direction import runs_right_to_left
from ocrtrain.text.normalization import is_normal
from ocrtrain.text.scripts import script_of

_LINES = 8192
_CODES = 0x110000
_SPACE = 32
_END = 10


def symbols_of(texts: Sequence[str], writing: Writing) -> set[str]:
    """Collect the characters that `texts`, each of one line, show where they are written so."""
    there = np.zeros(_CODES, np.bool_)
    for start in range(0, len(texts), _LINES):
        chunk = texts[start : start + _LINES]
        joined = "\n".join(chunk)
        if writing.direction != "none" and runs_right_to_left(joined):
            joined = "\n".join(map(writing.shown, chunk))
        # Nothing composes with the line's end that parts them.
        there[_codes(writing.normalize(joined))] = True
    there[_END] = False
    return {chr(code) for code in np.flatnonzero(there)}


def suspects(
    texts: Sequence[str],
    widths: NDArray[np.float32],
    charset: Charset,
    frames: Callable[[NDArray[np.float32]], NDArray[np.int64]],
) -> NDArray[np.int64]:
    """Number the lines in which `inspect` might find something; it need not look at any other.

    A line is passed over if it is in the normal form, runs from left to right, has only characters of the
    charset, of one script and no control characters, no space at its ends nor two in a row, and fits its
    frames even if each character repeats the one before.
    """
    # One table of all code points says whether a character is odd by itself.
    odd = np.ones(_CODES, np.bool_)
    odd[[ord(symbol) for symbol in charset.symbols]] = False
    odd[_END] = False
    for low, high in ((0x00, 0x0A), (0x0B, 0x20), (0x7F, 0xA0), (0x2028, 0x202A)):
        odd[low:high] = True
    odd[[0xFEFF, 0xFFFD]] = True
    spaces = np.zeros(_CODES, np.bool_)
    spaces[[code for code in range(0x3001) if chr(code).isspace()]] = True
    found = []
    for start in range(0, len(texts), _LINES):
        chunk = texts[start : start + _LINES]
        flags = _flags(chunk, odd, spaces, charset.writing)
        lengths = np.fromiter(map(len, chunk), np.int64, len(chunk))
        flags |= 2 * lengths - 1 > frames(widths[start : start + _LINES])
        found.append(np.flatnonzero(flags) + start)
    return np.concatenate([np.empty(0, np.int64), *found])


def _flags(
    chunk: Sequence[str], odd: NDArray[np.bool_], spaces: NDArray[np.bool_], writing: Writing
) -> NDArray[np.bool_]:
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
    if joined.isascii():
        return result
    result |= _mixes_scripts(codes, np.flatnonzero(ends)[:-1])
    if not is_normal(joined, writing.normalization):
        result |= np.array([not is_normal(text, writing.normalization) for text in chunk])
    if writing.direction != "none" and runs_right_to_left(joined):
        result |= np.array([runs_right_to_left(text) for text in chunk])
    return result


def _mixes_scripts(codes: NDArray[np.uint32], starts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell of each line, from `starts` on, whether it has letters of more than one script."""
    used, places = np.unique(codes, return_inverse=True)
    scripts = [script_of(chr(code)) for code in used.tolist()]
    numbers = {script: bit for bit, script in enumerate(sorted({s for s in scripts if s is not None}))}
    if len(numbers) < 2:
        return np.zeros(len(starts), np.bool_)
    # A bit for each script; beyond 63 of them, in 8,192 lines, the last bit stands for several.
    bits = np.array([0 if s is None else 1 << min(numbers[s], 63) for s in scripts], np.uint64)
    found = np.bitwise_or.reduceat(bits[places], starts)
    return (found & (found - (found > 0).astype(np.uint64))) != 0


def _codes(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
