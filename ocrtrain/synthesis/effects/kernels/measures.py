"""Measurements of a picture: paper's shade, thresholds, contrast, where ink is.

The arrays are as in `filters`. Sums are of integers, so their order changes nothing.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import numba
import numpy as np

_F = np.float32


@numba.njit(cache=True, nogil=True)
def shades(picture, step_y, step_x, paper):
    """Fill paper, uint8 [C], with the medians of points that far apart; tell whether ink is darker than it.

    Ink is the smaller part, so it lies on that side of the median where the mean does.
    """
    height, width, channels = picture.shape
    counts = np.zeros((channels, 256), np.int32)
    points = 0
    for y in range(0, height, step_y):
        for x in range(0, width, step_x):
            points += 1
            for c in range(channels):
                counts[c, picture[y, x, c]] += 1
    away = 0.0
    for c in range(channels):
        below, total, median = 0, 0, -1
        for level in range(256):
            below += counts[c, level]
            total += level * counts[c, level]
            if median < 0 and below > points // 2:
                median = level
        paper[c] = median
        weight = 1.0 if channels == 1 else (0.299, 0.587, 0.114)[c]
        away += weight * (median * points - total)
    return away >= 0


@numba.njit(cache=True, nogil=True)
def otsu(picture, step):
    """Find the two means of the grey levels that the best threshold parts; of every `step`th row and column.

    picture: uint8 [H, W, 1]. Returns (-1, mean) if there is only one level.
    """
    counts = np.zeros(256, np.int64)
    points, mass = 0, 0
    for y in range(0, picture.shape[0], step):
        for x in range(0, picture.shape[1], step):
            counts[picture[y, x, 0]] += 1
            points += 1
            mass += picture[y, x, 0]
    below, weighed, best = 0, 0, 0.0
    dark, light = -1.0, mass / max(points, 1)
    for level in range(255):
        below += counts[level]
        weighed += level * counts[level]
        above = points - below
        if below == 0 or above == 0:
            continue
        lower, upper = weighed / below, (mass - weighed) / above
        spread = below * above * (upper - lower) ** 2
        if spread > best:
            best, dark, light = spread, lower, upper
    return dark, light


@numba.njit(cache=True, nogil=True)
def contrasts(picture, clean):
    """Measure ink and paper in parts as wide as high, see `chain.contrasts`: float64 [2, n], in grey levels.

    clean, uint8 [H, W], tells them apart: ink is nearer to its darkest shade than to white, paper above 224.
    Every second row is looked at. Parts with less than three pixels of either are left out.
    """
    height, width, channels = picture.shape
    darkest = np.uint8(255)
    for y in range(height):
        for x in range(width):
            darkest = min(darkest, clean[y, x])
    middle = (np.int64(darkest) + 255) // 2
    found = np.empty((2, (width + height - 1) // height))
    parts = 0
    for left in range(0, width, height):
        inked, dark, empty, light, squares = 0, 0, 0, 0, 0
        for y in range(0, height, 2):
            for x in range(left, min(left + height, width)):
                shade = clean[y, x]
                if middle <= shade <= 224:
                    continue
                if channels == 1:
                    grey = np.int64(picture[y, x, 0])
                else:
                    red, green, blue = picture[y, x, 0], picture[y, x, 1], picture[y, x, 2]
                    grey = (77 * np.int64(red) + 150 * np.int64(green) + 29 * np.int64(blue)) >> 8
                if shade < middle:
                    inked += 1
                    dark += grey
                else:
                    empty += 1
                    light += grey
                    squares += grey * grey
        if inked >= 3 and empty >= 3:
            mean = light / empty
            found[0, parts] = mean - dark / inked
            found[1, parts] = np.sqrt(max(squares / empty - mean * mean, 0.0))
            parts += 1
    return found[:, :parts]


@numba.njit(cache=True, nogil=True)
def stands_out(picture, clean, least):
    """Tell whether ink can be read in all parts, and whether it is light on dark; see `chain.Effects`."""
    found = contrasts(picture, clean)
    negative = found[0].sum() < 0
    for part in range(found.shape[1]):
        difference = -found[0, part] if negative else found[0, part]
        if difference < max(found[1, part], 255 * least):
            return False, negative
    return True, negative


@numba.njit(cache=True, nogil=True)
def ink_rows(picture, paper, dark):
    """Find the first row that has ink, and the one after the last; (0, H) if no row has any.

    Ink is what lies more than half as far from paper, uint8 [C], as anything does, on the side of `dark`.
    """
    height, width, channels = picture.shape
    farthest = np.zeros(height, np.int64)
    sign = 1 if dark else -1
    for y in range(height):
        if channels == 1:
            row = picture[y].reshape(-1)
            least, greatest = row[0], row[0]
            for x in range(width):
                least, greatest = min(least, row[x]), max(greatest, row[x])
            farthest[y] = sign * (np.int64(paper[0]) - np.int64(least if dark else greatest))
            continue
        farthest[y] = -(1 << 20)
        for x in range(width):
            red, green, blue = (
                np.int64(paper[0]) - np.int64(picture[y, x, 0]),
                np.int64(paper[1]) - np.int64(picture[y, x, 1]),
                np.int64(paper[2]) - np.int64(picture[y, x, 2]),
            )
            farthest[y] = max(farthest[y], sign * (77 * red + 150 * green + 29 * blue))
    middle = farthest.max() / 2
    top, bottom = -1, 0
    for y in range(height):
        if farthest[y] > middle:
            top, bottom = (y if top < 0 else top), y + 1
    return (0, height) if top < 0 else (top, bottom)
