"""The inner loops of effects, compiled by Numba: one pass over the pixels instead of NumPy's many.

All take and fill C-contiguous arrays that can be written to. A picture is uint8 [H, W, C], one channel or
three. Nothing here adds up in an order that depends on the machine, so results are the same everywhere.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import numba
import numpy as np

BITS = 8
STEPS = 1 << BITS  # of a pixel: what shifts, and places between pixels, are rounded to

_F = np.float32


@numba.njit(cache=True, nogil=True)
def shift_columns(picture, shifts, paper, out):
    """Move column x down by shifts[x] / STEPS pixels: int32 [W]. paper: uint8 [C], what comes in."""
    height, width, channels = picture.shape
    for y in range(height):
        for x in range(width):
            place = y * STEPS - shifts[x]
            above, weight = place >> BITS, place & (STEPS - 1)
            if above < -1 or above >= height:
                for c in range(channels):
                    out[y, x, c] = paper[c]
                continue
            # Beyond the first and the last row, paper stands in.
            upper, lower = max(above, 0), min(above + 1, height - 1)
            for c in range(channels):
                first = np.int32(picture[upper, x, c] if above >= 0 else paper[c])
                second = np.int32(picture[lower, x, c] if above < height - 1 else paper[c])
                out[y, x, c] = first + (((second - first) * weight + STEPS // 2) >> BITS)


@numba.njit(cache=True, nogil=True)
def displace(picture, at_x, at_y, paper, out):
    """Show at each point the one that at_x and at_y, float32 [rows, columns] each, name for it.

    They are for points evenly spread over `out`, which may be of another size than the picture, corners
    included, and interpolated between these.
    """
    high, wide, channels = picture.shape
    height, width, _ = out.shape
    rows, columns = at_x.shape
    line_x = np.empty(columns, np.int32)
    line_y = np.empty(columns, np.int32)
    for y in range(height):
        place = y * (rows - 1) / max(height - 1, 1)
        row = min(int(place), rows - 2)
        f = _F(place - row)
        for k in range(columns):  # in 64ths of a step, so that what follows can count in whole numbers
            line_x[k] = int((at_x[row, k] + f * (at_x[row + 1, k] - at_x[row, k])) * _F(64 * STEPS))
            line_y[k] = int((at_y[row, k] + f * (at_y[row + 1, k] - at_y[row, k])) * _F(64 * STEPS))
        for k in range(columns - 1):
            start = (k * (width - 1) + columns - 2) // (columns - 1)
            end = ((k + 1) * (width - 1) + columns - 2) // (columns - 1) if k < columns - 2 else width
            length = max((width - 1) / (columns - 1), 1e-6)
            slope_x, slope_y = (line_x[k + 1] - line_x[k]) / length, (line_y[k + 1] - line_y[k]) / length
            for x in range(start, end):
                along = x - k * length
                ix = (line_x[k] + int(along * slope_x) + 32) >> 6
                iy = (line_y[k] + int(along * slope_y) + 32) >> 6
                left, top = ix >> BITS, iy >> BITS
                fx, fy = ix & (STEPS - 1), iy & (STEPS - 1)
                if left < -1 or top < -1 or left >= wide or top >= high:
                    for c in range(channels):
                        out[y, x, c] = paper[c]
                    continue
                inside = left >= 0 and top >= 0 and left < wide - 1 and top < high - 1
                for c in range(channels):
                    if inside:
                        a, b = np.int32(picture[top, left, c]), np.int32(picture[top, left + 1, c])
                        d, e = np.int32(picture[top + 1, left, c]), np.int32(picture[top + 1, left + 1, c])
                    else:
                        a = b = d = e = np.int32(paper[c])
                        if top >= 0:
                            a = np.int32(picture[top, left, c]) if left >= 0 else a
                            b = np.int32(picture[top, left + 1, c]) if left < wide - 1 else b
                        if top < high - 1:
                            d = np.int32(picture[top + 1, left, c]) if left >= 0 else d
                            e = np.int32(picture[top + 1, left + 1, c]) if left < wide - 1 else e
                    upper = a * STEPS + (b - a) * fx
                    lower = d * STEPS + (e - d) * fx
                    value = upper * STEPS + (lower - upper) * fy + (STEPS * STEPS // 2)
                    out[y, x, c] = value >> (2 * BITS)


@numba.njit(cache=True, nogil=True)
def gaussian(picture, weights, out):
    """Weigh pixels with `weights`, float32 [reach + 1], the middle's first, along rows and columns."""
    height, width, channels = picture.shape
    reach, length = len(weights) - 1, width * channels
    rows, target = picture.reshape(height, length), out.reshape(height, length)
    # A row that has been weighed with those above and below, and its ends, continued.
    line = np.empty(length + 2 * reach * channels, _F)
    inner = line[reach * channels : reach * channels + length]
    total = np.empty(length, _F)
    for y in range(height):
        for i in range(length):
            inner[i] = weights[0] * _F(rows[y, i])
        for k in range(1, reach + 1):
            above, below = max(y - k, 0), min(y + k, height - 1)
            for i in range(length):
                inner[i] += weights[k] * (_F(rows[above, i]) + _F(rows[below, i]))
        for k in range(reach):
            for c in range(channels):
                line[k * channels + c] = inner[c]
                line[(reach + width + k) * channels + c] = inner[length - channels + c]
        for i in range(length):
            total[i] = weights[0] * inner[i] + _F(0.5)
        for k in range(1, reach + 1):
            left = line[(reach - k) * channels :]
            right = line[(reach + k) * channels :]
            for i in range(length):
                total[i] += weights[k] * (left[i] + right[i])
        for i in range(length):
            target[y, i] = np.uint8(total[i])


@numba.njit(cache=True, nogil=True)
def add_noise(values, noise, factor, bits, out):
    """Add noise * factor / 2**bits, rounded, to values: uint8 [n] and int16 [n]."""
    half = (1 << bits) >> 1
    for i in range(len(values)):
        value = np.int32(values[i]) + ((np.int32(noise[i]) * factor + half) >> bits)
        out[i] = min(max(value, 0), 255)


@numba.njit(cache=True, nogil=True)
def shade(picture, light, out):
    """Multiply each pixel by light, float32 [H, W]."""
    height, width, channels = picture.shape
    for y in range(height):
        for x in range(width):
            for c in range(channels):
                value = _F(picture[y, x, c]) * light[y, x] + _F(0.5)
                out[y, x, c] = np.uint8(min(max(value, _F(0)), _F(255)))


@numba.njit(cache=True, nogil=True)
def take_off(picture, paper, share, out):
    """Take share / 255 of the ink, that is what is darker than paper (uint8 [C]), away: uint8 [H, W]."""
    height, width, channels = picture.shape
    for y in range(height):
        for x in range(width):
            for c in range(channels):
                value = np.int32(picture[y, x, c])
                ink = max(np.int32(paper[c]) - value, 0)
                out[y, x, c] = value + (ink * np.int32(share[y, x]) + 127) // 255


@numba.njit(cache=True, nogil=True)
def paint(ink, table, out):
    """Give each amount of ink, uint8 [H, W], its colour in the table, uint8 [256, 3]."""
    height, width = ink.shape
    for y in range(height):
        for x in range(width):
            for c in range(3):
                out[y, x, c] = table[ink[y, x], c]


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
def part_sums(picture, clean, darkest, part, sums):
    """Add up the grey levels of ink and paper in parts of `part` columns: int64 [5, parts].

    clean, uint8 [H, W], tells them apart: ink is below `darkest`, paper above 224. For each part: how much
    ink, its levels, how much paper, its levels, and their squares. Every second row is looked at.
    """
    height, width, channels = picture.shape
    for y in range(0, height, 2):
        for x in range(width):
            shade = clean[y, x]
            if darkest <= shade <= 224:
                continue
            if channels == 1:
                grey = np.int64(picture[y, x, 0])
            else:
                red, green, blue = picture[y, x, 0], picture[y, x, 1], picture[y, x, 2]
                grey = (77 * np.int64(red) + 150 * np.int64(green) + 29 * np.int64(blue)) >> 8
            at = x // part
            if shade < darkest:
                sums[0, at] += 1
                sums[1, at] += grey
            else:
                sums[2, at] += 1
                sums[3, at] += grey
                sums[4, at] += grey * grey


@numba.njit(cache=True, nogil=True)
def quantise_blocks(plane, waves, steps, out):
    """Round the cosine coefficients of each 8 x 8 block of a plane, float32 [H, W], to multiples of `steps`.

    waves: the cosine transform, float32 [8, 8], orthonormal; steps: float32 [8, 8]. Beyond an edge a block
    goes on as the edge is.
    """
    height, width = plane.shape
    block = np.empty((8, 8), _F)
    half = np.empty((8, 8), _F)
    for top in range(0, height, 8):
        for left in range(0, width, 8):
            for i in range(8):
                for j in range(8):
                    block[i, j] = plane[min(top + i, height - 1), min(left + j, width - 1)] - _F(128)
            for i in range(8):  # columns, then rows
                for j in range(8):
                    half[i, j] = _F(0)
                for k in range(8):
                    for j in range(8):
                        half[i, j] += waves[i, k] * block[k, j]
            for i in range(8):
                for j in range(8):
                    total = _F(0)
                    for k in range(8):
                        total += half[i, k] * waves[j, k]
                    block[i, j] = np.rint(total / steps[i, j]) * steps[i, j]
            for i in range(8):
                for j in range(8):
                    half[i, j] = _F(0)
                for k in range(8):
                    if block[i, k] != _F(0):
                        for j in range(8):
                            half[i, j] += block[i, k] * waves[k, j]
            for i in range(min(8, height - top)):
                for j in range(min(8, width - left)):
                    total = _F(128)
                    for k in range(8):
                        total += waves[k, i] * half[k, j]
                    out[top + i, left + j] = min(max(total, _F(0)), _F(255))
