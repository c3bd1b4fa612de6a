"""Random fields, cut out of random places in pictures that never change, so that one costs a look-up.

The pictures come from a hash and from Pillow's integer arithmetic, so they are the same on any machine.
"""

from __future__ import annotations

import math
from functools import cache
from hashlib import shake_128
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ocrtrain.synthesis.hashed_random import HashedRandom

UNIT = 128  # the standard deviation of `white`

_NOISE_LENGTH = 1 << 20
_ROWS, _COLUMNS = 256, 2048
_LONGEST = 128
# Samples to a wave, in the rows that `wave` reads.
_SAMPLES = 64


def white(rng: HashedRandom, size: int) -> NDArray[np.int16]:
    """Give `size` Gaussian numbers with a standard deviation of `UNIT`, int16, not to be written to.

    Uses up one number: where in one long sequence to begin.
    """
    sequence = _noise()
    start = rng.below(len(sequence))
    stretch = sequence[start : start + size]
    while len(stretch) < size:
        stretch = np.concatenate([stretch, sequence[: size - len(stretch)]])
    return stretch


FieldCrop = tuple[NDArray[np.uint8], int, int]


def smooth(rng: HashedRandom, shape: tuple[int, int], wavelength: float) -> NDArray[np.uint8]:
    """Give a random field without edges, uint8 [H, W], every value equally likely; not to be written to.

    See `field_crop`.
    """
    field, top, left = field_crop(rng, shape, wavelength)
    return field[top : top + shape[0], left : left + shape[1]]


def field_crop(rng: HashedRandom, shape: tuple[int, int], wavelength: float) -> FieldCrop:
    """Give a field that is as large as `shape` or larger, and the row and column to begin at.

    `wavelength` in pixels is the size of its patches, from 1 to 128, to the next power of two. Uses up two
    numbers: where in a large field to begin.
    """
    field = _field(1 << round(math.log2(min(max(wavelength, 1.0), _LONGEST))))
    height, width = shape
    top, left = rng.below(max(_ROWS - height, 0) + 1), rng.below(max(_COLUMNS - width, 0) + 1)
    if height > _ROWS:
        field = field.take(np.arange(height), axis=0, mode="wrap")
    if width > _COLUMNS:
        field = field[top : top + height].take(np.arange(width), axis=1, mode="wrap")
        top = 0
    return field, top, left


def wave(rng: HashedRandom, length: int, wavelength: float) -> NDArray[np.float32]:
    """Give a smooth random curve: float32 [length], from -1 to 1, with waves `wavelength` pixels long.

    Uses up two numbers.
    """
    from ocrtrain.synthesis.effects.kernels import fields

    samples = math.ceil(length * _SAMPLES / wavelength) + 2
    field, top, left = field_crop(rng, (1, samples), _SAMPLES)
    curve = np.empty(length, np.float32)
    fields.interpolate(field, top, left, _SAMPLES / wavelength, curve)
    return curve


@cache
def _noise() -> NDArray[np.int16]:
    """Draw the sequence, from 256 values that are equally likely."""
    normal = NormalDist()
    values = np.array([normal.inv_cdf((i + 0.5) / 256) for i in range(256)])
    steps = np.rint(values / values.std() * UNIT).astype(np.int16)
    return steps.take(np.frombuffer(shake_128(b"noise").digest(_NOISE_LENGTH), np.uint8))


@cache
def _field(wavelength: int) -> NDArray[np.uint8]:
    """Draw a field of `_ROWS` x `_COLUMNS` that goes on at its other side where it ends."""
    rows, columns = _ROWS // wavelength, _COLUMNS // wavelength
    digest = shake_128(f"field:{wavelength}".encode()).digest(rows * columns)
    knots = np.frombuffer(digest, np.uint8).reshape(rows, columns)
    if wavelength == 1:
        return knots.copy()  # one that can be written to, as the compiled functions take it
    around = 2  # knots beyond each edge, for the filter to see what comes next
    knots = np.pad(knots, around, mode="wrap")
    size = (knots.shape[1] * wavelength, knots.shape[0] * wavelength)
    picture = np.asarray(Image.fromarray(knots).resize(size, Image.Resampling.BICUBIC))
    edge = around * wavelength
    picture = picture[edge:-edge, edge:-edge]
    # The rank of a value takes its place, so that a threshold says what part of the area lies below it.
    counts = np.bincount(picture.ravel(), minlength=256)
    ranks = (np.cumsum(counts) - counts / 2) / picture.size
    return np.floor(256 * ranks).astype(np.uint8).take(picture)
