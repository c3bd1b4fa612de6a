"""The parts of a manifest's rows as they stand in the bytes of a file, compiled by Numba.

All functions take `block`, uint8 [bytes], which ends in a line end, and a place in it. None goes past a line
end: that is what keeps them within the block. What they do not understand may be wrong or merely rare.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import numba
import numpy as np

NEWLINE, RETURN, TAB, SPACE, QUOTE, BACKSLASH = 0x0A, 0x0D, 0x09, 0x20, 0x22, 0x5C
COMMA, COLON, DOT, ZERO, OPEN, CLOSE, OPEN_LIST, CLOSE_LIST = 0x2C, 0x3A, 0x2E, 0x30, 0x7B, 0x7D, 0x5B, 0x5D
DIGITS = 15  # so many have one nearest float64, by one division
DEEPEST = 60


@numba.njit
def copy_text(block, i, out, place):
    """Copy what stands before the next control character to `place`; give its ends there and in the block.

    The first of them is -1 if that is blank, or not UTF-8.
    """
    begin = place
    byte = block[i]
    while byte >= SPACE:
        if byte < 0x7F:
            out[place] = byte
            i, place = i + 1, place + 1
        elif byte == 0x7F:
            return -1, i
        else:
            _, size = _character(block, i)
            if size == 0:
                return -1, i
            for k in range(size):
                out[place + k] = block[i + k]
            i, place = i + size, place + size
        byte = block[i]
    return (-1 if _is_blank(out, begin, place) else place), i


@numba.njit
def copy_string(block, i, out, place):
    """Copy a JSON string to `place`; give its ends there and in the block: -1 where `copy_text` has it."""
    if block[i] != QUOTE:
        return -1, -1
    i += 1
    begin = place
    byte = block[i]
    while byte != QUOTE:
        if byte < SPACE or byte == 0x7F:
            return -1, -1
        if byte == BACKSLASH:
            code, i = _escaped(block, i + 1)
            if i < 0:
                return -1, -1
            place = _write(code, out, place)
        elif byte < 0x80:
            out[place] = byte
            i, place = i + 1, place + 1
        else:
            _, size = _character(block, i)
            if size == 0:
                return -1, -1
            for k in range(size):
                out[place + k] = block[i + k]
            i, place = i + size, place + size
        byte = block[i]
    return (-1, -1) if _is_blank(out, begin, place) else (place, i + 1)


@numba.njit
def _is_blank(text, i, end):
    """Whether there is nothing but space in `text` from i to `end`, which is UTF-8."""
    while i < end:
        if text[i] == SPACE:
            i += 1
        elif text[i] < 0x80:
            return False
        else:
            code, size = _character(text, i)
            if not _is_space(code):
                return False
            i += size
    return True


@numba.njit
def _character(block, i):
    """Decode the code point at i, of two bytes or more, and tell its size: 0 if that is no UTF-8."""
    lead = np.int64(block[i])
    if lead < 0xC2 or lead > 0xF4:
        return np.int64(0), 0
    size = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
    code = lead & (0x7F >> size)
    for k in range(1, size):
        byte = np.int64(block[i + k])
        if byte & 0xC0 != 0x80:
            return np.int64(0), 0
        code = code << 6 | byte & 0x3F
    if size == 3 and (code < 0x800 or 0xD800 <= code < 0xE000):
        return np.int64(0), 0
    if size == 4 and (code < 0x10000 or code > 0x10FFFF):
        return np.int64(0), 0
    return code, size


@numba.njit
def _is_space(code):
    """Whether a code point beyond ASCII is what Python takes for space."""
    if code < 0x1680:
        return code == 0x85 or code == 0xA0
    if code < 0x2000 or code > 0x3000:
        return code == 0x1680
    return code <= 0x200A or code in (0x2028, 0x2029, 0x202F, 0x205F, 0x3000)


@numba.njit
def read_number(block, start, end):
    """Read digits with at most one dot among them; NaN for nothing at all, -1 for anything else."""
    if start == end:
        return np.nan
    value, divisor = np.int64(0), np.int64(0)
    if end - start > DIGITS or block[start] == DOT or block[end - 1] == DOT:
        return -1.0
    for i in range(start, end):
        digit = np.int64(block[i]) - ZERO
        if block[i] == DOT and divisor == 0:
            divisor = 1
        elif 0 <= digit <= 9:
            value, divisor = value * 10 + digit, divisor * 10
        else:
            return -1.0
    return value / divisor if divisor else np.float64(value)


@numba.njit
def pass_blanks(block, i):
    """Pass over what may stand between the parts of a JSON object."""
    while block[i] == SPACE or block[i] == TAB or block[i] == RETURN:
        i += 1
    return i


@numba.njit
def read_key(block, i, keys, key_ends):
    """Read a key and the colon behind it: which of `keys` it is, their number if none, and where it ends."""
    if block[i] != QUOTE:
        return 0, -1
    start = i + 1
    i = start
    while block[i] != QUOTE:
        if block[i] < SPACE or block[i] == BACKSLASH:
            return 0, -1
        i += 1
    which, begin = 0, 0
    for end in key_ends:
        if i - start == end - begin:
            k = 0
            while k < i - start and keys[begin + k] == block[start + k]:
                k += 1
            if k == i - start:
                break
        which, begin = which + 1, end
    i = pass_blanks(block, i + 1)
    return (which, pass_blanks(block, i + 1)) if block[i] == COLON else (0, -1)


@numba.njit
def _escaped(block, i):
    """Read what stands behind a backslash: the code point and where it ends, -1 for controls and mistakes."""
    byte = block[i]
    if byte in (QUOTE, BACKSLASH, 0x2F):
        return np.int64(byte), i + 1
    if byte != 0x75:
        return np.int64(0), -1
    code = _hexadecimal(block, i + 1)
    i += 5
    if 0xD800 <= code < 0xDC00 and block[i] == BACKSLASH and block[i + 1] == 0x75:
        second = _hexadecimal(block, i + 2)
        if 0xDC00 <= second < 0xE000:
            return 0x10000 + ((code & 0x3FF) << 10) + (second & 0x3FF), i + 6
    if code < SPACE or code == 0x7F or 0xD800 <= code < 0xE000:
        return np.int64(0), -1
    return code, i


@numba.njit
def _hexadecimal(block, start):
    """Read four digits; -1 if they are none."""
    code = np.int64(0)
    for i in range(start, start + 4):
        byte = np.int64(block[i])
        if 0x30 <= byte <= 0x39:
            digit = byte - 0x30
        elif 0x41 <= byte <= 0x46 or 0x61 <= byte <= 0x66:
            digit = (byte | 0x20) - 0x57
        else:
            return np.int64(-1)
        code = code << 4 | digit
    return code


@numba.njit
def _write(code, out, place):
    """Write a code point as UTF-8, and give the place behind it."""
    if code < 0x80:
        out[place] = code
        return place + 1
    size = 2 if code < 0x800 else 3 if code < 0x10000 else 4
    for k in range(size - 1, 0, -1):
        out[place + k] = 0x80 | code & 0x3F
        code >>= 6
    out[place] = (0xF00 >> size) & 0xFF | code
    return place + size


@numba.njit
def simple_end(block, i):
    """Give the end of a number or of true, false or null; -1 if there is none of these."""
    for word in (b"true", b"false", b"null"):
        k = 0
        while k < len(word) and block[i + k] == word[k]:
            k += 1
        if k == len(word):
            return i + k
    return _number_end(block, i)


@numba.njit
def _number_end(block, i):
    """Give the end of a number as JSON has them; -1 if there is none, or too long a one."""
    start = i
    if block[i] == 0x2D:
        i += 1
    first = i
    while 0x30 <= block[i] <= 0x39:
        i += 1
    if i == first or (block[first] == ZERO and i > first + 1):
        return -1
    if block[i] == DOT:
        i += 1
        first = i
        while 0x30 <= block[i] <= 0x39:
            i += 1
        if i == first:
            return -1
    if block[i] | 0x20 == 0x65:
        i += 1
        if block[i] == 0x2B or block[i] == 0x2D:
            i += 1
        first = i
        while 0x30 <= block[i] <= 0x39:
            i += 1
        if i == first:
            return -1
    return i if i - start < 300 else -1


@numba.njit
def skip_value(block, i):
    """Give the end of any JSON value; -1 if there is none, or too deep a one."""
    depth, objects = 0, np.int64(0)  # a bit for each that is open: 1 for an object, 0 for a list
    while True:
        byte = block[i]
        if byte in (OPEN, OPEN_LIST):
            if depth == DEEPEST:
                return -1
            depth, objects = depth + 1, objects << 1 | int(byte == OPEN)
            i = pass_blanks(block, i + 1)
            if block[i] != (CLOSE if byte == OPEN else CLOSE_LIST):
                if byte == OPEN:
                    i = _any_key(block, i)
                    if i < 0:
                        return -1
                continue
        else:
            i = _string_end(block, i) if byte == QUOTE else simple_end(block, i)
            if i < 0:
                return -1
        while True:  # behind a value, or at the end of an empty object or list
            if depth == 0:
                return i
            i = pass_blanks(block, i)
            if block[i] == (CLOSE if objects & 1 else CLOSE_LIST):
                depth, objects = depth - 1, objects >> 1
                i += 1
                continue
            if block[i] != COMMA:
                return -1
            i = pass_blanks(block, i + 1)
            if objects & 1:
                i = _any_key(block, i)
                if i < 0:
                    return -1
            break


@numba.njit
def _any_key(block, i):
    """Give the place of the value behind a key; -1 if there is none."""
    if block[i] != QUOTE:
        return -1
    i = _string_end(block, i)
    if i < 0:
        return -1
    i = pass_blanks(block, i)
    return pass_blanks(block, i + 1) if block[i] == COLON else -1


@numba.njit
def _string_end(block, i):
    """Give the end of a JSON string; -1 if there is none, or one that is no UTF-8."""
    i += 1
    while block[i] != QUOTE:
        if block[i] < SPACE:
            return -1
        if block[i] == BACKSLASH:
            i += 1
            if block[i] == 0x75:
                if _hexadecimal(block, i + 1) < 0:
                    return -1
                i += 4
            elif block[i] not in (QUOTE, BACKSLASH, 0x2F, 0x62, 0x66, 0x6E, 0x72, 0x74):
                return -1
            i += 1
        elif block[i] < 0x80:
            i += 1
        else:
            _, size = _character(block, i)
            if size == 0:
                return -1
            i += size
    return i + 1
