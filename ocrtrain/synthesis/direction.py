"""Texts that run to the right, to the left, or down: a column is turned to be read as a line."""

from __future__ import annotations

from typing import Literal

from PIL import Image, ImageDraw, ImageFont

# None: as its first letter with a direction has it; "ttb": a column, from top to bottom.
Direction = Literal["ltr", "rtl", "ttb"] | None
Box = tuple[int, int, int, int]


def text_box(font: ImageFont.FreeTypeFont, text: str, direction: Direction = None) -> Box:
    """Measure where the ink of `text` is: left, top, right, bottom, with the baseline at 0.

    A column lies on its side, turned counter-clockwise: its top is at the left, its middle line at 0.
    """
    if direction == "ttb":
        left, top, right, bottom = (round(e) for e in font.getbbox(text, anchor="st", direction="ttb"))
        return top, -right, bottom, -left
    x0, y0, x1, y1 = (round(edge) for edge in font.getbbox(text, anchor="ls", direction=direction))
    return x0, y0, x1, y1


def draw_text(
    font: ImageFont.FreeTypeFont, text: str, box: Box, size: tuple[int, int], at: tuple[int, int],
    direction: Direction = None,
) -> Image.Image:  # fmt: skip
    """Draw the ink of `text` on a new image in mode "L".

    box: the text's `text_box`.
    size: of the image: width, height.
    at: pixel that the upper left corner of the box goes to.
    """
    x0, y0, x1, y1 = box
    ink = Image.new("L", size)
    if direction == "ttb":
        column = Image.new("L", (y1 - y0, x1 - x0))
        ImageDraw.Draw(column).text((y1, -x0), text, 255, font, anchor="st", direction="ttb")
        ink.paste(column.transpose(Image.Transpose.ROTATE_90), at)
    else:
        place = (at[0] - x0, at[1] - y0)
        ImageDraw.Draw(ink).text(place, text, 255, font, anchor="ls", direction=direction)
    return ink
