"""All texts of a large set at once: which characters they have, and which lines deserve a closer look."""

from __future__ import annotations

import unicodedata
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ocrtrain.cores import in_order
from ocrtrain.data.lines.strings import Strings
from ocrtrain.text import Charset, Writing
from ocrtrain.text.direction import runs_right_to_left
from ocrtrain.text.normalization import Normalization, is_normal
from ocrtrain.text.scripts import script_of

_CHUNK = 2**15  # texts that a thread takes at once
_LINES = 8192  # texts that are brought into the normal form as one, if they may be
_ODD_RANGES = ((0x00, 0x20), (0x7F, 0xA0), (0x2028, 0x202A), (0xFEFF, 0xFF00), (0xFFFD, 0xFFFE))


def printed_bytes(texts: Sequence[str]) -> NDArray[np.int64]:
    """Number the texts that look like Python's b'...', int64 [found], without an object for each text."""
    packed = _packed(texts)
    ends = packed.ends.astype(np.int64)
    starts = np.concatenate([np.zeros(1, np.int64), ends[:-1]])
    long = np.flatnonzero(ends - starts >= 3)
    first, mark, last = (packed.content[place[long]] for place in (starts, starts + 1, ends - 1))
    return long[(first == ord("b")) & ((mark == ord("'")) | (mark == ord('"'))) & (last == mark)]


def symbols_of(texts: Sequence[str], writing: Writing) -> set[str]:
    """Collect the characters that `texts`, each of one line, show where they are written so."""
    packed = _packed(texts)
    there, _ = _marked(packed, np.empty(0, np.uint16))
    kinds = _kinds(np.flatnonzero(there), writing)
    if kinds.any():
        there, closer = _marked(packed, kinds)
        for numbers, block in _chosen(packed, closer):
            if not _turns(block, writing) and is_normal(block, writing.normalization):
                there[_codes(block)] = True
                continue
            # One by one: with the end of one text, the beginning of the next might compose.
            for number in numbers:
                there[_codes(writing.shown(packed[number]))] = True
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
    from ocrtrain.data.checks.screening_numba import CODES, MIXED, ODD, SPACE, SPACED, TURNS, UNSURE, screen

    packed, symbols = _packed(texts), charset.symbols
    kinds = _kinds(map(ord, symbols), charset.writing)
    scripts: dict[str | None, int] = {None: 0}
    for symbol in symbols:
        kinds[ord(symbol)] |= scripts.setdefault(script_of(symbol), len(scripts)) << 8
    kinds[[ord(symbol) for symbol in symbols if symbol.isspace()]] |= SPACE
    # What the charset lacks is odd, and needs no other kind.
    odd = np.ones(CODES, np.bool_)
    odd[[ord(symbol) for symbol in symbols]] = False
    for low, high in _ODD_RANGES:
        odd[low:high] = True
    kinds[odd] |= ODD

    flags, unsure = np.zeros(len(packed), np.bool_), np.zeros(len(packed), np.bool_)

    def look(start: int) -> None:
        content, ends = packed.block(start, start + _CHUNK)
        found, needed = np.empty(len(ends), np.uint8), np.empty(len(ends), np.int64)
        screen(content, ends, kinds, found, needed)
        here = slice(start, start + len(ends))
        flags[here] = (found & (ODD | TURNS | MIXED | SPACED) != 0) | (needed > frames(widths[here]))
        unsure[here] = found & UNSURE != 0

    deque(in_order(look, range(0, len(packed), _CHUNK)), maxlen=0)
    form = charset.writing.normalization
    for numbers, block in _chosen(packed, unsure & ~flags):
        if not is_normal(block, form):
            flags[numbers] = [not is_normal(packed[number], form) for number in numbers]
    return np.flatnonzero(flags)


def _kinds(used: Iterable[int], writing: Writing) -> NDArray[np.uint16]:
    """Tell of the code points in use which may turn a text round, or take it out of the normal form."""
    from ocrtrain.data.checks.screening_numba import CODES, TURNS, UNSURE

    kinds = np.zeros(CODES, np.uint16)
    if writing.direction == "rtl":
        kinds[:] = TURNS
    for code in map(int, used):
        if _turns(chr(code), writing):
            kinds[code] |= TURNS
        if not _keeps(chr(code), writing.normalization):
            kinds[code] |= UNSURE
    return kinds


def _turns(text: str, writing: Writing) -> bool:
    """Whether some of `text` may stand in another order in its image."""
    return writing.direction == "rtl" or (writing.direction != "none" and runs_right_to_left(text))


def _keeps(character: str, form: Normalization) -> bool:
    """Whether `character` is in the normal form by itself, and leaves all before and after it as they are."""
    if form == "none" or character.isascii():
        return True
    return (
        is_normal(character, form)
        and not unicodedata.combining(character)
        and (character < "\u0300" or character not in _seconds())
    )


@cache
def _seconds() -> frozenset[str]:
    """The characters that may compose with the one before them."""
    jamo = {chr(code) for low, high in ((0x1161, 0x1176), (0x11A8, 0x11C3)) for code in range(low, high)}
    pairs = (unicodedata.decomposition(chr(code)).split() for code in range(0xC0, 0x20000))
    return frozenset(jamo | {chr(int(pair[1], 16)) for pair in pairs if len(pair) == 2 and pair[0][0] != "<"})


def _marked(packed: Strings, kinds: NDArray[np.uint16]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Mark the code points of all texts that have only such of kind 0, and mark the other texts."""
    from ocrtrain.data.checks.screening_numba import CODES, mark

    there, closer = np.zeros(CODES, np.bool_), np.zeros(len(packed), np.bool_)

    def look(start: int) -> None:
        # All threads write to one table, and nothing but True.
        mark(*packed.block(start, start + _CHUNK), kinds, there, closer[start : start + _CHUNK])

    deque(in_order(look, range(0, len(packed), _CHUNK)), maxlen=0)
    return there, closer


def _chosen(packed: Strings, chosen: NDArray[np.bool_]) -> Iterator[tuple[list[int], str]]:
    """Take the texts that are chosen, thousands at a time: their numbers, and all of them as one."""
    for start in range(0, len(packed), _LINES):
        some = chosen[start : start + _LINES]
        if some.any():
            content, ends = packed.block(start, start + _LINES)
            block = content[np.repeat(some, np.diff(ends, prepend=0))].tobytes()
            yield (np.flatnonzero(some) + start).tolist(), block.decode("utf-8", "surrogatepass")


def _packed(texts: Sequence[str]) -> Strings:
    return texts if isinstance(texts, Strings) else Strings.of(texts)


def _codes(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
