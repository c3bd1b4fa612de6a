"""Operations that several effects share: blur, shade, add noise, find the threshold between ink and paper."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ocrtrain.synthesis.effects.effect import Picture, as_channels, paper_of
from ocrtrain.synthesis.effects.random_fields import UNIT, FieldCrop, white
from ocrtrain.synthesis.hashed_random import HashedRandom

Ramp = NDArray[np.float32]  # see `ramp`

# A blur of less moves no grey level by one.
_SHARP = 0.05


def otsu(grey: Picture) -> tuple[float, float]:
    """Find the threshold that parts the grey levels best, and how far apart the means of the two parts are.

    N. Otsu, A Threshold Selection Method from Gray-Level Histograms (1979).
    """
    from ocrtrain.synthesis.effects.kernels import measures

    dark, light = measures.otsu(as_channels(grey), 2)
    if dark < 0:
        return light - 32, 64.0  # one shade: it is paper
    return (dark + light) / 2, light - dark


def gaussian_blur(picture: Picture, deviation: float) -> Picture:
    """Blur by a Gaussian of this standard deviation in pixels; what lies beyond an edge is like the edge."""
    if deviation < _SHARP:
        return picture
    from ocrtrain.synthesis.effects.kernels import filters

    reach = max(1, math.ceil(2.5 * deviation))
    # The Gaussian's share of each pixel, not its value at the middle: right for small deviations, too.
    below = [math.erf((k + 0.5) / (deviation * math.sqrt(2))) for k in range(reach + 1)]
    shares = [below[0], *((below[k] - below[k - 1]) / 2 for k in range(1, reach + 1))]
    weights = np.array([share / below[-1] for share in shares], np.float32)
    out = np.empty_like(picture, order="C")
    filters.gaussian(as_channels(picture), weights, as_channels(out))
    return out


def shaded(picture: Picture, light: NDArray[np.float32]) -> Picture:
    """Multiply a picture by light [H, W]."""
    from ocrtrain.synthesis.effects.kernels import fields

    out = np.empty_like(picture, order="C")
    fields.shade(as_channels(picture), np.ascontiguousarray(light), as_channels(out))
    return out


def shaded_slope(
    picture: Picture, across: NDArray[np.float32], down: NDArray[np.float32], ramp: Ramp
) -> Picture:
    """Multiply a picture by the ramp of across [W] + down [H]."""
    from ocrtrain.synthesis.effects.kernels import fields

    out = np.empty_like(picture, order="C")
    fields.shade_slope(as_channels(picture), across, down, ramp, as_channels(out))
    return out


def shaded_by(picture: Picture, crop: FieldCrop, ramp: Ramp) -> Picture:
    """Multiply a picture by the ramp of a field."""
    from ocrtrain.synthesis.effects.kernels import fields

    out = np.empty_like(picture, order="C")
    fields.shade_field(as_channels(picture), *crop, ramp, as_channels(out))
    return out


def added_to(picture: Picture, crop: FieldCrop, ramp: Ramp) -> Picture:
    """Add the ramp of a field to a picture."""
    from ocrtrain.synthesis.effects.kernels import fields

    out = np.empty_like(picture, order="C")
    fields.add_field(as_channels(picture), *crop, ramp, as_channels(out))
    return out


def taken_off(picture: Picture, crop: FieldCrop, ramp: Ramp) -> Picture:
    """Take the ramp of a field, a share of 1, of dark ink away."""
    from ocrtrain.synthesis.effects.kernels import fields

    out = np.empty_like(picture, order="C")
    fields.take_off(as_channels(picture), paper_of(picture), *crop, ramp, as_channels(out))
    return out


def ramp(slope: float, start: float, low: float = -np.inf, high: float = np.inf) -> Ramp:
    """Turn values of a field into value * slope + start, within low ... high."""
    return np.array((slope, start, low, high), np.float32)


def add_noise(picture: Picture, deviation: float, rng: HashedRandom) -> Picture:
    """Add Gaussian noise of this standard deviation (in units of 255) to every value; uses up one number."""
    from ocrtrain.synthesis.effects.kernels import filters

    stretch = white(rng, picture.size)
    out = np.empty_like(picture, order="C")
    values = as_channels(picture).reshape(-1)
    filters.add_noise(values, stretch, np.float32(deviation / UNIT), out.reshape(-1))
    return out
