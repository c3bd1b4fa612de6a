"""Inner loops of warps, compiled by Numba: each value is interpolated between those around a place.

Pictures are uint8 [H, W, C], as in `filters`. They are copied with paper around them first, so that no value
needs a look whether it lies beyond an edge. Places are whole numbers of `STEPS` to the pixel.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import numba
import numpy as np

BITS = 8
STEPS = 1 << BITS  # of a pixel: what shifts, and places between pixels, are rounded to
_FINE = 16  # bits more while places are added up

_F = np.float32


@numba.njit(cache=True, nogil=True)
def _framed(picture, paper, above, below, left, right):
    """Copy a picture with so many rows and columns of paper around it: uint8 [rows, columns * C]."""
    height, width, channels = picture.shape
    rows = picture.reshape(height, width * channels)
    start, length = left * channels, width * channels
    wide = np.empty((height + above + below, (width + left + right) * channels), np.uint8)
    for i in range(wide.shape[1]):
        wide[0, i] = paper[i % channels]
    for y in range(1, wide.shape[0]):
        row = wide[y]
        if not above <= y < above + height:
            row[:] = wide[0]
            continue
        row[:start] = wide[0, :start]
        row[start : start + length] = rows[y - above]
        row[start + length :] = wide[0, start + length :]
    return wide


@numba.njit(cache=True, nogil=True)
def shift_columns(picture, shifts, paper, out):
    """Move column x down by shifts[x] / STEPS pixels: int32 [W]. paper: uint8 [C], what comes in."""
    height, width, channels = picture.shape
    length = width * channels
    frame = min(max(abs(shifts.min()), abs(shifts.max())) // STEPS + 2, height + 2)
    flat = _framed(picture, paper, frame, frame, 0, 0).reshape(-1)
    target = out.reshape(height, length)
    at, weight = np.empty(length, np.int64), np.empty(length, np.int64)
    for x in range(width):
        place = min(max(frame * STEPS - shifts[x], 0), (2 * frame - 1) * STEPS)
        for i in range(x * channels, (x + 1) * channels):
            at[i], weight[i] = (place >> BITS) * length + i, place & (STEPS - 1)
    for y in range(height):
        new, upper, lower = target[y], flat[y * length :], flat[(y + 1) * length :]
        for i in range(length):
            first = np.int64(upper[at[i]])
            new[i] = first + (((np.int64(lower[at[i]]) - first) * weight[i] + STEPS // 2) >> BITS)


@numba.njit(cache=True, nogil=True)
def displace(picture, at_x, at_y, paper, out):
    """Show at each point the one that at_x and at_y, float32 [rows, columns] each, name for it.

    They are for points evenly spread over `out`, which may be of another size than the picture, corners
    included, and interpolated between these.
    """
    high, wide, channels = picture.shape
    height, width, _ = out.shape
    rows, columns = at_x.shape
    # A pixel of paper on all sides, and one more for the neighbour of that.
    flat = _framed(picture, paper, 1, 2, 1, 2).reshape(-1)
    pitch = (wide + 3) * channels
    right, below, slant = flat[channels:], flat[pitch:], flat[pitch + channels :]
    line_x, line_y = np.empty(columns), np.empty(columns)
    at, across, down = np.empty(width, np.int64), np.empty(width, np.int64), np.empty(width, np.int64)
    inverse = 1 / max((width - 1) / (columns - 1), 1e-6)
    # Of the pixels between two columns, the first, and how far it lies behind the column.
    starts, along = np.empty(columns, np.int64), np.empty(columns)
    for k in range(columns):
        starts[k] = (k * (width - 1) + columns - 2) // (columns - 1)
        along[k] = starts[k] - k * (width - 1) / (columns - 1)
    starts[columns - 1] = width
    target = out.reshape(height, width * channels)
    fine, half = float(STEPS << _FINE), 1 << (_FINE - 1)
    for y in range(height):
        place = y * (rows - 1) / max(height - 1, 1)
        row = min(int(place), rows - 2)
        f = _F(place - row)
        for k in range(columns):  # one pixel further, for the frame; not so far that numbers overflow
            value_x = at_x[row, k] + f * (at_x[row + 1, k] - at_x[row, k])
            value_y = at_y[row, k] + f * (at_y[row + 1, k] - at_y[row, k])
            line_x[k] = (min(max(value_x, _F(-1e6)), _F(1e6)) + _F(1)) * fine
            line_y[k] = (min(max(value_y, _F(-1e6)), _F(1e6)) + _F(1)) * fine
        for k in range(columns - 1):
            step_x, step_y = (line_x[k + 1] - line_x[k]) * inverse, (line_y[k + 1] - line_y[k]) * inverse
            ix = int(line_x[k] + along[k] * step_x) + half
            iy = int(line_y[k] + along[k] * step_y) + half
            slope_x, slope_y = int(step_x), int(step_y)
            for x in range(starts[k], starts[k + 1]):
                px = min(max(ix >> _FINE, 0), (wide + 1) << BITS)
                py = min(max(iy >> _FINE, 0), (high + 1) << BITS)
                at[x] = (py >> BITS) * pitch + (px >> BITS) * channels
                across[x], down[x] = px & (STEPS - 1), py & (STEPS - 1)
                ix += slope_x
                iy += slope_y
        new = target[y]
        for c in range(channels):
            for x in range(width):
                i = at[x] + c
                a, d = np.int64(flat[i]), np.int64(below[i])
                upper = a * STEPS + (np.int64(right[i]) - a) * across[x]
                lower = d * STEPS + (np.int64(slant[i]) - d) * across[x]
                value = upper * STEPS + (lower - upper) * down[x] + (STEPS * STEPS // 2)
                new[x * channels + c] = value >> (2 * BITS)


@numba.njit(cache=True, nogil=True)
def _triangle(size, new):
    """Weigh the pixels of a row of `size` for each of a row of `new`: first ones [new], weights [new, taps].

    A triangle as wide as two pixels of whichever row has the larger ones.
    """
    scale = size / new
    reach = max(scale, 1.0)
    first = np.empty(new, np.int64)
    weights = np.zeros((new, int(2 * reach) + 2), _F)
    for i in range(new):
        middle = (i + 0.5) * scale
        low, high = max(int(middle - reach + 0.5), 0), min(int(middle + reach + 0.5), size)
        first[i], total = low, 0.0
        for k in range(low, high):
            weight = max(1 - abs(k + 0.5 - middle) / reach, 0.0)
            weights[i, k - low] = weight
            total += weight
        for k in range(high - low):
            weights[i, k] /= total
    return first, weights


@numba.njit(cache=True, nogil=True)
def _resize_rows(rows, height):
    """Make a picture, float32 [H, N], one of another height."""
    first, weights = _triangle(rows.shape[0], height)
    out = np.zeros((height, rows.shape[1]), _F)
    for y in range(height):
        new = out[y]
        for k in range(weights.shape[1]):
            weight = weights[y, k]
            if weight > 0:
                row = rows[first[y] + k]
                for i in range(len(new)):
                    new[i] += weight * row[i]
    return out


@numba.njit(cache=True, nogil=True)
def _turned(rows, channels):
    """Swap rows and columns, float32 [H, W * C] -> [W, H * C]."""
    height, width = rows.shape[0], rows.shape[1] // channels
    out = np.empty((width, height * channels), _F)
    for y in range(height):
        for x in range(width):
            for c in range(channels):
                out[x, y * channels + c] = rows[y, x * channels + c]
    return out


@numba.njit(cache=True, nogil=True)
def coarsen(picture, small_height, small_width, sharp, out):
    """Make a picture smaller, and as large again: with hard edges between the pixels if `sharp`."""
    height, width, channels = picture.shape
    length = width * channels
    rows = np.empty((height, length), _F)
    rows.reshape(-1)[:] = picture.reshape(-1)
    small = _resize_rows(_turned(_resize_rows(rows, small_height), channels), small_width)
    if sharp:
        wide = np.empty((width, small_height * channels), _F)
        for x in range(width):
            wide[x] = small[(2 * x + 1) * small_width // (2 * width)]
    else:
        wide = _resize_rows(small, width)
    high = _turned(wide, channels)
    if not sharp:
        high = _resize_rows(high, height)
    target = out.reshape(height, length)
    for y in range(height):
        row, new = high[(2 * y + 1) * len(high) // (2 * height)], target[y]
        for i in range(length):
            new[i] = np.uint8(row[i] + _F(0.5))
