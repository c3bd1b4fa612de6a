"""Inner loops over pictures and random fields or light that goes evenly over them, compiled by Numba.

As in `filters`, pictures are uint8 [H, W, C]. A field is uint8 and larger than the picture, whose upper left
corner lies on its row `top` and column `left`; the last row goes on. The loops use not the field itself but
its `ramp`, float32 [4]: (slope, start, low, high) make value * slope + start of a value, within low ... high.
A row of such numbers is made for all values of a row of pixels, so that each loop is one that compilers turn
into vectors.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import numba
import numpy as np

_F = np.float32


@numba.njit(cache=True, nogil=True)
def _rows(picture):
    """View a picture as rows of values, uint8 [H, W * C]."""
    height, width, channels = picture.shape
    return picture.reshape(height, width * channels)


@numba.njit(cache=True, nogil=True)
def _repeated(paper, length):
    """Repeat a shade, uint8 [C], for each pixel of a row: float32 [length]."""
    line = np.empty(length, _F)
    for i in range(length):
        line[i] = _F(paper[i % len(paper)])
    return line


@numba.njit(cache=True, nogil=True)
def _spread_out(line, channels):
    """Repeat each of the first W numbers of line, float32 [W * C], for each channel."""
    if channels > 1:
        for x in range(len(line) // channels - 1, -1, -1):
            value = line[x]
            for c in range(channels):
                line[x * channels + c] = value


@numba.njit(cache=True, nogil=True)
def _ramp_line(field, y, left, ramp, channels, line):
    """Fill line, float32 [W * C], with the ramp of row y of a field."""
    width = len(line) // channels
    row = field[min(y, field.shape[0] - 1), left : left + width]
    slope, start, low, high = ramp[0], ramp[1], ramp[2], ramp[3]
    for x in range(width):
        line[x] = min(max(_F(row[x]) * slope + start, low), high)
    _spread_out(line, channels)


@numba.njit(cache=True, nogil=True)
def _shade_row(row, light, new):
    for i in range(len(row)):
        new[i] = np.uint8(min(_F(row[i]) * light[i] + _F(0.5), _F(255)))


@numba.njit(cache=True, nogil=True)
def shade(picture, light, out):
    """Multiply each pixel by light, float32 [H, W], not negative."""
    rows, target = _rows(picture), _rows(out)
    _, width, channels = picture.shape
    line = np.empty(rows.shape[1], _F)
    for y in range(len(rows)):
        line[:width] = light[y]
        _spread_out(line, channels)
        _shade_row(rows[y], line, target[y])


@numba.njit(cache=True, nogil=True)
def shade_slope(picture, across, down, ramp, out):
    """Multiply each pixel by the ramp of across[x] + down[y], float32 each."""
    rows, target = _rows(picture), _rows(out)
    _, width, channels = picture.shape
    slope, start, low, high = ramp[0], ramp[1], ramp[2], ramp[3]
    line = np.empty(rows.shape[1], _F)
    for y in range(len(rows)):
        for x in range(width):
            line[x] = min(max((across[x] + down[y]) * slope + start, low), high)
        _spread_out(line, channels)
        _shade_row(rows[y], line, target[y])


@numba.njit(cache=True, nogil=True)
def shade_bars(picture, across, down, out):
    """Multiply each pixel by the lesser of across[x] and down[y], float32 each."""
    rows, target = _rows(picture), _rows(out)
    _, width, channels = picture.shape
    line = np.empty(rows.shape[1], _F)
    for y in range(len(rows)):
        for x in range(width):
            line[x] = min(across[x], down[y])
        _spread_out(line, channels)
        _shade_row(rows[y], line, target[y])


@numba.njit(cache=True, nogil=True)
def bars(places, thickness, amount, light):
    """Fill light, float32 [n], with what is left of it where bars around `places` take `amount` of it."""
    light[:] = 1
    for place in places:
        low, high = place - thickness / 2, place + thickness / 2
        for x in range(max(int(low), 0), min(int(high) + 1, len(light))):
            # Of each pixel, the part that the bar covers.
            covered = min(high, x + 1.0) - max(low, x + 0.0)
            light[x] = max(light[x] - _F(amount * max(covered, 0.0)), _F(1 - amount))


@numba.njit(cache=True, nogil=True)
def shade_field(picture, field, top, left, ramp, out):
    """Multiply each pixel by the ramp of a field."""
    rows, target = _rows(picture), _rows(out)
    channels = picture.shape[2]
    line = np.empty(rows.shape[1], _F)
    for y in range(len(rows)):
        _ramp_line(field, top + y, left, ramp, channels, line)
        _shade_row(rows[y], line, target[y])


@numba.njit(cache=True, nogil=True)
def shade_table(picture, field, top, left, table, out):
    """Multiply each value by what a table, float32 [256, C], has for a field."""
    rows, target = _rows(picture), _rows(out)
    _, width, channels = picture.shape
    line = np.empty(rows.shape[1], _F)
    for y in range(len(rows)):
        row = field[top + y, left : left + width]
        for x in range(width):
            for c in range(channels):
                line[x * channels + c] = table[row[x], c]
        _shade_row(rows[y], line, target[y])


@numba.njit(cache=True, nogil=True)
def shade_noise(picture, noise, factor, out):
    """Multiply each pixel by 1 + noise * factor: int16 [H * W] and a float32."""
    rows, target = _rows(picture), _rows(out)
    _, width, channels = picture.shape
    line = np.empty(rows.shape[1], _F)
    for y in range(len(rows)):
        stretch = noise[y * width : (y + 1) * width]
        for x in range(width):
            line[x] = max(_F(stretch[x]) * factor + _F(1), _F(0))
        _spread_out(line, channels)
        _shade_row(rows[y], line, target[y])


@numba.njit(cache=True, nogil=True)
def add_field(picture, field, top, left, ramp, out):
    """Add the ramp of a field."""
    rows, target = _rows(picture), _rows(out)
    channels = picture.shape[2]
    line = np.empty(rows.shape[1], _F)
    for y in range(len(rows)):
        _ramp_line(field, top + y, left, ramp, channels, line)
        row, new = rows[y], target[y]
        for i in range(len(row)):
            new[i] = np.uint8(min(max(_F(row[i]) + line[i] + _F(0.5), _F(0)), _F(255)))


@numba.njit(cache=True, nogil=True)
def take_off(picture, paper, field, top, left, ramp, out):
    """Take the ramp of a field, of 1, of the ink away: of what is darker than paper, uint8 [C]."""
    rows, target = _rows(picture), _rows(out)
    channels = picture.shape[2]
    line, light = np.empty(rows.shape[1], _F), _repeated(paper, rows.shape[1])
    for y in range(len(rows)):
        _ramp_line(field, top + y, left, ramp, channels, line)
        row, new = rows[y], target[y]
        for i in range(len(row)):
            value = _F(row[i])
            new[i] = np.uint8(value + max(light[i] - value, _F(0)) * line[i] + _F(0.5))


@numba.njit(cache=True, nogil=True)
def bleed(picture, paper, blurred, field, top, left, ramp, out):
    """Put `blurred` ink, uint8 [H, W, C], times the ramp of a field in the place of the picture's.

    Ink is what is darker than paper, uint8 [C].
    """
    rows, target = _rows(picture), _rows(out)
    channels = picture.shape[2]
    ink = _rows(blurred)
    line, light = np.empty(rows.shape[1], _F), _repeated(paper, rows.shape[1])
    for y in range(len(rows)):
        _ramp_line(field, top + y, left, ramp, channels, line)
        row, new = rows[y], target[y]
        for i in range(len(row)):
            spread = min(_F(ink[y, i]) * line[i], _F(255))
            new[i] = np.uint8(max(max(_F(row[i]), light[i]) - spread + _F(0.5), _F(0)))


@numba.njit(cache=True, nogil=True)
def interpolate(field, top, left, step, curve):
    """Fill curve, float32 [n], from -1 to 1, by row `top` of a field, looked at every `step` columns."""
    row = field[top, left:]
    for k in range(len(curve)):
        at = k * step
        column = int(at)
        value = row[column] + (np.int64(row[column + 1]) - np.int64(row[column])) * (at - column)
        curve[k] = _F(value / 127.5 - 1)


@numba.njit(cache=True, nogil=True)
def mirrored_ink(picture, paper, moved, out):
    """Fill out with the ink, what is darker than paper (uint8 [C]), mirrored and moved around the edge."""
    height, width, channels = picture.shape
    for y in range(height):
        row, new = picture[y], out[y]
        for c in range(channels):
            for x in range(moved):
                value = row[moved - 1 - x, c]
                new[x, c] = max(paper[c], value) - value
            for x in range(moved, width):
                value = row[width - 1 - x + moved, c]
                new[x, c] = max(paper[c], value) - value


@numba.njit(cache=True, nogil=True)
def darken(picture, ghost, down, amount, out):
    """Take `amount` (float32, of 1) of ghost, uint8 [H, W, C], moved down, from a picture."""
    rows, target = _rows(picture), _rows(out)
    dark = _rows(ghost)
    for y in range(len(rows)):
        row, new = rows[y], target[y]
        if not 0 <= y - down < len(rows):
            new[:] = row
            continue
        ink = dark[y - down]
        for i in range(len(row)):
            new[i] = np.uint8(max(_F(row[i]) - _F(ink[i]) * amount + _F(0.5), _F(0)))
