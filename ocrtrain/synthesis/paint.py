"""Ink on paper -> a picture in colour or grey, with noise: by table, in small integers, for speed."""

from __future__ import annotations

import math
from functools import cache
from hashlib import shake_128
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from ocrtrain.synthesis.draws import Draws

Colour = tuple[int, ...]

_NOISE_LENGTH = 1 << 20
_UNIT = 128
_TRIES = 8
_RAMP = np.linspace(0, 1, 256, dtype=np.float32)[:, None]


def brightness(colour: Colour) -> float:
    """Weigh a colour as the eye does, 0 to 255 (the luma of ITU-R BT.601); a grey is its own brightness."""
    if len(colour) == 1:
        return float(colour[0])
    red, green, blue = colour
    return 0.299 * red + 0.587 * green + 0.114 * blue


def draw_colours(draws: Draws, channels: int, contrast: float) -> tuple[Colour, Colour]:
    """Draw paper and ink whose brightness differs by `contrast` (of 1, up to 0.5) at least.

    Uses up 9 numbers at most.
    """
    paper = draws.bytes()[:channels]
    light = brightness(paper)
    for _ in range(_TRIES):
        ink = draws.bytes()[:channels]
        if abs(brightness(ink) - light) >= 255 * contrast:
            return paper, ink
    return paper, ((0,) if light >= 127.5 else (255,)) * channels


def paint(ink: NDArray[np.uint8], paper_colour: Colour, ink_colour: Colour) -> NDArray[np.uint8]:
    """Colour a picture of ink [H, W]: [H, W] for grey colours, [H, W, 4] for RGB ones with a byte to spare.

    Four bytes are looked up as one number, and noise is added in one go; three take several times as long.
    """
    paper = np.array(paper_colour, np.float32)
    shades = _RAMP * (np.array(ink_colour, np.float32) - paper) + (paper + 0.5)
    if len(paper_colour) == 1:
        return shades[:, 0].astype(np.uint8).take(ink)
    table = np.zeros((256, 4), np.uint8)
    table[:, :3] = shades
    return table.view(np.uint32)[:, 0].take(ink).view(np.uint8).reshape(*ink.shape, 4)


def add_noise(image: NDArray[np.uint8], deviation: float, draws: Draws) -> NDArray[np.uint8]:
    """Add Gaussian noise of this standard deviation (in units of 255) to every value; uses up one number.

    The noise is a stretch, from a random place on, of one long random sequence that never changes.
    """
    sequence, size = _noise(), image.size
    start = draws.below(len(sequence))
    stretch = sequence[start : start + size]
    while len(stretch) < size:
        stretch = np.concatenate([stretch, sequence[: size - len(stretch)]])
    # In 16 bits: values of up to 3 * _UNIT times a factor of 40 to 80, then a shift back to units of 255.
    bits = min(7, math.floor(math.log2(80 / max(deviation, 0.01))))
    noisy = stretch.reshape(image.shape) * np.int16(round(deviation * 2.0**bits))
    noisy += np.int16(_UNIT * 2.0**bits / 2)
    noisy >>= bits + int(math.log2(_UNIT))
    noisy += image
    return np.clip(noisy, 0, 255, out=noisy).astype(np.uint8)


def rgb(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Drop the spare byte: [H, W, 4] to [H, W, 3]."""
    dense = np.empty((*image.shape[:2], 3), np.uint8)
    for channel in range(3):  # one by one, in a quarter of the time that NumPy takes for all three
        dense[:, :, channel] = image[:, :, channel]
    return dense


@cache
def _noise() -> NDArray[np.int16]:
    """Draw the sequence: int16, of standard deviation `_UNIT`, from 256 values that are equally likely."""
    normal = NormalDist()
    values = np.array([normal.inv_cdf((i + 0.5) / 256) for i in range(256)])
    steps = np.rint(values / values.std() * _UNIT).astype(np.int16)
    return steps.take(np.frombuffer(shake_128(b"noise").digest(_NOISE_LENGTH), np.uint8))
