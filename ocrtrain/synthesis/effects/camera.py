"""What a camera or a scanner adds: blur, noise, few pixels, JPEG's blocks, shadows, moiré, two tones."""

from __future__ import annotations

import math
from dataclasses import dataclass
from hashlib import shake_128

import numpy as np
from PIL import Image, ImageFilter

from ocrtrain.synthesis.draws import Draws
from ocrtrain.synthesis.effects.effect import Effect, Picture, Range, setting
from ocrtrain.synthesis.effects.fields import UNIT, white
from ocrtrain.synthesis.effects.jpeg import compressed
from ocrtrain.synthesis.effects.pixels import add_noise, gaussian_blur, otsu, shaded


@dataclass(frozen=True, kw_only=True)
class Blur(Effect):
    """A Gaussian blur with a standard deviation of `radius`."""

    radius: Range = setting((0.006, 0.03), 0.0, 0.2)

    def __call__(self, picture: Picture, draws: Draws) -> Picture:
        """Blur."""
        return gaussian_blur(picture, draws.uniform(*self.radius) * picture.shape[0])


@dataclass(frozen=True, kw_only=True)
class MotionBlur(Effect):
    """A blur along one direction, over `length`."""

    length: Range = setting((0.02, 0.1), 0.0, 0.4)

    def __call__(self, picture: Picture, draws: Draws) -> Picture:
        """Average the picture with itself, moved along the direction by up to half of the length."""
        height, width = picture.shape[:2]
        length = draws.uniform(*self.length) * height
        angle = draws.uniform(0.0, math.pi)
        reach = math.ceil(length / 2)
        if not reach:
            return picture
        around = ((reach, reach), (reach, reach), (0, 0))[: picture.ndim]
        wide = np.pad(picture, around, mode="edge")
        total = np.zeros(picture.shape, np.uint16)
        taps = 4 * reach + 1
        for tap in range(taps):
            away = length * (tap / (taps - 1) - 0.5)
            x, y = reach + round(math.cos(angle) * away), reach + round(math.sin(angle) * away)
            total += wide[y : y + height, x : x + width]
        return ((total + taps // 2) // taps).astype(np.uint8)


@dataclass(frozen=True, kw_only=True)
class Noise(Effect):
    """Gaussian noise with a standard deviation of `deviation`, in grey levels of 255."""

    deviation: Range = setting((1.0, 15.0), 0.0, 100.0)

    def __call__(self, picture: Picture, draws: Draws) -> Picture:
        """Add noise to every value, each channel for itself."""
        return add_noise(picture, draws.uniform(*self.deviation), draws)


@dataclass(frozen=True, kw_only=True)
class Speckle(Effect):
    """Noise that grows with the brightness, by `deviation` of it."""

    deviation: Range = setting((0.02, 0.12), 0.0, 0.5)

    def __call__(self, picture: Picture, draws: Draws) -> Picture:
        """Multiply every value by a random number around 1."""
        deviation = draws.uniform(*self.deviation)
        height, width = picture.shape[:2]
        light = white(draws, height * width).astype(np.float32).reshape(height, width)
        return shaded(picture, light * np.float32(deviation / UNIT) + np.float32(1))


@dataclass(frozen=True, kw_only=True)
class SaltAndPepper(Effect):
    """White and black spots on `amount` of the pixels, squares with sides of up to `size`."""

    amount: Range = setting((0.0, 0.01), 0.0, 0.2)
    size: Range = setting((0.02, 0.06), 0.0, 0.2)

    def __call__(self, picture: Picture, draws: Draws) -> Picture:
        """Set spots at random places to black or white."""
        height, width = picture.shape[:2]
        amount = draws.uniform(*self.amount)
        side = max(1, round(draws.uniform(*self.size) * height))
        count = round(amount * height * width / ((1 + side) / 2) ** 2)
        seed = draws.below(1 << 32).to_bytes(4, "little")
        if not count:
            return picture
        numbers = np.frombuffer(shake_128(seed).digest(12 * count), np.uint32).reshape(3, count)
        numbers = numbers.astype(np.uint64)
        rows, columns = (numbers[0] * height >> 32), (numbers[1] * width >> 32)
        shade = np.where(numbers[2] & 1, 255, 0).astype(np.uint8)
        # Each has sides of its own: what a spot is larger than one pixel comes to fewer and fewer.
        sides = (numbers[2] >> 8) % side + 1
        out = picture.copy()
        for down in range(side):
            for right in range(side):
                large = sides > max(down, right)
                at = np.minimum(rows[large] + down, height - 1), np.minimum(columns[large] + right, width - 1)
                out[at] = shade[large] if picture.ndim == 2 else shade[large, None]
        return out


@dataclass(frozen=True, kw_only=True)
class Jpeg(Effect):
    """What JPEG leaves of a picture at `quality`."""

    quality: Range = setting((20, 90), 1, 100)

    def __call__(self, picture: Picture, draws: Draws) -> Picture:
        """Round the blocks' coefficients."""
        return compressed(picture, round(draws.uniform(*self.quality)))


@dataclass(frozen=True, kw_only=True)
class LowResolution(Effect):
    """A picture taken with `scale` (of 1) of the rows and columns."""

    scale: Range = setting((0.4, 0.9), 0.1, 1.0)

    def __call__(self, picture: Picture, draws: Draws) -> Picture:
        """Make it smaller, and as large again."""
        height, width = picture.shape[:2]
        scale = draws.uniform(*self.scale)
        sharp = draws.chance(0.3)
        small = (max(1, round(scale * width)), max(1, round(scale * height)))
        if small == (width, height):
            return picture
        image = Image.fromarray(picture).resize(small, Image.Resampling.BILINEAR)
        back = Image.Resampling.NEAREST if sharp else Image.Resampling.BILINEAR
        return np.asarray(image.resize((width, height), back))


@dataclass(frozen=True, kw_only=True)
class Tone(Effect):
    """Brightness and contrast: values to the power of `gamma`, then `contrast` times as far from grey."""

    gamma: Range = setting((0.7, 1.4), 0.25, 4.0)
    contrast: Range = setting((0.8, 1.2), 0.2, 5.0)

    def __call__(self, picture: Picture, draws: Draws) -> Picture:
        """Look each value up in a table."""
        gamma, contrast = draws.uniform(*self.gamma), draws.uniform(*self.contrast)
        levels = ((np.arange(256) / 255) ** gamma - 0.5) * contrast + 0.5
        return np.rint(np.clip(levels, 0, 1) * 255).astype(np.uint8).take(picture)


@dataclass(frozen=True, kw_only=True)
class Shadow(Effect):
    """A shadow with a soft edge across the picture that takes `amount` (of 1) of the light."""

    amount: Range = setting((0.1, 0.5), 0.0, 0.9)
    softness: Range = setting((0.2, 4.0), 0.01, 20.0)

    def __call__(self, picture: Picture, draws: Draws) -> Picture:
        """Darken one side of a line through a point of the picture."""
        height, width = picture.shape[:2]
        amount, softness = draws.uniform(*self.amount), draws.uniform(*self.softness) * height
        angle = draws.uniform(0.0, 2 * math.pi)
        cos, sin = math.cos(angle), math.sin(angle)
        x0, y0 = draws.uniform(0.0, width), draws.uniform(0.0, height)
        across = (np.arange(width, dtype=np.float32) - np.float32(x0)) * np.float32(cos / softness)
        down = (np.arange(height, dtype=np.float32) - np.float32(y0)) * np.float32(sin / softness)
        dark = np.clip(across + down[:, None] + np.float32(0.5), 0, 1)
        dark *= np.float32(-amount)
        dark += 1
        return shaded(picture, dark)


@dataclass(frozen=True, kw_only=True)
class Moire(Effect):
    """Stripes, `period` apart and `amount` (of 1) dark, as where a screen's pixels meet a camera's."""

    amount: Range = setting((0.05, 0.2), 0.0, 0.6)
    period: Range = setting((0.1, 1.0), 0.05, 10.0)

    def __call__(self, picture: Picture, draws: Draws) -> Picture:
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

    def __call__(self, picture: Picture, draws: Draws) -> Picture:
        """Compare each grey level with a threshold."""
        colours = picture.ndim == 3
        grey = np.asarray(Image.fromarray(picture).convert("L")) if colours else picture
        local, offset = draws.chance(self.local), draws.uniform(*self.offset)
        grain, softness = draws.uniform(*self.grain), draws.uniform(*self.softness)
        threshold, contrast = otsu(grey)
        grey = add_noise(grey, grain, draws)
        step = np.int16(max(2, round(softness)))
        if local:
            # As Sauvola's, the threshold lies below the local mean, so that empty paper stays white.
            image = Image.fromarray(grey)
            mean = np.asarray(image.filter(ImageFilter.BoxBlur(max(2, round(0.4 * grey.shape[0])))))
            away = np.int16(round((0.15 - offset) * contrast))
            level = grey.astype(np.int16) - mean
            level += away
        else:
            level = grey.astype(np.int16)
            level -= np.int16(round(threshold - offset * contrast))
        level *= np.int16(max(1, 256 // int(step)))
        level += 128
        tones = np.clip(level, 0, 255, out=level).astype(np.uint8)
        return np.repeat(tones[..., None], 3, axis=2) if colours else tones
