"""Scripts whose letters join, stack or run from right to left: drawn with HarfBuzz, or not at all."""

from __future__ import annotations

import unicodedata

from PIL import features

from ocrtrain.errors import InputError
from ocrtrain.text import Charset


def needs_shaping(charset: Charset) -> bool:
    """Tell whether placing one letter after the other would draw some text of `charset` wrong."""
    return any(
        unicodedata.category(symbol) in ("Mn", "Mc", "Me", "Cf")
        or unicodedata.bidirectional(symbol) in ("R", "AL")
        for symbol in charset.symbols
    )


def require_shaping() -> None:
    """Raise `InputError` if Pillow cannot shape here, which depends on the system's having FriBiDi."""
    if not features.check("raqm"):
        raise InputError(
            "synthesis.charset",
            "has marks, or letters that join or run from right to left, and Pillow finds no FriBiDi here",
            "install it (Debian: apt install libfribidi0; macOS: brew install fribidi), or drop them.",
        )
