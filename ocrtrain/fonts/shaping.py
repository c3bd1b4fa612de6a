"""Scripts whose letters join, stack or run from right to left: shaped by libraqm, or not drawn at all."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Any

from PIL import features

from ocrtrain.errors import InputError
from ocrtrain.text import Charset

_DOTTED_CIRCLE = "\u25cc"
# Ignorable by Unicode's DerivedCoreProperties.txt, beside the format characters (category Cf).
_IGNORABLE = ((0x34F, 0x34F), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x3164, 0x3164),
              (0xFE00, 0xFE0F), (0xFFA0, 0xFFA0), (0xE0100, 0xE01EF))  # fmt: skip
# Signs that enclose the digits after them: of category Cf, but with a picture.
_VISIBLE_FORMAT = frozenset(
    "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
)
# Without marks and from left to right, but joining: Hangul's single letters, Mongolian, Phags-pa.
_JOINING = ((0x1100, 0x11FF), (0x1800, 0x18AF), (0xA840, 0xA877), (0xA960, 0xA97F), (0xD7B0, 0xD7FF))


@lru_cache(maxsize=1 << 14)
def is_invisible(symbol: str) -> bool:
    """Tell whether `symbol` has no picture of its own: joiners, variation selectors, direction marks."""
    if unicodedata.category(symbol) == "Cf":
        return symbol not in _VISIBLE_FORMAT
    return any(low <= ord(symbol) <= high for low, high in _IGNORABLE)


@lru_cache(maxsize=1 << 14)
def script_of(symbol: str) -> str:
    """Name the script of a letter or a mark by its Unicode name, "ARABIC"; "" for marks of any script."""
    first = unicodedata.name(symbol, "").partition(" ")[0]
    return "" if first == "COMBINING" else first


@lru_cache(maxsize=1 << 14)
def is_complex(symbol: str) -> bool:
    """Tell whether pictures of letters, one after the other, would show a text with `symbol` wrong."""
    if is_invisible(symbol):
        return False
    return (
        unicodedata.category(symbol) in ("Mn", "Mc", "Me", "Cf")
        or unicodedata.bidirectional(symbol) in ("R", "AL")
        or any(low <= ord(symbol) <= high for low, high in _JOINING)
    )


def needs_shaping(charset: Charset) -> bool:
    """Tell whether placing one letter after the other would draw some text of `charset` wrong."""
    return any(map(is_complex, charset.symbols))


def require_shaping(charset: Charset, direction: str | None = None) -> None:
    """Raise `InputError` if libraqm is needed and Pillow has none here."""
    symbols = [symbol for symbol in charset.symbols if is_complex(symbol)]
    if features.check("raqm") or not (symbols or direction):
        return
    scripts = sorted({script_of(symbol).capitalize() or "combining marks" for symbol in symbols})
    why = f"letters join, stack or run from right to left ({', '.join(scripts)})"
    if not symbols:
        why = "columns need libraqm" if direction == "ttb" else "a direction that is set needs libraqm"
    raise InputError(
        "synthesis.charset" if symbols else f"synthesis.{'vertical' if direction == 'ttb' else 'direction'}",
        f"{why}, and Pillow has no libraqm here: it is in Pillow's wheels, but needs the system's FriBiDi",
        "install that (Debian: apt install libfribidi0; macOS: brew install fribidi;"
        " Windows: fribidi.dll in the PATH), or do without them.",
    )


def visible(text: str) -> str:
    """Drop what has no picture, for a layout that would draw a font's placeholder in its place."""
    return "".join(symbol for symbol in text if not is_invisible(symbol))


@lru_cache(maxsize=1 << 16)
def covers_shaped(path: str, index: int, word: str) -> bool:
    """Tell whether a face has a glyph for all that HarfBuzz makes of `word`.

    Not so if something becomes .notdef, or if a mark without a letter is put on a dotted circle, which would
    be in the picture and not in the text.
    """
    import uharfbuzz

    font = _harfbuzz_font(path, index)
    buffer = uharfbuzz.Buffer()
    buffer.add_str(word)
    buffer.guess_segment_properties()
    uharfbuzz.shape(font, buffer)
    glyphs = [info.codepoint for info in buffer.glyph_infos]
    circle = None if _DOTTED_CIRCLE in word else font.get_nominal_glyph(ord(_DOTTED_CIRCLE))
    return not any(glyph in (0, circle) for glyph in glyphs)


def covers_text(path: str, index: int, text: str) -> bool:
    """Tell the same of a text, word by word: they are shaped apart, and come again in other texts."""
    return all(covers_shaped(path, index, word) for word in text.split())


@lru_cache(maxsize=256)
def _harfbuzz_font(path: str, index: int) -> Any:
    import uharfbuzz

    return uharfbuzz.Font(uharfbuzz.Face(uharfbuzz.Blob.from_file_path(path), index))
