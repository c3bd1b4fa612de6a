"""All texts of a large set at once: which characters they have, and which lines deserve a closer look."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocrtrain.data.strings import Strings
from ocrtrain.text import Charset, Writing
from ocrtrain.text.direction import runs_right_to_left
from ocrtrain.text.normalization import is_normal
from ocrtrain.text.scripts import script_of

_LINES = 8192
_CODES = 0x110000


def symbols_of(texts: Sequence[str], writing: Writing) -> set[str]:
    """Collect the characters that `texts`, each of one line, show where they are written so."""
    there = np.zeros(_CODES, np.bool_)
    for start, _, block, codes in _blocks(texts):
        if not _turns(block, writing) and is_normal(block, writing.normalization):
            there[codes] = True
            continue
        # One by one: with the end of one text, the beginning of the next might compose.
        for text in texts[start : start + _LINES]:
            there[_codes(writing.shown(text))] = True
    return {chr(code) for code in np.flatnonzero(there)}


def suspects(
    texts: Sequence[str],
    widths: NDArray[np.float32],
    charset: Charset,
    frames: Callable[[NDArray[np.float32]], NDArray[np.int64]],
) -> NDArray[np.int64]:
    """Number the lines in which `inspect` might find something; it need not look at any other.

    A line is passed over if it is in the normal form, stands in the order of its image, has only characters
    of the charset, letters of one script and no control characters, no space at its ends nor two in a row,
    and fits its frames.
    """
    writing = charset.writing
    # One table of all code points says whether a character is odd by itself.
    odd = np.ones(_CODES, np.bool_)
    odd[[ord(symbol) for symbol in charset.symbols]] = False
    for low, high in ((0x00, 0x20), (0x7F, 0xA0), (0x2028, 0x202A)):
        odd[low:high] = True
    odd[[0xFEFF, 0xFFFD]] = True
    spaces = np.zeros(_CODES, np.bool_)
    spaces[[code for code in range(0x3001) if chr(code).isspace()]] = True
    found = [np.empty(0, np.int64)]
    for start, ends, block, codes in _blocks(texts):
        lengths = np.diff(ends, prepend=0)
        flags = lengths + _repeats(codes, ends, lengths) > frames(widths[start : start + len(ends)])
        flags |= lengths == 0
        space, bad = spaces[codes], odd[codes]
        # Across the border of two texts this marks one that is marked anyway, for the space at its end.
        bad[1:] |= space[1:] & space[:-1]
        full = np.flatnonzero(lengths)
        flags[full] |= space[ends[full] - 1] | space[ends[full] - lengths[full]]
        flags[np.searchsorted(ends, np.flatnonzero(bad), side="right")] = True
        if not block.isascii():
            flags[full] |= _mixes_scripts(codes, (ends - lengths)[full])
        turns, normal = _turns(block, writing), is_normal(block, writing.normalization)
        if turns or not normal:
            few = texts[start : start + len(ends)]
            flags |= np.array([_turns(t, writing) or not is_normal(t, writing.normalization) for t in few])
        found.append(np.flatnonzero(flags) + start)
    return np.concatenate(found)


def _turns(text: str, writing: Writing) -> bool:
    """Whether some of `text` may stand in another order in its image."""
    return writing.direction == "rtl" or (writing.direction != "none" and runs_right_to_left(text))


def _mixes_scripts(codes: NDArray[Any], starts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell of each line, from `starts` on, whether it has letters of more than one script."""
    used, places = np.unique(codes, return_inverse=True)
    scripts = [script_of(chr(code)) for code in used.tolist()]
    numbers = {script: bit for bit, script in enumerate(sorted({s for s in scripts if s is not None}))}
    if len(numbers) < 2 or not len(starts):
        return np.zeros(len(starts), np.bool_)
    # A bit for each script; beyond 64 of them in some thousand lines, the last bit stands for several.
    bits = np.array([0 if s is None else 1 << min(numbers[s], 63) for s in scripts], np.uint64)
    found = np.bitwise_or.reduceat(bits[places], starts)
    return (found & (found - (found > 0).astype(np.uint64))) != 0


def _repeats(codes: NDArray[Any], ends: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count the characters of each line that are the same as the one before: int64 [lines]."""
    second = np.flatnonzero(codes[1:] == codes[:-1]) + 1
    line = np.searchsorted(ends, second, side="right")
    within = second > (ends - lengths)[line]
    return np.bincount(line[within], minlength=len(ends))


def _blocks(texts: Sequence[str]) -> Iterator[tuple[int, NDArray[np.int64], str, NDArray[Any]]]:
    """Take thousands of texts at a time as one: the first one's number, all ends, the text, its codes."""
    packed = texts if isinstance(texts, Strings) else Strings.of(texts)
    for start in range(0, len(packed), _LINES):
        content, ends = packed.block(start, start + _LINES)
        block = content.tobytes().decode("utf-8", "surrogatepass")
        if len(block) == len(content):
            yield start, ends, block, content
        else:
            # Every byte but those that go on with a character begins one.
            characters = np.concatenate([[0], np.cumsum((content & 0xC0) != 0x80)])
            yield start, characters[ends], block, _codes(block)


def _codes(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
