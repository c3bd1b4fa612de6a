"""Traces of a camera or a scanner: blur, noise, few pixels, JPEG's blocks, shadows, moiré, two tones."""

from __future__ import annotations

import math
from dataclasses import dataclass
from hashlib import shake_128
from typing import Annotated

import numpy as np
from PIL import Image

from ocrtrain.settings import Limits, Range, Share
from ocrtrain.synthesis.effects.effect import Effect, Picture, as_channels
from ocrtrain.synthesis.effects.jpeg import compressed
from ocrtrain.synthesis.effects.pixels import add_noise, gaussian_blur, otsu, ramp, shaded, shaded_slope
from ocrtrain.synthesis.effects.random_fields import UNIT, white
from ocrtrain.synthesis.hashed_random import HashedRandom


@dataclass(frozen=True, kw_only=True)
class Blur(Effect):
    """A Gaussian blur with a standard deviation of `radius`."""

    radius: Annotated[Range, Limits(0, 0.2)] = (0.006, 0.03)

    def __call__(self, picture: Picture, rng: HashedRandom) -> Picture:
        """Blur."""
        return gaussian_blur(picture, rng.uniform(*self.radius) * picture.shape[0])


@dataclass(frozen=True, kw_only=True)
class MotionBlur(Effect):
    """A blur along one direction, over `length`."""

    length: Annotated[Range, Limits(0, 0.4)] = (0.02, 0.1)

    def __call__(self, picture: Picture, rng: HashedRandom) -> Picture:
        """Average the picture with itself, moved along the direction by up to half of the length."""
        length = rng.uniform(*self.length) * picture.shape[0]
        angle = rng.uniform(0.0, math.pi)
        reach = math.ceil(length / 2)
        if not reach:
            return picture
        from ocrtrain.synthesis.effects.kernels import filters

        taps = 4 * reach + 1
        away = [length * (tap / (taps - 1) - 0.5) for tap in range(taps)]
        right, down = (np.array([round(f(angle) * a) for a in away]) for f in (math.cos, math.sin))
        out = np.empty_like(picture, order="C")
        filters.average_moved(as_channels(picture), right, down, as_channels(out))
        return out


@dataclass(frozen=True, kw_only=True)
class Noise(Effect):
    """Gaussian noise with a standard deviation of `deviation`, in grey levels of 255."""

    deviation: Annotated[Range, Limits(0, 100)] = (1.0, 15.0)

    def __call__(self, picture: Picture, rng: HashedRandom) -> Picture:
        """Add noise to every value, each channel for itself."""
        return add_noise(picture, rng.uniform(*self.deviation), rng)


@dataclass(frozen=True, kw_only=True)
class Speckle(Effect):
    """Noise that grows with the brightness, by `deviation` of it."""

    deviation: Annotated[Range, Limits(0, 0.5)] = (0.02, 0.12)

    def __call__(self, picture: Picture, rng: HashedRandom) -> Picture:
        """Multiply every value by a random number around 1."""
        from ocrtrain.synthesis.effects.kernels import fields

        deviation = rng.uniform(*self.deviation)
        noise = white(rng, picture.shape[0] * picture.shape[1])
        out = np.empty_like(picture, order="C")
        factor = np.float32(deviation / UNIT)
        fields.shade_noise(as_channels(picture), noise, factor, as_channels(out))
        return out


@dataclass(frozen=True, kw_only=True)
class SaltAndPepper(Effect):
    """White and black spots on `amount` of the pixels, squares with sides of up to `size`."""

    amount: Annotated[Range, Limits(0, 0.2)] = (0.0, 0.01)
    size: Annotated[Range, Limits(0, 0.2)] = (0.02, 0.06)

    def __call__(self, picture: Picture, rng: HashedRandom) -> Picture:
        """Set spots at random places to black or white."""
        height, width = picture.shape[:2]
        amount = rng.uniform(*self.amount)
        side = max(1, round(rng.uniform(*self.size) * height))
        count = round(amount * height * width / ((1 + side) / 2) ** 2)
        seed = rng.below(1 << 32).to_bytes(4, "little")
        if not count:
            return picture
        from ocrtrain.synthesis.effects.kernels import filters

        numbers = np.frombuffer(shake_128(seed).digest(12 * count), "<u4").reshape(3, count).astype(np.int64)
        out = np.empty_like(picture, order="C")
        filters.draw_spots(as_channels(picture), numbers, side, as_channels(out))
        return out


@dataclass(frozen=True, kw_only=True)
class Jpeg(Effect):
    """What JPEG leaves of a picture at `quality`."""

    quality: Annotated[Range, Limits(1, 100)] = (20, 90)

    def __call__(self, picture: Picture, rng: HashedRandom) -> Picture:
        """Compress the picture and read it back."""
        return compressed(picture, round(rng.uniform(*self.quality)))


@dataclass(frozen=True, kw_only=True)
class LowResolution(Effect):
    """A picture taken with `scale` (of 1) of the rows and columns."""

    scale: Annotated[Range, Limits(0.1, 1)] = (0.4, 0.9)

    def __call__(self, picture: Picture, rng: HashedRandom) -> Picture:
        """Make it smaller, and as large again."""
        height, width = picture.shape[:2]
        scale = rng.uniform(*self.scale)
        sharp = rng.chance(0.3)
        small = (max(1, round(scale * width)), max(1, round(scale * height)))
        if small == (width, height):
            return picture
        from ocrtrain.synthesis.effects.kernels import warp

        out = np.empty_like(picture, order="C")
        warp.coarsen(as_channels(picture), small[1], small[0], sharp, as_channels(out))
        return out


@dataclass(frozen=True, kw_only=True)
class Tone(Effect):
    """Brightness and contrast: values to the power of `gamma`, then `contrast` times as far from grey."""

    gamma: Annotated[Range, Limits(0.25, 4)] = (0.7, 1.4)
    contrast: Annotated[Range, Limits(0.2, 5)] = (0.8, 1.2)

    def __call__(self, picture: Picture, rng: HashedRandom) -> Picture:
        """Look each value up in a table."""
        gamma, contrast = rng.uniform(*self.gamma), rng.uniform(*self.contrast)
        levels = ((np.arange(256) / 255) ** gamma - 0.5) * contrast + 0.5
        return np.rint(np.clip(levels, 0, 1) * 255).astype(np.uint8).take(picture)


@dataclass(frozen=True, kw_only=True)
class Shadow(Effect):
    """A shadow with a soft edge across the picture that takes `amount` (of 1) of the light."""

    amount: Annotated[Range, Limits(0, 0.9)] = (0.1, 0.5)
    softness: Annotated[Range, Limits(0.01, 20)] = (0.2, 4.0)

    def __call__(self, picture: Picture, rng: HashedRandom) -> Picture:
        """Darken one side of a line through a point of the picture."""
        height, width = picture.shape[:2]
        amount, softness = rng.uniform(*self.amount), rng.uniform(*self.softness) * height
        angle = rng.uniform(0.0, 2 * math.pi)
        cos, sin = math.cos(angle), math.sin(angle)
        x0, y0 = rng.uniform(0.0, width), rng.uniform(0.0, height)
        across = (np.arange(width, dtype=np.float32) - np.float32(x0)) * np.float32(cos / softness)
        down = (np.arange(height, dtype=np.float32) - np.float32(y0)) * np.float32(sin / softness)
        return shaded_slope(picture, across, down, ramp(-amount, 1 - amount / 2, 1 - amount, 1))


@dataclass(frozen=True, kw_only=True)
class Moire(Effect):
    """Stripes, `period` apart and `amount` (of 1) dark, as where a screen's pixels meet a camera's."""

    amount: Annotated[Range, Limits(0, 0.6)] = (0.05, 0.2)
    period: Annotated[Range, Limits(0.05, 10)] = (0.1, 1.0)

    def __call__(self, picture: Picture, rng: HashedRandom) -> Picture:
        """Darken by the product of two waves across each other."""
        height, width = picture.shape[:2]
        amount, angle = rng.uniform(*self.amount), rng.uniform(0.0, math.pi)
        frequency = 2 * math.pi / (rng.uniform(*self.period) * height)
        phase = np.float32(rng.uniform(0.0, 2 * math.pi))
        x = np.arange(width, dtype=np.float32) * np.float32(frequency * math.cos(angle)) + phase
        y = np.arange(height, dtype=np.float32)[:, None] * np.float32(frequency * math.sin(angle))
        # cos(x + y), from a row and a column.
        wave = np.cos(x) * np.cos(y) - np.sin(x) * np.sin(y)
        wave *= np.float32(amount / 2)
        wave += np.float32(1 - amount / 2)
        return shaded(picture, wave)


@dataclass(frozen=True, kw_only=True)
class Binarise(Effect):
    """Two tones, as scanners make them: by one threshold (Otsu's) or by one for each place (after Sauvola).

    `local` is the share of lines that get the latter. `offset` moves the threshold towards ink (more of it
    is lost) or paper, as a share of their distance. `grain` is the standard deviation of the noise that is
    there before, in grey levels; `softness` is the width of the step between the tones, in grey levels:
    scans are made smaller after they were thresholded.
    """

    local: Share = 0.5
    offset: Annotated[Range, Limits(-0.4, 0.4)] = (-0.2, 0.2)
    grain: Annotated[Range, Limits(0, 60)] = (0.0, 20.0)
    softness: Annotated[Range, Limits(0, 255)] = (20.0, 120.0)

    def __call__(self, picture: Picture, rng: HashedRandom) -> Picture:
        """Compare each grey level with a threshold."""
        from ocrtrain.synthesis.effects.kernels import filters

        colours = picture.ndim == 3
        grey = np.asarray(Image.fromarray(picture).convert("L")) if colours else picture
        local, offset = rng.chance(self.local), rng.uniform(*self.offset)
        grain, softness = rng.uniform(*self.grain), rng.uniform(*self.softness)
        threshold, contrast = otsu(grey)
        # As Sauvola's, the threshold lies below the local mean, so that empty paper stays white.
        reach = max(2, round(0.4 * grey.shape[0])) if local else 0
        away = (offset - 0.15) * contrast if local else threshold - offset * contrast
        noise, grain = white(rng, grey.size), grain / UNIT
        gain = max(1, 256 // max(2, round(softness)))
        tones = np.empty(grey.shape, np.uint8)
        flat = as_channels(grey)[..., 0]
        filters.tones(flat, noise, np.float32(grain), reach, np.float32(away), np.float32(gain), tones)
        return np.repeat(tones[..., None], 3, axis=2) if colours else tones
