"""A text in a font -> a picture of its ink: placed, turned and made to fit a line of given height."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from PIL import Image, ImageFilter, ImageFont

from ocrtrain.synthesis.direction import Direction, draw_text, text_box

# An open face takes about 200 KB: this many stay open in a process.
_OPEN_FACES = 256
# Long lines are turned less: their ends rise by this share of the height at most.
_RISE = 0.35
# The middle of the capitals, in ems above the baseline: it goes to the middle of the line, whatever letters
# the text has. Were it the middle of the ink, "cos" and "COS" would look alike.
_MIDDLE = 0.36


@lru_cache(maxsize=_OPEN_FACES)
def open_face(path: str, index: int, size: int, shaping: bool) -> ImageFont.FreeTypeFont:
    """Open a face at `size` pixels per em, once per process as long as it is in use."""
    engine = ImageFont.Layout.RAQM if shaping else ImageFont.Layout.BASIC
    return ImageFont.truetype(path, size, index, layout_engine=engine)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the ink of a text goes on a line of `width` x `height` pixels.

    `box` is the ink in the font's own pixels (x0, y0, x1, y1; the baseline is y = 0); its middle goes to
    (`x`, `y`), turned by `angle` radians (counter-clockwise) and scaled by `scale`. It covers the columns
    `x` - `half_width` ... `x` + `half_width`.
    """

    text: str
    face: ImageFont.FreeTypeFont
    box: tuple[int, int, int, int]
    scale: float
    angle: float
    x: float
    y: float
    half_width: float
    width: int
    height: int
    direction: Direction = None


def lay_out(
    text: str,
    face: ImageFont.FreeTypeFont,
    *,
    height: int,
    width: int | None,
    degrees: float,
    shift: float,
    left: float,
    right: float,
    direction: Direction = None,
) -> Layout:
    """Place `text` on a line so that all of its ink is inside, making it smaller where that is needed.

    `shift` in pixels moves it down from the middle, as far as there is room. `left` and `right` are the
    margins in pixels; with a fixed `width` they say how the room that is left is shared out.
    """
    x0, y0, x1, y1 = text_box(face, text, direction)
    ink_width, ink_height = max(x1 - x0, 1), max(y1 - y0, 1)
    steepest = math.asin(min(1.0, _RISE * height / ink_width))
    angle = max(-steepest, min(steepest, math.radians(degrees)))
    cos, sin = math.cos(angle), math.sin(abs(angle))
    turned_width, turned_height = ink_width * cos + ink_height * sin, ink_width * sin + ink_height * cos

    edge = max(1.0, height / 32)
    scale = min(1.0, (height - 2 * edge) / turned_height)
    if width is None:
        width = math.ceil(left + scale * turned_width + right)
    else:
        scale = min(scale, (width - 2 * edge) / turned_width)
        room = width - 2 * edge - scale * turned_width
        left = edge + room * (left / (left + right) if left + right else 0.5)
    above = 0 if direction == "ttb" else _MIDDLE * face.size
    middle = scale * ((y0 + y1) / 2 + above) * cos
    half_width, half_height = scale * turned_width / 2, scale * turned_height / 2
    y = min(max(height / 2 + shift + middle, edge + half_height), height - edge - half_height)
    x, box = left + half_width, (x0, y0, x1, y1)
    return Layout(text, face, box, scale, angle, x, y, half_width, width, height, direction)


def draw_ink(layout: Layout, blur: float = 0.0) -> Image.Image:
    """Draw the ink of a layout, blurred by a Gaussian of deviation `blur` in pixels.

    Returns a picture in mode "L": 0 for paper to 255 for ink.
    """
    # What is far from the ink stays paper: on a wide line, only the columns around the ink are worked on.
    reach = layout.half_width + 4 * blur + 2
    start, end = max(0, math.floor(layout.x - reach)), min(layout.width, math.ceil(layout.x + reach))
    if layout.angle == 0 and layout.scale == 1:
        ink = _draw_straight(layout, start, end)
    else:
        ink = _draw_turned(layout, start, end)
    if blur > 0:
        ink = ink.filter(ImageFilter.GaussianBlur(blur))
    if end - start == layout.width:
        return ink
    line = Image.new("L", (layout.width, layout.height))
    line.paste(ink, (start, 0))
    return line


def _draw_straight(layout: Layout, start: int, end: int) -> Image.Image:
    x0, y0, x1, y1 = layout.box
    at = (round(layout.x - (x1 - x0) / 2) - start, round(layout.y - (y1 - y0) / 2))
    size = (end - start, layout.height)
    return draw_text(layout.face, layout.text, layout.box, size, at, layout.direction)


def _draw_turned(layout: Layout, start: int, end: int) -> Image.Image:
    x0, y0, x1, y1 = layout.box
    border = 2  # so that the edges of the ink fade out in the resampling
    canvas = (x1 - x0 + 2 * border, y1 - y0 + 2 * border)
    ink = draw_text(layout.face, layout.text, layout.box, canvas, (border, border), layout.direction)
    # Pillow asks where each pixel of the result comes from: this is the way back, unscaled, turned clockwise.
    cos, sin = math.cos(layout.angle) / layout.scale, math.sin(layout.angle) / layout.scale
    x = layout.x - start
    from_x = ink.width / 2 - cos * x + sin * layout.y
    from_y = ink.height / 2 - sin * x - cos * layout.y
    way_back = (cos, -sin, from_x, sin, cos, from_y)
    size = (end - start, layout.height)
    return ink.transform(size, Image.Transform.AFFINE, way_back, Image.Resampling.BILINEAR)
