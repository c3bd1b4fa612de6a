"""What a camera or a scanner adds: blur, noise, few pixels, JPEG's blocks, shadows, moiré, two tones."""

from __future__ import annotations

import math
from dataclasses import dataclass
from hashlib import shake_128

import numpy as np
from PIL import Image

from ocrtrain.synthesis.effects.effect import Effect, Picture, Range, as_channels, setting
from ocrtrain.synthesis.effects.fields import UNIT, white
from ocrtrain.synthesis.effects.jpeg import compressed
from ocrtrain.synthesis.effects.pixels import add_noise, gaussian_blur, otsu, ramp, shaded, shaded_slope
from ocrtrain.synthesis.hashed_random import HashedRandom


@dataclass(frozen=True, kw_only=True)
class Blur(Effect):
    """A Gaussian blur with a standard deviation of `radius`."""

    radius: Range = setting((0.006, 0.03), 0.0, 0.2)

    def __call__(self, picture: Picture, draws: HashedRandom) -> Picture:
        """Blur."""
        return gaussian_blur(picture, draws.uniform(*self.radius) * picture.shape[0])


@dataclass(frozen=True, kw_only=True)
class MotionBlur(Effect):
    """A blur along one direction, over `length`."""

    length: Range = setting((0.02, 0.1), 0.0, 0.4)

    def __call__(self, picture: Picture, draws: HashedRandom) -> Picture:
        """Average the picture with itself, moved along the direction by up to half of the length."""
        length = draws.uniform(*self.length) * picture.shape[0]
        angle = draws.uniform(0.0, math.pi)
        reach = math.ceil(length / 2)
        if not reach:
            return picture
        from ocrtrain.synthesis.effects import kernels

        taps = 4 * reach + 1
        away = [length * (tap / (taps - 1) - 0.5) for tap in range(taps)]
        right, down = (np.array([round(f(angle) * a) for a in away]) for f in (math.cos, math.sin))
        out = np.empty_like(picture, order="C")
        kernels.average_moved(as_channels(picture), right, down, as_channels(out))
        return out


@dataclass(frozen=True, kw_only=True)
class Noise(Effect):
    """Gaussian noise with a standard deviation of `deviation`, in grey levels of 255."""

    deviation: Range = setting((1.0, 15.0), 0.0, 100.0)

    def __call__(self, picture: Picture, draws: HashedRandom) -> Picture:
        """Add noise to every value, each channel for itself."""
        return add_noise(picture, draws.uniform(*self.deviation), draws)


@dataclass(frozen=True, kw_only=True)
class Speckle(Effect):
    """Noise that grows with the brightness, by `deviation` of it."""

    deviation: Range = setting((0.02, 0.12), 0.0, 0.5)

    def __call__(self, picture: Picture, draws: HashedRandom) -> Picture:
        """Multiply every value by a random number around 1."""
        from ocrtrain.synthesis.effects import field_kernels

        deviation = draws.uniform(*self.deviation)
        noise = white(draws, picture.shape[0] * picture.shape[1])
        out = np.empty_like(picture, order="C")
        factor = np.float32(deviation / UNIT)
        field_kernels.shade_noise(as_channels(picture), noise, factor, as_channels(out))
        return out


@dataclass(frozen=True, kw_only=True)
class SaltAndPepper(Effect):
    """White and black spots on `amount` of the pixels, squares with sides of up to `size`."""

    amount: Range = setting((0.0, 0.01), 0.0, 0.2)
    size: Range = setting((0.02, 0.06), 0.0, 0.2)

    def __call__(self, picture: Picture, draws: HashedRandom) -> Picture:
        """Set spots at random places to black or white."""
        height, width = picture.shape[:2]
        amount = draws.uniform(*self.amount)
        side = max(1, round(draws.uniform(*self.size) * height))
        count = round(amount * height * width / ((1 + side) / 2) ** 2)
        seed = draws.below(1 << 32).to_bytes(4, "little")
        if not count:
            return picture
        from ocrtrain.synthesis.effects import kernels

        numbers = np.frombuffer(shake_128(seed).digest(12 * count), "<u4").reshape(3, count).astype(np.int64)
        out = np.empty_like(picture, order="C")
        kernels.draw_spots(as_channels(picture), numbers, side, as_channels(out))
        return out


@dataclass(frozen=True, kw_only=True)
class Jpeg(Effect):
    """What JPEG leaves of a picture at `quality`."""

    quality: Range = setting((20, 90), 1, 100)

    def __call__(self, picture: Picture, draws: HashedRandom) -> Picture:
        """Round the blocks' coefficients."""
        return compressed(picture, round(draws.uniform(*self.quality)))


@dataclass(frozen=True, kw_only=True)
class LowResolution(Effect):
    """A picture taken with `scale` (of 1) of the rows and columns."""

    scale: Range = setting((0.4, 0.9), 0.1, 1.0)

    def __call__(self, picture: Picture, draws: HashedRandom) -> Picture:
        """Make it smaller, and as large again."""
        height, width = picture.shape[:2]
        scale = draws.uniform(*self.scale)
        sharp = draws.chance(0.3)
        small = (max(1, round(scale * width)), max(1, round(scale * height)))
        if small == (width, height):
            return picture
        from ocrtrain.synthesis.effects import warp_kernels

        out = np.empty_like(picture, order="C")
        warp_kernels.coarsen(as_channels(picture), small[1], small[0], sharp, as_channels(out))
        return out


@dataclass(frozen=True, kw_only=True)
class Tone(Effect):
    """Brightness and contrast: values to the power of `gamma`, then `contrast` times as far from grey."""

    gamma: Range = setting((0.7, 1.4), 0.25, 4.0)
    contrast: Range = setting((0.8, 1.2), 0.2, 5.0)

    def __call__(self, picture: Picture, draws: HashedRandom) -> Picture:
        """Look each value up in a table."""
        gamma, contrast = draws.uniform(*self.gamma), draws.uniform(*self.contrast)
        levels = ((np.arange(256) / 255) ** gamma - 0.5) * contrast + 0.5
        return np.rint(np.clip(levels, 0, 1) * 255).astype(np.uint8).take(picture)


@dataclass(frozen=True, kw_only=True)
class Shadow(Effect):
    """A shadow with a soft edge across the picture that takes `amount` (of 1) of the light."""

    amount: Range = setting((0.1, 0.5), 0.0, 0.9)
    softness: Range = setting((0.2, 4.0), 0.01, 20.0)

    def __call__(self, picture: Picture, draws: HashedRandom) -> Picture:
        """Darken one side of a line through a point of the picture."""
        height, width = picture.shape[:2]
        amount, softness = draws.uniform(*self.amount), draws.uniform(*self.softness) * height
        angle = draws.uniform(0.0, 2 * math.pi)
        cos, sin = math.cos(angle), math.sin(angle)
        x0, y0 = draws.uniform(0.0, width), draws.uniform(0.0, height)
        across = (np.arange(width, dtype=np.float32) - np.float32(x0)) * np.float32(cos / softness)
        down = (np.arange(height, dtype=np.float32) - np.float32(y0)) * np.float32(sin / softness)
        return shaded_slope(picture, across, down, ramp(-amount, 1 - amount / 2, 1 - amount, 1))


@dataclass(frozen=True, kw_only=True)
class Moire(Effect):
    """Stripes, `period` apart and `amount` (of 1) dark, as where a screen's pixels meet a camera's."""

    amount: Range = setting((0.05, 0.2), 0.0, 0.6)
    period: Range = setting((0.1, 1.0), 0.05, 10.0)

    def __call__(self, picture: Picture, draws: HashedRandom) -> Picture:
        """Darken by the product of two waves across each other."""
        height, width = picture.shape[:2]
        amount, angle = draws.uniform(*self.amount), draws.uniform(0.0, math.pi)
        frequency = 2 * math.pi / (draws.uniform(*self.period) * height)
        phase = np.float32(draws.uniform(0.0, 2 * math.pi))
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

    local: float = setting(0.5, 0.0, 1.0)
    offset: Range = setting((-0.2, 0.2), -0.4, 0.4)
    grain: Range = setting((0.0, 20.0), 0.0, 60.0)
    softness: Range = setting((20.0, 120.0), 0.0, 255.0)

    def __call__(self, picture: Picture, draws: HashedRandom) -> Picture:
        """Compare each grey level with a threshold."""
        from ocrtrain.synthesis.effects import kernels

        colours = picture.ndim == 3
        grey = np.asarray(Image.fromarray(picture).convert("L")) if colours else picture
        local, offset = draws.chance(self.local), draws.uniform(*self.offset)
        grain, softness = draws.uniform(*self.grain), draws.uniform(*self.softness)
        threshold, contrast = otsu(grey)
        # As Sauvola's, the threshold lies below the local mean, so that empty paper stays white.
        reach = max(2, round(0.4 * grey.shape[0])) if local else 0
        away = (offset - 0.15) * contrast if local else threshold - offset * contrast
        noise, grain = white(draws, grey.size), grain / UNIT
        gain = max(1, 256 // max(2, round(softness)))
        tones = np.empty(grey.shape, np.uint8)
        flat = as_channels(grey)[..., 0]
        kernels.tones(flat, noise, np.float32(grain), reach, np.float32(away), np.float32(gain), tones)
        return np.repeat(tones[..., None], 3, axis=2) if colours else tones
