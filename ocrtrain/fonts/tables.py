"""The tables of a font file, by fontTools."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fontTools.ttLib import TTFont

# It warns of bytes behind the names of glyphs, which many fonts have and which mean nothing.
_TABLE_OF_NAMES = "fontTools.ttLib.tables._p_o_s_t"


def open_tables(path: str, index: int) -> TTFont:
    """Open a face to look into its tables, each read when asked for; raises whatever fontTools does."""
    from fontTools.ttLib import TTFont  # with what is remembered of fonts, few runs need it

    logging.getLogger(_TABLE_OF_NAMES).setLevel(logging.ERROR)
    return TTFont(path, fontNumber=index, lazy=True)
