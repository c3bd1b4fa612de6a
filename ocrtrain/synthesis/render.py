"""Layout of a text in a line of given height, and the picture of its ink."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ocrtrain.synthesis.typeface import Letters, Typeset

# Long lines are turned less: their ends rise by this share of the height at most.
_RISE = 0.35
# The middle of the capitals, in ems above the baseline: it goes to the middle of the line, whatever letters
# the text has. Were it the middle of the ink, "cos" and "COS" would look alike.
_MIDDLE = 0.36


class Placement(NamedTuple):
    """One line's size, place and turn, as they were drawn.

    size: pixels per em.
    degrees: counter-clockwise; a long line is turned less.
    shift: down from the middle, in pixels, as far as there is space.
    left, right: margins in pixels.
    room: what shall be above and below the ink, in pixels, which is made to fill the rest: a line cut out
        along its ink. None for one whose capitals are in the middle.
    spacing, word_spacing, pitch: those of `Typeface.typeset`, in ems.
    stretch: width of the letters, of the font's own.
    slant: columns per row that letters lean to the right.
    """

    size: int
    degrees: float = 0.0
    shift: float = 0.0
    left: float = 0.0
    right: float = 0.0
    room: tuple[float, float] | None = None
    spacing: float = 0.0
    word_spacing: float = 0.0
    pitch: float = 0.0
    stretch: float = 1.0
    slant: float = 0.0


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the ink of a text goes on a line of `width` x `height` pixels.

    `letters.box` is the ink in the font's own pixels; its middle goes to (`x`, `y`), made `stretch` times as
    wide, leaning to the right by `slant` columns per row, turned by `angle` radians (counter-clockwise) and
    scaled by `scale`. It covers the columns `x` - `half_width` ... `x` + `half_width`.
    """

    text: str
    letters: Typeset
    scale: float
    stretch: float
    slant: float
    angle: float
    x: float
    y: float
    half_width: float
    width: int
    height: int


def lay_out(text: str, face: Letters, placement: Placement, height: int, width: int | None) -> Layout:
    """Place `text` on a line so that all of its ink is inside, making it smaller where that is needed.

    face: the font, open at the placement's size.
    height, width: of the line, in pixels; None for as wide as the text and its margins are. With a fixed
        width, the margins say how the space that is left is shared out.
    """
    _, degrees, shift, left, right, room, spacing, word_spacing, pitch, stretch, slant = placement
    letters = face.typeset(text, spacing, word_spacing, pitch)
    x0, y0, x1, y1 = letters.box
    ink_height = max(y1 - y0, 1)
    ink_width = stretch * max(x1 - x0, 1) + abs(slant) * ink_height
    steepest = math.asin(min(1.0, _RISE * height / ink_width))
    angle = max(-steepest, min(steepest, math.radians(degrees)))
    cos, sin = math.cos(angle), math.sin(abs(angle))
    turned_width, turned_height = ink_width * cos + ink_height * sin, ink_width * sin + ink_height * cos

    edge = max(1.0, height / 32)
    if room is None:
        scale = min(1.0, (height - 2 * edge) / turned_height)
    else:
        scale = (height - sum(room)) / turned_height
    if width is None:
        width = math.ceil(left + scale * turned_width + right)
    else:
        scale = min(scale, (width - 2 * edge) / turned_width)
        free = width - 2 * edge - scale * turned_width
        left = edge + free * (left / (left + right) if left + right else 0.5)
    half_width, half_height = scale * turned_width / 2, scale * turned_height / 2
    if room is None:
        above = 0.0 if face.direction == "ttb" else _MIDDLE * face.size
        middle = scale * ((y0 + y1) / 2 + above) * cos
        y = min(max(height / 2 + shift + middle, edge + half_height), height - edge - half_height)
    else:
        y = (room[0] + height - room[1]) / 2
    x = left + half_width
    return Layout(text, letters, scale, stretch, slant, angle, x, y, half_width, width, height)


def draw_ink(layout: Layout) -> NDArray[np.uint8]:
    """Draw the ink of a layout: uint8 [height, width], 0 for paper to 255 for ink."""
    line = np.zeros((layout.height, layout.width), np.uint8)
    if layout.angle == layout.slant == 0 and layout.scale == layout.stretch == 1:
        x0, y0, x1, y1 = layout.letters.box
        x, y = round(layout.x - (x1 - x0) / 2) - x0, round(layout.y - (y1 - y0) / 2) - y0
        layout.letters.put(line, x, y)
        return line
    # What is far from the ink stays paper: on a wide line, only the columns around the ink are worked on.
    reach = layout.half_width + 2
    start, end = max(0, math.floor(layout.x - reach)), min(layout.width, math.ceil(layout.x + reach))
    line[:, start:end] = _draw_turned(layout, start, end)
    return line


def _draw_turned(layout: Layout, start: int, end: int) -> NDArray[np.uint8]:
    from ocrtrain.synthesis.effects.kernels import warp

    border = 2  # so that the edges of the ink fade out in the resampling
    ink = layout.letters.draw(border)
    # Where each pixel of the result comes from: the way back, unscaled, turned clockwise, straightened up and
    # made narrow again. It is linear, so the corners tell all; they are the middles of the outermost pixels.
    cos, sin = math.cos(layout.angle) / layout.scale, math.sin(layout.angle) / layout.scale
    slant, stretch = layout.slant, layout.stretch
    x_from_x, x_from_y = (cos + slant * sin) / stretch, (slant * cos - sin) / stretch
    middle_x, middle_y = (ink.shape[1] - 1) / 2, (ink.shape[0] - 1) / 2
    left, right = start + 0.5 - layout.x, end - 0.5 - layout.x
    top, bottom = 0.5 - layout.y, layout.height - 0.5 - layout.y
    corners = ((left, top), (right, top)), ((left, bottom), (right, bottom))
    at_x = [[x_from_x * x + x_from_y * y + middle_x for x, y in row] for row in corners]
    at_y = [[sin * x + cos * y + middle_y for x, y in row] for row in corners]
    line = np.empty((layout.height, end - start, 1), np.uint8)
    none = np.zeros(1, np.uint8)
    places = np.array((at_x, at_y), np.float32)
    warp.displace(ink[..., None], places[0], places[1], none, line)
    return line[..., 0]
