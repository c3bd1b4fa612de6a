"""A sheet of drawn lines with their labels, to judge settings by eye before any training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, features

from ocrtrain.files import atomic_path
from ocrtrain.fonts.finding import Font, find_fonts
from ocrtrain.line import Line

ROWS = COLUMNS = 8

# In pixels. Lines are shown at their own size, unless they are wider than a cell may be.
_NARROWEST, _WIDEST, _GAP, _LABEL = 120, 480, 8, 14
_SHEET = 2100  # a sheet that is wider is unreadable on a screen: fewer columns then
_PAPER, _INK = "#f4f1ea", "#333333"


def draw_preview(lines: Sequence[Line], path: Path) -> None:
    """Draw `lines` in rows of up to `COLUMNS`, the text of each below it, as a PNG.

    Columns are as wide as nine in ten of the lines need. Raises `InputError` where `path` cannot be written.
    """
    widths = sorted(line.image.shape[1] for line in lines)
    width = min(max(widths[len(widths) * 9 // 10 - 1], _NARROWEST), _WIDEST)
    height = max(line.image.shape[0] for line in lines)
    cell = (width + _GAP, height + 2 * _LABEL + _GAP)
    columns = min(COLUMNS, (_SHEET - _GAP) // cell[0])
    rows = -(-len(lines) // columns)
    sheet = Image.new("RGB", (columns * cell[0] + _GAP, rows * cell[1] + _GAP), _PAPER)
    draw = ImageDraw.Draw(sheet)
    fonts = find_fonts(
        frozenset("".join(line.text for line in lines)) - {" "}, ["bundled", "system"], (), _raqm()
    )
    for i, line in enumerate(lines):
        left, top = _GAP + i % columns * cell[0], _GAP + i // columns * cell[1]
        picture = Image.fromarray(line.image).convert("RGB")
        if picture.width > width:
            size = (width, max(1, round(picture.height * width / picture.width)))
            picture = picture.resize(size, Image.Resampling.LANCZOS)
        sheet.paste(picture, (left, top))
        font = _label_font(line.text, fonts)
        text = line.text
        while len(text) > 1 and font.getlength(text) > width:
            text = text[: -max(2, len(text) // 20)] + "…"
        draw.text((left, top + height + _LABEL), text, _INK, font, anchor="ls")
    with atomic_path(path) as temporary:
        sheet.save(temporary, format="PNG")


def _label_font(text: str, fonts: Sequence[Font]) -> ImageFont.FreeTypeFont:
    """Choose DejaVu Sans if it has the text, else the font that has most of it."""
    best = max(
        fonts,
        key=lambda font: (len(font.characters.intersection(text)), font.name.startswith("DejaVu Sans Book")),
    )
    return ImageFont.truetype(best.path, _LABEL - 2, best.index)


def _raqm() -> bool:
    return bool(features.check("raqm"))
