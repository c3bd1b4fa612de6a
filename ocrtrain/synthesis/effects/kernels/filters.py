"""Filters of pictures: one pass over the pixels instead of NumPy's many.

All take and fill C-contiguous arrays that can be written to. A picture is uint8 [H, W, C], one channel or
three. Sums are added up in a fixed order, so results are the same on every machine.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import numba
import numpy as np

_F = np.float32


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
def add_noise(values, noise, factor, out):
    """Add noise * factor, rounded, to values: uint8 [n], int16 [n] and a float32."""
    for i in range(len(values)):
        value = _F(values[i]) + _F(noise[i]) * factor + _F(0.5)
        out[i] = np.uint8(min(max(value, _F(0)), _F(255)))


@numba.njit(cache=True, nogil=True)
def spread(picture, dark, weight, out):
    """Mix `weight` (float32, of 1) of the least of a value and its four neighbours into it.

    Of the greatest, unless `dark`.
    """
    height, width, channels = picture.shape
    length = width * channels
    rows, target = picture.reshape(height, length), out.reshape(height, length)
    line = np.empty(length + 2 * channels, np.uint8)  # a row, and its ends, continued
    for y in range(height):
        row, above, below = rows[y], rows[max(y - 1, 0)], rows[min(y + 1, height - 1)]
        line[channels : channels + length] = row
        line[:channels] = row[:channels]
        line[channels + length :] = row[length - channels :]
        left, right, new = line[:length], line[2 * channels :], target[y]
        if dark:
            for i in range(length):
                new[i] = min(min(min(above[i], below[i]), min(left[i], right[i])), row[i])
        else:
            for i in range(length):
                new[i] = max(max(max(above[i], below[i]), max(left[i], right[i])), row[i])
        if weight < 1:
            for i in range(length):
                new[i] = np.uint8(_F(row[i]) * (_F(1) - weight) + _F(new[i]) * weight + _F(0.5))


@numba.njit(cache=True, nogil=True)
def draw_spots(picture, numbers, largest, out):
    """Copy a picture, and set squares to black or white, with sides of 1 to `largest`.

    numbers, int64 [3, n], of 32 bits, draw each one's row, column and shade and side.
    """
    height, width, channels = picture.shape
    out.reshape(-1)[:] = picture.reshape(-1)
    for k in range(numbers.shape[1]):
        top, left = (numbers[0, k] * height) >> 32, (numbers[1, k] * width) >> 32
        shade = 255 if numbers[2, k] & 1 else 0
        # Each has sides of its own: what a spot is larger than one pixel comes to fewer and fewer.
        side = (numbers[2, k] >> 8) % largest + 1
        for y in range(top, min(top + side, height)):
            for x in range(left, min(left + side, width)):
                for c in range(channels):
                    out[y, x, c] = shade


@numba.njit(cache=True, nogil=True)
def average_moved(picture, right, down, out):
    """Average a picture with itself moved by right[k], down[k] pixels (int64 [n]); its edges go on."""
    height, width, channels = picture.shape
    length, taps = width * channels, len(right)
    rows, target = picture.reshape(height, length), out.reshape(height, length)
    reach = np.abs(right).max() * channels
    line = np.empty(length + 2 * reach, np.uint8)
    total = np.empty(length, np.uint16)
    for y in range(height):
        total[:] = taps // 2
        before = -1
        for k in range(taps):
            at = min(max(y + down[k], 0), height - 1)
            if at != before:
                row, before = rows[at], at
                line[reach : reach + length] = row
                for i in range(reach):
                    line[i] = row[i % channels]
                    line[reach + length + i] = row[length - channels + i % channels]
            moved = line[reach + right[k] * channels :]
            for i in range(length):
                total[i] += moved[i]
        for i in range(length):
            target[y, i] = total[i] // taps


@numba.njit(cache=True, nogil=True)
def tones(grey, noise, grain, local, away, gain, out):
    """Compare each value with a threshold, uint8 [H, W]: 128 and `gain` times how far it lies above that.

    Noise * grain is added before. The threshold is `away`, beyond the mean of the pixels up to `local` away
    if that is not zero; edges go on.
    """
    height, width = grey.shape
    noisy = np.empty((height, width), np.uint8)
    add_noise(grey.reshape(-1), noise, grain, noisy.reshape(-1))
    line = np.empty(width, _F)
    line[:] = away
    area = _F(1 / (2 * local + 1) ** 2)
    columns = np.zeros(width + 2 * local, np.int32)  # sums over rows, and the outermost ones, continued
    inner = columns[local : local + width]
    if local > 0:
        for k in range(-local - 1, local):  # as of the row before the first
            row = noisy[min(max(k, 0), height - 1)]
            for x in range(width):
                inner[x] += row[x]
    for y in range(height):
        row = noisy[y]
        if local > 0:
            new, old = noisy[min(y + local, height - 1)], noisy[max(y - local - 1, 0)]
            for x in range(width):
                inner[x] += np.int32(new[x]) - np.int32(old[x])
            columns[:local] = inner[0]
            columns[local + width :] = inner[width - 1]
            total = columns[: 2 * local].sum()
            last = columns[2 * local :]
            for x in range(width):
                total += last[x]
                line[x] = _F(total) * area + away
                total -= columns[x]
        for x in range(width):
            value = (_F(row[x]) - line[x]) * gain + _F(128.5)
            out[y, x] = np.uint8(min(max(value, _F(0)), _F(255)))


@numba.njit(cache=True, nogil=True)
def paint(ink, paper, steps, out):
    """Give each amount of ink, uint8 [H, W], a colour: paper + ink * steps, float32 [C], rounded down."""
    channels = out.shape[2]
    target = out.reshape(-1, channels)
    if channels == 1:
        start, step, flat = paper[0], steps[0], out.reshape(-1)
        for i, amount in enumerate(ink.reshape(-1)):
            flat[i] = np.uint8(start + _F(amount) * step)
        return
    for i, amount in enumerate(ink.reshape(-1)):
        for c in range(3):
            target[i, c] = np.uint8(paper[c] + _F(amount) * steps[c])
