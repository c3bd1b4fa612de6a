"""A sheet of lines with their readings, as a picture."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, features

from ocrtrain.errors import InputError
from ocrtrain.evaluation.alignment import Pair, align, by_grapheme, is_right_to_left
from ocrtrain.files import atomic_path
from ocrtrain.fonts.finding import Font, bundled_folder, find_fonts

WIDTH, MARGIN, LABEL, GAP = 1200, 20, 64, 4
ROOM = WIDTH - 2 * MARGIN - LABEL
LINE_HEIGHT, LEAST_HEIGHT, MAX_SCALE = 48, 24, 2.0
SIZES = (20, 18, 16, 14, 12)
INK, PALE, RED, PINK, RULE = "#111111", "#777777", "#b00020", "#ffd9dc", "#dddddd"


class SheetLine(NamedTuple):
    """image: uint8 [H, W] grey or [H, W, 3] RGB, of any size; its text; what was read."""

    image: NDArray[np.uint8]
    truth: str
    prediction: str


def draw_sheet(lines: Sequence[SheetLine | tuple[NDArray[np.uint8], str, str]], path: str | Path) -> None:
    """Draw each line's image, its truth and its reading beneath, wrong characters in red, as a PNG.

    A red bar in one text stands where only the other has something. Long lines are scaled down to fit, and
    folded where they would become too small to read. DejaVu Sans draws the texts; one with characters that
    it lacks is drawn in the font of the system that lacks the fewest. A text that mixes writing directions is
    coloured as a whole, since its characters do not stand in the order of the text. Raises `InputError`
    where `path` cannot be written.
    """
    all_pairs = [by_grapheme(align(truth, prediction)) for _, truth, prediction in lines]
    fonts = _fonts_for(_drawable("".join(text for _, *both in lines for text in both)))
    blocks = []
    for (image, *_), pairs in zip(lines, all_pairs, strict=True):
        pairs = [Pair(_drawable(truth), _drawable(read)) for truth, read in pairs]
        font = _best_font(["".join(side) for side in zip(*pairs, strict=True)], fonts)
        truth = _text_rows([(pair.truth, pair.truth != pair.read) for pair in pairs], font)
        read = _text_rows([(pair.read, pair.truth != pair.read) for pair in pairs], font)
        strips = _picture(image, rightward=not is_right_to_left("".join(pair.truth for pair in pairs)))
        blocks.append(_block({"": strips, "truth": truth, "read": read}))
    sheet = Image.new("RGB", (WIDTH, MARGIN + max(MARGIN, sum(block.height for block in blocks))), "white")
    top = MARGIN
    for block in blocks:
        sheet.paste(block, (0, top))
        top += block.height
    with atomic_path(path) as temporary:
        sheet.save(temporary, format="PNG")


def _block(parts: dict[str, list[Image.Image]]) -> Image.Image:
    """Put labelled rows one below the other, with a rule beneath."""
    height = sum(row.height + GAP for rows in parts.values() for row in rows) + MARGIN
    block = Image.new("RGB", (WIDTH, height), "white")
    draw = ImageDraw.Draw(block)
    top = 0
    for label, rows in parts.items():
        middle = top + rows[0].height // 2
        draw.text((MARGIN, middle), label, fill=PALE, font=_open_font(_dejavu(), 0, 14), anchor="lm")
        for row in rows:
            block.paste(row, (MARGIN + LABEL, top))
            top += row.height + GAP
    draw.line([(MARGIN, height - MARGIN // 2), (WIDTH - MARGIN, height - MARGIN // 2)], fill=RULE)
    return block


def _picture(image: NDArray[np.uint8], rightward: bool) -> list[Image.Image]:
    picture = Image.fromarray(np.ascontiguousarray(image)).convert("RGB")
    scale = min(LINE_HEIGHT / picture.height, ROOM / picture.width, MAX_SCALE)
    scale = max(scale, min(LEAST_HEIGHT / picture.height, 1.0))
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    picture = picture.resize(size, Image.Resampling.LANCZOS)
    return _fold(picture, range(picture.width + 1), rightward)


def _text_rows(characters: Sequence[tuple[str, bool]], font: ImageFont.FreeTypeFont) -> list[Image.Image]:
    """Draw the (character, whether it is wrong) of one side of an alignment; a wrong "" becomes a bar."""
    text = "".join(character for character, _ in characters)
    rightward = not is_right_to_left(text)
    if not rightward and any(unicodedata.bidirectional(c) in ("L", "EN", "AN") for c in text):
        characters = [(text, any(wrong for _, wrong in characters))]

    ends, end = [0.0], 0
    for character, _ in characters:
        end += len(character)
        # A joiner after the cut keeps the letter before it in the form that it has within its word.
        joiner = "" if rightward or end == len(text) else "\u200d"
        ends.append(font.getlength(text[:end] + joiner))
    width, height = max(2, round(ends[-1]) + 2), round(1.5 * font.size)
    ink = Image.new("L", (width, height), 0)
    direction = ("ltr" if rightward else "rtl") if features.check("raqm") else None
    baseline = round(1.15 * font.size)
    ImageDraw.Draw(ink).text((0, baseline), text, fill=255, font=font, anchor="ls", direction=direction)

    row, colour = Image.new("RGB", ink.size, "white"), Image.new("RGB", ink.size, INK)
    bars = []
    for (character, wrong), (before, after) in zip(characters, pairwise(ends), strict=True):
        left, right = (before, after) if rightward else (width - after, width - before)
        box = (round(left), 0, round(right), height)
        if wrong and character:
            row.paste(PINK, box)
            colour.paste(RED, box)
        elif wrong:
            bars.append(min(max(box[0], 0), width - 2))
    row.paste(colour, mask=ink)
    draw = ImageDraw.Draw(row)
    for x in bars:
        draw.rectangle((x, 2, x + 1, height - 3), fill=RED)
    return _fold(row, [*(round(end) for end in ends[:-1]), width], rightward)


def _fold(row: Image.Image, cuts: Sequence[int], rightward: bool) -> list[Image.Image]:
    """Cut a row at some of `cuts`, pixels from where it begins, into rows that fit the sheet."""
    rows = []
    start = 0
    while start < row.width:
        end = max((cut for cut in cuts if start < cut <= start + ROOM), default=min(start + ROOM, row.width))
        left, right = (start, end) if rightward else (row.width - end, row.width - start)
        rows.append(row.crop((left, 0, right, row.height)))
        start = end
    return rows


def _drawable(text: str) -> str:
    """Replace characters that would break the row, one by one, so that positions stay."""
    return "".join("\ufffd" if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") else c for c in text)


def _fonts_for(text: str) -> list[Font]:
    """List DejaVu Sans and, if it lacks any character of `text`, whatever else is there."""
    characters = frozenset(c for c in text if not c.isspace())
    shaping = bool(features.check("raqm"))
    fonts: list[Font] = []
    with suppress(InputError):
        fonts += find_fonts(characters, [_dejavu()], shaping=shaping)
    if not fonts or fonts[0].characters < characters:
        with suppress(InputError):
            fonts += find_fonts(characters, ["bundled", "system"], shaping=shaping)
    return fonts


def _best_font(texts: Sequence[str], fonts: Sequence[Font]) -> ImageFont.FreeTypeFont:
    """Choose the font that draws most of the characters, the first of equals, as large as can be."""
    best = max(fonts, key=lambda font: len(font.characters.intersection("".join(texts))), default=None)
    file, index = (best.path, best.index) if best else (_dejavu(), 0)
    sizes = [_open_font(file, index, size) for size in SIZES]
    fitting = (font for font in sizes if all(font.getlength(text) <= ROOM for text in texts))
    return next(fitting, sizes[-1])


@lru_cache(maxsize=64)
def _open_font(file: str, index: int, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(file, size, index)


def _dejavu() -> str:
    return str((bundled_folder() or Path()) / "DejaVuSans.ttf")
