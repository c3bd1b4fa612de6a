"""Changes of ink: strokes grow and shrink, bleed, fade and wear off; keys strike unevenly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from ocrtrain.settings import Limits, Range
from ocrtrain.synthesis.effects.effect import InkEffect, Picture, as_channels, grey_of, paper_of
from ocrtrain.synthesis.effects.pixels import gaussian_blur, ramp, taken_off
from ocrtrain.synthesis.effects.random_fields import UNIT, field_crop, white
from ocrtrain.synthesis.effects.warp import shift_columns
from ocrtrain.synthesis.hashed_random import HashedRandom


@dataclass(frozen=True, kw_only=True)
class Stroke(InkEffect):
    """Strokes wider by `amount` on each side; narrower where it is negative."""

    amount: Annotated[Range, Limits(-0.1, 0.2)] = (-0.01, 0.03)

    def on_dark(self, picture: Picture, rng: HashedRandom) -> Picture:
        """Spread the darkest (or the lightest) of each pixel's neighbours."""
        from ocrtrain.synthesis.effects.kernels import filters

        pixels = rng.uniform(*self.amount) * picture.shape[0]
        left = abs(pixels)
        while left > 1 / 256:
            out = np.empty_like(picture, order="C")
            filters.spread(as_channels(picture), pixels > 0, np.float32(min(left, 1.0)), as_channels(out))
            picture = out
            left -= 1
        return picture


@dataclass(frozen=True, kw_only=True)
class Bleed(InkEffect):
    """Ink that runs into the paper: softened by `radius`, darkened by `gain`, with `rough` edges."""

    radius: Annotated[Range, Limits(0, 0.1)] = (0.01, 0.03)
    gain: Annotated[Range, Limits(1, 4)] = (1.2, 2.0)
    rough: Annotated[Range, Limits(0, 1)] = (0.0, 0.4)

    def on_dark(self, picture: Picture, rng: HashedRandom) -> Picture:
        """Blur, then take more of the ink than there was, here more and there less."""
        from ocrtrain.synthesis.effects.kernels import fields

        radius = rng.uniform(*self.radius) * picture.shape[0]
        gain, rough = rng.uniform(*self.gain), rng.uniform(*self.rough)
        crop = field_crop(rng, picture.shape[:2], 2.0)
        strength = ramp(2 * rough * gain / 255, (1 - rough) * gain, 1.0)
        paper = paper_of(picture)
        ink = gaussian_blur(np.subtract(np.maximum(picture, paper), picture), radius)
        out = np.empty_like(picture, order="C")
        fields.bleed(as_channels(picture), paper, as_channels(ink), *crop, strength, as_channels(out))
        return out


@dataclass(frozen=True, kw_only=True)
class Fade(InkEffect):
    """Ink that is pale in places of size `length`, by up to `amount` of its darkness."""

    amount: Annotated[Range, Limits(0, 0.95)] = (0.0, 0.5)
    length: Annotated[Range, Limits(0.02, 4)] = (0.3, 3.0)

    def on_dark(self, picture: Picture, rng: HashedRandom) -> Picture:
        """Take from the ink what a random field says."""
        amount = rng.uniform(*self.amount)
        crop = field_crop(rng, picture.shape[:2], rng.uniform(*self.length) * picture.shape[0])
        return taken_off(picture, crop, ramp(amount / 255, 0.0))


@dataclass(frozen=True, kw_only=True)
class Wear(InkEffect):
    """Ink that is missing from `amount` of the area, in spots of size `length`, to the `depth` of 1."""

    amount: Annotated[Range, Limits(0, 0.6)] = (0.0, 0.15)
    length: Annotated[Range, Limits(0.02, 1)] = (0.03, 0.12)
    depth: Annotated[Range, Limits(0, 1)] = (0.3, 1.0)

    def on_dark(self, picture: Picture, rng: HashedRandom) -> Picture:
        """Take ink off where a random field is highest."""
        amount, depth = rng.uniform(*self.amount), rng.uniform(*self.depth)
        crop = field_crop(rng, picture.shape[:2], rng.uniform(*self.length) * picture.shape[0])
        # A slope of an eighth of the values, so that spots have no hard edges.
        return taken_off(picture, crop, ramp(depth / 32, -depth * 255 * (1 - amount) / 32, 0.0, depth))


@dataclass(frozen=True, kw_only=True)
class Strikes(InkEffect):
    """Keys of a typewriter, each with its own force: letters paler by up to `force`, `offset` off the line.

    What has no empty column within counts as one letter. `bold` is the share of letters struck so hard that
    their strokes are wider.
    """

    force: Annotated[Range, Limits(0, 0.95)] = (0.0, 0.5)
    offset: Annotated[Range, Limits(0, 0.1)] = (0.0, 0.03)
    bold: Annotated[Range, Limits(0, 1)] = (0.0, 0.2)

    def on_dark(self, picture: Picture, rng: HashedRandom) -> Picture:
        """Find the letters by their columns and change each."""
        height = picture.shape[0]
        force, offset, bold = (rng.uniform(*span) for span in (self.force, self.offset, self.bold))
        letter, count = _letters(picture)
        numbers = white(rng, 3 * count).reshape(3, count) / np.float32(UNIT)
        moved = np.clip(numbers[0], -2, 2) * np.float32(offset * height / 2)
        paler = np.clip(np.abs(numbers[1]) / 2, 0, 1) * np.float32(255)
        struck = shift_columns(picture, moved[letter]) if offset > 0 else picture
        hard = _share_above(numbers[2], bold)[letter]
        if hard.any():
            wider = struck.copy()
            np.minimum(wider[:, 1:], struck[:, :-1], out=wider[:, 1:])
            np.minimum(wider[1:], struck[:-1], out=wider[1:])
            struck = np.where(hard[:, None] if picture.ndim == 3 else hard, wider, struck)
        keys = paler.astype(np.uint8)[letter]
        return taken_off(struck, (keys[None], 0, 0), ramp(force / 255, 0.0))


def _letters(picture: Picture) -> tuple[NDArray[np.int64], int]:
    """Number the letters: the letter that each column belongs to, int64 [W], and how many there are."""
    darkest = grey_of(picture).min(axis=0)
    low, high = int(darkest.min()), int(darkest.max())
    inked = darkest < low + 0.6 * (high - low)
    starts = np.empty(len(inked), np.int64)
    starts[0] = 0
    # An empty column belongs to the letter before it.
    np.greater(inked[1:], inked[:-1], out=starts[1:], casting="unsafe")
    letter = np.cumsum(starts)
    return letter, int(letter[-1]) + 1


def _share_above(numbers: NDArray[np.float32], share: float) -> NDArray[np.bool_]:
    """Choose about `share` of Gaussian numbers."""
    from statistics import NormalDist

    if share <= 0:
        return np.zeros(len(numbers), np.bool_)
    return numbers > NormalDist().inv_cdf(max(1 - share, 1e-6))
