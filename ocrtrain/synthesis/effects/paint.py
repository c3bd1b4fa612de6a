"""Colours of ink and paper, and a picture painted in them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ocrtrain.synthesis.hashed_random import HashedRandom

Colour = tuple[int, ...]

_TRIES = 8


def brightness(colour: Colour) -> float:
    """Weigh a colour as the eye does, 0 to 255 (the luma of ITU-R BT.601); a grey is its own brightness."""
    if len(colour) == 1:
        return float(colour[0])
    red, green, blue = colour
    return 0.299 * red + 0.587 * green + 0.114 * blue


def draw_colours(rng: HashedRandom, channels: int, contrast: float) -> tuple[Colour, Colour]:
    """Draw paper and ink whose brightness differs by `contrast` (of 1, up to 0.5) at least.

    Uses up 9 numbers at most.
    """
    paper = rng.bytes()[:channels]
    light = brightness(paper)
    for _ in range(_TRIES):
        ink = rng.bytes()[:channels]
        if abs(brightness(ink) - light) >= 255 * contrast:
            return paper, ink
    return paper, ((0,) if light >= 127.5 else (255,)) * channels


def paint(ink: NDArray[np.uint8], paper_colour: Colour, ink_colour: Colour) -> NDArray[np.uint8]:
    """Colour a picture of ink [H, W], 0 for none to 255: [H, W] for grey colours, [H, W, 3] for RGB ones."""
    from ocrtrain.synthesis.effects.kernels import filters

    paper = np.array(paper_colour, np.float32)
    steps = (np.array(ink_colour, np.float32) - paper) / np.float32(255)
    picture = np.empty((*ink.shape, len(paper_colour)), np.uint8)
    filters.paint(np.ascontiguousarray(ink), paper + np.float32(0.5), steps, picture)
    return picture if picture.shape[2] == 3 else picture[..., 0]
