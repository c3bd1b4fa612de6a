"""Rows of manifests out of the bytes of a file, compiled by Numba: no object for any of them.

Both functions take `block`, uint8 [bytes]: whole lines, of which the last one ends in a line end too.
They fill

names, texts: uint8, as many bytes as the block has: all names one after the other, all texts
lengths: uint32 [2, lines], the bytes of each
sizes: float64 [2, lines], widths and heights, NaN where none is told

and return the number of rows and of bytes in `names` and in `texts`. The number is -1 if there is anything
in the block that they do not understand, be it wrong or merely rare.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import numba
import numpy as np

from ocrtrain.data.formats.manifest.fields_numba import (
    CLOSE,
    COMMA,
    NEWLINE,
    OPEN,
    QUOTE,
    RETURN,
    TAB,
    copy_string,
    copy_text,
    pass_blanks,
    read_key,
    read_number,
    simple_end,
    skip_value,
)

NONE = (-1, 0, 0)


def _compiled(sources):
    """Make both. Numba's cache looks at this file, and at what a function encloses: `sources`."""

    @numba.njit(cache=True, nogil=True)
    def tsv_rows(block, columns, places, names, texts, lengths, sizes):
        """Read lines of `columns` columns: names, texts, widths, heights at `places`, -1 for nowhere."""
        assert sources
        i, row, name_end, text_end = 0, 0, 0, 0
        while i < block.shape[0]:
            width, height = np.nan, np.nan
            for column in range(columns):
                start = i
                if column == places[0] or column == places[1]:
                    if block[i] == QUOTE:
                        return NONE
                    if column == places[0]:
                        begin = name_end
                        name_end, i = copy_text(block, i, names, name_end)
                        lengths[0, row] = name_end - begin
                    else:
                        begin = text_end
                        text_end, i = copy_text(block, i, texts, text_end)
                        lengths[1, row] = text_end - begin
                    if name_end < 0 or text_end < 0:
                        return NONE
                    if block[i] == RETURN and block[i + 1] == NEWLINE:
                        i += 1
                else:
                    while block[i] != TAB and block[i] != NEWLINE:
                        i += 1
                    if column == places[2] or column == places[3]:
                        crlf = block[i] == NEWLINE and i > start and block[i - 1] == RETURN
                        number = read_number(block, start, i - 1 if crlf else i)
                        if number < 0:
                            return NONE
                        if column == places[2]:
                            width = number
                        else:
                            height = number
                if block[i] != (NEWLINE if column == columns - 1 else TAB):
                    return NONE
                i += 1
            sizes[0, row], sizes[1, row] = width, height
            row += 1
        return row, name_end, text_end

    @numba.njit(cache=True, nogil=True)
    def json_rows(block, keys, key_ends, names, texts, lengths, sizes):
        """Read objects, one a line; keys: of names, texts, widths, heights, packed as `Strings` are."""
        assert sources
        i, row, name_end, text_end = 0, 0, 0, 0
        while i < block.shape[0]:
            sizes[0, row], sizes[1, row] = np.nan, np.nan
            seen = 0
            i = pass_blanks(block, i)
            if block[i] != OPEN:
                return NONE
            while block[i] != CLOSE:
                i = pass_blanks(block, i + 1)
                which, i = read_key(block, i, keys, key_ends)
                if i < 0 or seen >> which & 1:
                    return NONE
                if which == 0:
                    begin = name_end
                    name_end, i = copy_string(block, i, names, name_end)
                    lengths[0, row] = name_end - begin
                elif which == 1:
                    begin = text_end
                    text_end, i = copy_string(block, i, texts, text_end)
                    lengths[1, row] = text_end - begin
                elif which < 4:
                    end = simple_end(block, i)
                    null = block[i] == 0x6E  # then it is `null`, or refused
                    number = np.nan if null else read_number(block, i, end)
                    if end < 0 or number < 0:
                        return NONE
                    sizes[which - 2, row] = number
                    i = end
                else:
                    i = skip_value(block, i)
                if i < 0:
                    return NONE
                if which < 4:
                    seen |= 1 << which
                i = pass_blanks(block, i)
                if block[i] != COMMA and block[i] != CLOSE:
                    return NONE
            i = pass_blanks(block, i + 1)
            if block[i] != NEWLINE or seen & 3 != 3:
                return NONE
            i += 1
            row += 1
        return row, name_end, text_end

    return tsv_rows, json_rows


def _sources() -> str:
    """A hash of the files that are compiled into one function."""
    files = (Path(__file__).with_name(f"{name}_numba.py") for name in ("fields", "rows"))
    return sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


tsv_rows, json_rows = _compiled(_sources())
