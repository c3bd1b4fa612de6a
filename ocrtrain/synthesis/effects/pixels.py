"""What several effects do to pixels: blur, shade, add noise, find the threshold between ink and paper."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ocrtrain.synthesis.draws import Draws
from ocrtrain.synthesis.effects.effect import Picture, as_channels, paper_of
from ocrtrain.synthesis.effects.fields import UNIT, white

# A blur of less moves no grey level by one.
_SHARP = 0.05


def otsu(grey: Picture) -> tuple[float, float]:
    """Find the threshold that parts the grey levels best, and how far apart the means of the two parts are.

    N. Otsu, A Threshold Selection Method from Gray-Level Histograms (1979).
    """
    from ocrtrain.synthesis.effects import kernels

    dark, light = kernels.otsu(as_channels(grey), 2)
    if dark < 0:
        return light - 32, 64.0  # one shade: it is paper
    return (dark + light) / 2, light - dark


def gaussian_blur(picture: Picture, deviation: float) -> Picture:
    """Blur by a Gaussian of this standard deviation in pixels; what lies beyond an edge is like the edge."""
    if deviation < _SHARP:
        return picture
    from ocrtrain.synthesis.effects import kernels

    reach = max(1, math.ceil(2.5 * deviation))
    # The Gaussian's share of each pixel, not its value at the middle: right for small deviations, too.
    below = [math.erf((k + 0.5) / (deviation * math.sqrt(2))) for k in range(reach + 1)]
    shares = [below[0], *((below[k] - below[k - 1]) / 2 for k in range(1, reach + 1))]
    weights = np.array([share / below[-1] for share in shares], np.float32)
    out = np.empty_like(picture, order="C")
    kernels.gaussian(as_channels(picture), weights, as_channels(out))
    return out


def shaded(picture: Picture, light: NDArray[np.float32]) -> Picture:
    """Multiply a picture by light [H, W]."""
    from ocrtrain.synthesis.effects import kernels

    out = np.empty_like(picture, order="C")
    kernels.shade(as_channels(picture), np.ascontiguousarray(light), as_channels(out))
    return out


def add_noise(picture: Picture, deviation: float, draws: Draws) -> Picture:
    """Add Gaussian noise of this standard deviation (in units of 255) to every value; uses up one number."""
    from ocrtrain.synthesis.effects import kernels

    stretch = white(draws, picture.size)
    out = np.empty_like(picture, order="C")
    bits = int(math.log2(UNIT)) + 8
    kernels.add_noise(
        as_channels(picture).reshape(-1), stretch, round(deviation * 256), bits, out.reshape(-1)
    )
    return out


def taken_off(picture: Picture, share: NDArray[np.uint8]) -> Picture:
    """Take the share [H, W], of 255, of dark ink away."""
    from ocrtrain.synthesis.effects import kernels

    out = np.empty_like(picture, order="C")
    paper = paper_of(picture)
    kernels.take_off(as_channels(picture), paper, np.ascontiguousarray(share), as_channels(out))
    return out
