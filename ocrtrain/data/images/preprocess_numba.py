"""The inner loops on the way from a grey image to a model's rows and columns, compiled by Numba.

Images are uint8 [H, W], C-contiguous; those that are given are not written to. Nothing here depends on the
machine: sums of floats have a fixed order. Types are named, so that importing this file compiles it, or loads
what was compiled before: once, in the process that opens the data, and not in each of its workers. Arrays to
work in are made by the plain functions at the end, since compiling that would take longer than all the rest.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

from statistics import NormalDist

import numba
import numpy as np
from numba import types

QUANTILES = 4096  # of the normal distribution, each as likely as the others
PHASES = 128  # places between two pixels that are told apart

_WEIGHT = 22  # bits of a weight: as many as Pillow's, which are whole numbers too

_BITS = 32  # of a place between pixels
_ONE = 1 << _BITS
_F = np.float32
_U = np.uint64  # an index of this type is not asked whether it counts from the end
_NEXT, _FIRST, _SECOND = _U(0x9E3779B97F4A7C15), _U(0xBF58476D1CE4E5B9), _U(0x94D049BB133111EB)

_IMAGE = types.Array(types.uint8, 2, "C", readonly=True)
_OUT = types.uint8[:, ::1]
_LINE, _LINES = types.float32[::1], types.float32[:, ::1]
_COUNTS = types.int64[::1]
_WEIGHTS, _SUMS = types.int32[:, ::1], types.int32[::1]


@numba.njit(types.void(types.int64, _COUNTS, _WEIGHTS), cache=True, nogil=True)
def _taps(size, first, weights):
    """Weigh the pixels, of `size`, that make each of fewer or more.

    Fills first [out], the number of the first of them, and weights [out, most], zero where there are fewer: a
    triangle over two pixels, and over as many more as it takes to leave none out.
    """
    step = size / len(first)
    spread = step if step > 1.0 else 1.0
    narrow = 1.0 / spread
    for i in range(len(first)):
        centre = (i + 0.5) * step
        low, high = int(centre - spread + 0.5), int(centre + spread + 0.5)
        low, high = low if centre - spread + 0.5 > 0 else 0, high if high < size else size
        total = 0.0
        for k in range(low, high):
            total += 1.0 - abs((k - centre + 0.5) * narrow)
        first[i] = low
        for k in range(weights.shape[1]):
            within = k < high - low
            weight = (1.0 - abs((low + k - centre + 0.5) * narrow)) / total if within else 0.0
            weights[i, k] = int(weight * (1 << _WEIGHT) + 0.5)


@numba.njit(types.void(_IMAGE, types.int64, types.int64, _WEIGHTS, _SUMS), cache=True, nogil=True)
def _weigh_rows(image, top, y, weights, line):
    """Fill line [W] with the sum of the rows from `top` on, by weights[y]."""
    wide = image.shape[1]
    weight = weights[y, 0]
    for x in range(wide):
        line[x] = weight * np.int32(image[top, x])
    for k in range(1, weights.shape[1]):
        weight = weights[y, k]
        if weight > 0:
            for x in range(wide):
                line[x] += weight * np.int32(image[top + k, x])


@numba.njit(
    types.void(_IMAGE, _COUNTS, _WEIGHTS, _COUNTS, _WEIGHTS, _SUMS, _OUT, _OUT), cache=True, nogil=True
)
def _scale(image, above, weights_y, left, weights_x, line, narrow, out):
    """Fill out by `_taps` for rows and for columns; line: zeros [columns + most], narrow: [H, width]."""
    high, wide = image.shape
    height, width = out.shape
    most = weights_x.shape[1]
    half = np.int32(1 << (_WEIGHT - 1))
    for y in range(high):
        for x in range(wide):
            line[x] = np.int32(image[y, x])
        for x in range(width):
            at, total = _U(left[x]), half
            if most == 4:  # what most lines need, without a loop
                total += weights_x[x, 0] * line[at] + weights_x[x, 1] * line[at + _U(1)]
                total += weights_x[x, 2] * line[at + _U(2)] + weights_x[x, 3] * line[at + _U(3)]
            else:
                for k in range(most):
                    total += weights_x[x, k] * line[at + _U(k)]
            narrow[y, x] = np.uint8(total >> _WEIGHT)
    for y in range(height):
        _weigh_rows(narrow, above[y], y, weights_y, line)
        for x in range(width):
            out[y, x] = np.uint8((line[x] + half) >> _WEIGHT)


@numba.njit(types.int64(_IMAGE, _COUNTS), cache=True, nogil=True)
def _paper(image, counts):
    """Guess the paper's shade: the median of points all over the image. counts: zeros [256]."""
    height, width = image.shape
    points = 0
    for y in range(0, height, height // 8 if height > 8 else 1):
        for x in range(0, width, width // 64 if width > 64 else 1):
            counts[image[y, x]] += 1
            points += 1
    below, level = counts[0], 0
    while 2 * below <= points:
        level += 1
        below += counts[level]
    return level


@numba.njit(types.void(_LINES, types.float64, types.float64, types.int64, _LINE), cache=True, nogil=True)
def _blend_rows(rows, at, step, margin, line):
    """Fill line[margin:] with what lies between rows [H + 2, W] along a slope: column x at row at + x * step.

    The first row is the one above the image, number -1; what lies beyond it, or the last, is like them.
    """
    height, wide = rows.shape[0] - 2, rows.shape[1]
    start = 0
    while start < wide:
        here = at + start * step
        row = int(np.floor(here))
        end = wide  # of the columns that lie between the same two rows
        if step > 0 and row + 1 - at < wide * step:
            end = int(np.ceil((row + 1 - at) / step))
        elif step < 0 and row - at > wide * step:
            end = int(np.floor((row - at) / step)) + 1
        end = start + 1 if end <= start else (wide if end > wide else end)
        upper = -1 if row < -1 else (height if row > height else row)
        lower = -1 if row < -2 else (height if row >= height else row + 1)
        share, slope = _F(here - row), _F(step)
        one, other, out = (
            rows[upper + 1, start:end],
            rows[lower + 1, start:end],
            line[margin + start : margin + end],
        )
        for x in range(end - start):
            out[x] = one[x] + (other[x] - one[x]) * (share + slope * _F(np.int32(x)))
        start = end


@numba.njit(
    types.void(
        *(_IMAGE, types.UniTuple(types.float64, 6), types.float64, types.float64, types.uint64),
        *(_LINE, _COUNTS, _WEIGHTS, _COUNTS, _SUMS, _LINES, _LINES, _LINE, _LINE, _LINE, _OUT),
    ),
    cache=True,
    nogil=True,
)
def _change(
    image,
    matrix,
    gain,
    deviation,
    seed,
    normal,
    above,
    weights_y,
    counts,
    sums,
    rows,
    weights,
    line,
    shown,
    grain,
    out,
):
    """Do what `changed` does; above, weights_y: by `_taps`; the rest, but for out, is to work in."""
    wide = image.shape[1]
    height, width = out.shape
    a, b, c, d, e, f = matrix
    paper = _paper(image, counts)
    for x in range(wide):
        rows[0, x] = rows[height + 1, x] = _F(paper)
    for y in range(height):
        _weigh_rows(image, above[y], y, weights_y, sums)
        for x in range(wide):
            rows[y + 1, x] = _F(sums[x]) * _F(1 / (1 << _WEIGHT))
    # A column's pixels are weighed as in `_taps`, by a table over places between two pixels.
    most, spread = weights.shape[1], (a if a > 1.0 else 1.0)
    for phase in range(PHASES):
        total = 0.0
        for k in range(most):
            weight = 1.0 - abs(k + 1 - phase / PHASES - spread) / spread
            weights[phase, k] = _F(weight if weight > 0.0 else 0.0)
            total += weight if weight > 0.0 else 0.0
        for k in range(most):
            weights[phase, k] /= _F(total)
    for x in range(len(line)):
        line[x] = _F(paper)
    step = int(np.rint(a * _ONE))
    last = (wide + most + 1) * _ONE
    strength, factor, base = _F(gain), _F(deviation), _F(paper - gain * paper + 0.5)
    for y in range(height):
        across = b * (y + 0.5) + c
        # Column u of the image is shown at column (u + 0.5 - across) / a.
        _blend_rows(rows, d * (0.5 - across) / a + e * (y + 0.5) + f - 0.5, d / a, most, line)
        at = int(np.rint((a * 0.5 + across - spread + 0.5 + most) * _ONE)) + _ONE // (2 * PHASES)
        for x in range(width):
            if 0 <= at < last:
                first, phase = _U(at >> _BITS), _U((at * PHASES >> _BITS) & (PHASES - 1))
                if most == 4:
                    shown[x] = (weights[phase, 0] * line[first] + weights[phase, 1] * line[first + _U(1)]) + (
                        weights[phase, 2] * line[first + _U(2)] + weights[phase, 3] * line[first + _U(3)]
                    )
                else:
                    total = _F(0.0)
                    for k in range(most):
                        total += weights[phase, k] * line[first + _U(k)]
                    shown[x] = total
            else:
                shown[x] = _F(paper)
            at += step
        for x in range(0, width, 4):  # one number makes four: SplitMix64, of Steele et al. (2014)
            seed += _NEXT
            z = (seed ^ (seed >> _U(30))) * _FIRST
            z = (z ^ (z >> _U(27))) * _SECOND
            z ^= z >> _U(31)
            grain[x] = normal[z & _U(4095)]
            grain[x + 1] = normal[(z >> _U(16)) & _U(4095)]
            grain[x + 2] = normal[(z >> _U(32)) & _U(4095)]
            grain[x + 3] = normal[(z >> _U(48)) & _U(4095)]
        for x in range(width):
            value = shown[x] * strength + base + grain[x] * factor
            value = value if value > _F(0) else _F(0)
            out[y, x] = np.uint8(value if value < _F(255) else _F(255))


@numba.njit(types.void(_IMAGE, types.int64, types.int64[:, ::1], _OUT), cache=True, nogil=True)
def _whiten(image, faintest, counts, out):
    """Do what `ink_on_white` does. counts: zeros [2, 256], two so that a level need not wait for itself."""
    height, width = image.shape
    step = 2 if height >= 8 and width >= 8 else 1
    for y in range(0, height, step):
        for x in range(0, width - step, 2 * step):
            counts[0, image[y, x]] += 1
            counts[1, image[y, x + step]] += 1
        if ((width - 1) // step) % 2 == 0:
            counts[0, image[y, (width - 1) // step * step]] += 1
    points = 0
    for level in range(256):
        counts[0, level] += counts[1, level]
        points += counts[0, level]
    below, paper = 0, -1
    while below <= points // 2:
        paper += 1
        below += counts[0, paper]
    # The difference from paper that all but the strongest hundredth stay within.
    strongest, within = 0, counts[0, paper]
    while within <= points - 1 - points // 100:
        strongest += 1
        if paper + strongest < 256:
            within += counts[0, paper + strongest]
        if paper - strongest >= 0:
            within += counts[0, paper - strongest]
    inked, total = 0, 0
    for level in range(256):
        if 2 * abs(level - paper) >= strongest:
            inked += counts[0, level]
            total += counts[0, level] * (level - paper)
    ink = total / inked
    blank = strongest * strongest < faintest or ink * ink < faintest
    slope = _F(0.0) if blank else _F(255.0 / ink)
    table = counts[0]  # which has been read
    for level in range(256):
        value = _F(255.5) - _F(level - paper) * slope
        value = value if value > _F(0) else _F(0)
        table[level] = int(value if value < _F(255) else _F(255))
    for y in range(height):
        for x in range(width):
            out[y, x] = np.uint8(table[image[y, x]])


def scaled(image, height, width):
    """Scale to uint8 [height, width] as Pillow's bilinear filter does: columns first, and rounded."""
    high, wide = image.shape
    above, weights_y = np.empty(height, np.int64), np.empty((height, _most(high / height)), np.int32)
    left, weights_x = np.empty(width, np.int64), np.empty((width, _most(wide / width)), np.int32)
    _taps(high, above, weights_y)
    _taps(wide, left, weights_x)
    out = np.empty((height, width), np.uint8)
    line = np.zeros(max(wide, width) + weights_x.shape[1], np.int32)
    narrow = np.empty((high, width), np.uint8)
    _scale(image, above, weights_y, left, weights_x, line, narrow, out)
    return out


def changed(image, height, width, matrix, gain, deviation, seed, normal):
    """Scale rows, resample, change contrast and add noise: uint8 [height, width].

    matrix: (a, b, c, d, e, f), so that the middle of column x and row y shows the point (a x + b y + c,
    d x + e y + f) of the image after it was scaled to `height` rows and as many columns as before; a must be
    positive. Columns are weighed as in `scaled`, rows linearly; beyond the image there is paper. gain: by
    how much shades move away from the paper's; deviation: of the noise, which `seed` decides on, in grey
    levels; normal: `quantiles`.
    """
    high, wide = image.shape
    above, weights_y = np.empty(height, np.int64), np.empty((height, _most(high / height)), np.int32)
    _taps(high, above, weights_y)
    weights = np.empty((PHASES, _most(matrix[0])), np.float32)
    line, grain = np.empty(wide + 2 * weights.shape[1], np.float32), np.empty(width + 3, np.float32)
    rows, shown = np.empty((height + 2, wide), np.float32), np.empty(width, np.float32)
    out = np.empty((height, width), np.uint8)
    counts = np.zeros(256, np.int64)
    sums = np.empty(wide, np.int32)
    own = (above, weights_y, counts, sums, rows, weights, line, shown, grain, out)
    _change(image, matrix, gain, deviation, seed, normal, *own)
    return out


def ink_on_white(image, faintest):
    """Do what `ink.ink_on_white` does, to the bit; faintest: the square of the least difference."""
    out = np.empty(image.shape, np.uint8)
    _whiten(image, faintest, np.zeros((2, 256), np.int64), out)
    return out


def quantiles():
    """Middles of equal shares of the standard normal distribution: float32 [QUANTILES]."""
    shares = (np.arange(QUANTILES) + 0.5) / QUANTILES
    return np.array([NormalDist().inv_cdf(share) for share in shares.tolist()], np.float32)


def _most(step):
    """Count the pixels that one pixel is made of, at most, where each stands for `step`; 4 at the least."""
    return max(int(2 * step) + 1, 4)
