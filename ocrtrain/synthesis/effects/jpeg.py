"""JPEG's losses without a JPEG file.

Writing and reading one with Pillow takes nine times as long for a grey line of 40 x 200 pixels (0.28 ms, not
0.03). Drawing a line of synthesis=scan, with all that it takes, would take 15% longer, one of photo 12%.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ocrtrain.synthesis.effects.effect import Picture

# ITU-T T.81, tables K.1 and K.2: what libjpeg scales by the quality.
_BRIGHTNESS = """
    16 11 10 16  24  40  51  61   12 12 14 19  26  58  60  55   14 13 16 24  40  57  69  56
    14 17 22 29  51  87  80  62   18 22 37 56  68 109 103  77   24 35 55 64  81 104 113  92
    49 64 78 87 103 121 120 101   72 92 95 98 112 100 103  99
"""
_COLOUR = """
    17 18 24 47 99 99 99 99   18 21 26 66 99 99 99 99   24 26 56 99 99 99 99 99   47 66 99 99 99 99 99 99
    99 99 99 99 99 99 99 99   99 99 99 99 99 99 99 99   99 99 99 99 99 99 99 99   99 99 99 99 99 99 99 99
"""
# From RGB to brightness and two differences (JFIF), and back.
_TO_YCC = np.array(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32
)
_TO_RGB = np.array([[1, 0, 1.402], [1, -0.344136, -0.714136], [1, 1.772, 0]], np.float32)
_MIDDLE = np.array([0, 128, 128], np.float32)


def compressed(picture: Picture, quality: int) -> Picture:
    """Give `picture` as it comes back from a JPEG file of that quality, 1 to 100, colours at full size."""
    from ocrtrain.synthesis.effects.kernels import jpeg

    if picture.ndim == 2:
        plane = picture.astype(np.float32)
        jpeg.quantise_blocks(plane, _cosines(), _steps(_BRIGHTNESS, quality), plane)
        return np.rint(plane).astype(np.uint8)
    planes = np.ascontiguousarray(np.rint(picture @ _TO_YCC.T + _MIDDLE).transpose(2, 0, 1))
    for plane, table in zip(planes, (_BRIGHTNESS, _COLOUR, _COLOUR), strict=True):
        jpeg.quantise_blocks(plane, _cosines(), _steps(table, quality), plane)
    colours = (np.rint(planes).transpose(1, 2, 0) - _MIDDLE) @ _TO_RGB.T
    return np.rint(colours).clip(0, 255).astype(np.uint8)


@cache
def _steps(table: str, quality: int) -> NDArray[np.float32]:
    """Scale a table as libjpeg does."""
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    steps = [min(max((int(step) * percent + 50) // 100, 1), 255) for step in table.split()]
    return np.array(steps, np.float32).reshape(8, 8)


@cache
def _cosines() -> NDArray[np.float32]:
    rows = [[math.cos((2 * x + 1) * k * math.pi / 16) / 2 for x in range(8)] for k in range(8)]
    rows[0] = [math.sqrt(1 / 8)] * 8
    return np.array(rows, np.float32)
