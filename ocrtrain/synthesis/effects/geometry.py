"""Lines that are not straight: wavering, curved, turned, slanted, seen from the side, cut out tightly."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from ocrtrain.settings import Limits, Range, Share
from ocrtrain.synthesis.effects.effect import Effect, Picture, as_channels, is_dark_on_light, paper_of
from ocrtrain.synthesis.effects.random_fields import UNIT, wave, white
from ocrtrain.synthesis.effects.warp import Points, displace, shift_columns
from ocrtrain.synthesis.hashed_random import HashedRandom


@dataclass(frozen=True, kw_only=True)
class Wander(Effect):
    """A baseline that goes up and down by `amount`, with waves of `length`."""

    moves: ClassVar[bool] = True
    amount: Annotated[Range, Limits(0, 0.3)] = (0.0, 0.04)
    length: Annotated[Range, Limits(0.5, 100)] = (2.0, 10.0)

    def __call__(self, picture: Picture, rng: HashedRandom) -> Picture:
        """Move each column up or down."""
        height, width = picture.shape[:2]
        amount = rng.uniform(*self.amount) * height
        shifts = wave(rng, width, rng.uniform(*self.length) * height) * np.float32(amount)
        return shift_columns(picture, shifts)


@dataclass(frozen=True, kw_only=True)
class Curve(Effect):
    """A line bent to an arc whose ends and middle are `amount` apart, as on a page that does not lie flat."""

    moves: ClassVar[bool] = True
    amount: Annotated[Range, Limits(0, 0.5)] = (0.0, 0.12)

    def __call__(self, picture: Picture, rng: HashedRandom) -> Picture:
        """Move each column up or down."""
        height, width = picture.shape[:2]
        amount = rng.uniform(*self.amount) * height * (1 if rng.chance(0.5) else -1)
        apex = rng.uniform(-0.6, 0.6)
        arc = (np.arange(width, dtype=np.float32) * np.float32(2 / width) - np.float32(1 + apex)) ** 2
        arc -= np.float32(1 / 3 + apex**2)  # its mean: as much goes up as down
        arc *= np.float32(amount / (1 + abs(apex)) ** 2)
        return shift_columns(picture, arc)


@dataclass(frozen=True, kw_only=True)
class Rotation(Effect):
    """A line turned by up to so many `degrees`; long ones less, so that their ends move by `rise` at most."""

    moves: ClassVar[bool] = True
    degrees: Annotated[Range, Limits(-45, 45)] = (-1.0, 1.0)
    rise: Share = 0.15

    def __call__(self, picture: Picture, rng: HashedRandom) -> Picture:
        """Turn about the middle, counter-clockwise for positive degrees."""
        height, width = picture.shape[:2]
        steepest = math.asin(min(1.0, 2 * self.rise * height / max(width, height)))
        angle = max(-steepest, min(steepest, math.radians(rng.uniform(*self.degrees))))
        cos, sin = np.float32(math.cos(angle) - 1), np.float32(math.sin(angle))

        def turned(x: Points, y: Points) -> tuple[Points, Points]:
            x, y = x - np.float32((width - 1) / 2), y - np.float32((height - 1) / 2)
            return cos * x - sin * y, sin * x + cos * y

        return displace(picture, turned, max(height, width))


@dataclass(frozen=True, kw_only=True)
class Slant(Effect):
    """Letters that lean to the right by `amount` columns per row, or to the left."""

    moves: ClassVar[bool] = True
    amount: Annotated[Range, Limits(-1, 1)] = (-0.15, 0.15)

    def __call__(self, picture: Picture, rng: HashedRandom) -> Picture:
        """Move each row to the left or right."""
        height, width = picture.shape[:2]
        slope = np.float32(rng.uniform(*self.amount))

        def slanted(x: Points, y: Points) -> tuple[Points, Points]:
            return slope * (y - np.float32((height - 1) / 2)), np.zeros_like(y)

        return displace(picture, slanted, max(height, width))


@dataclass(frozen=True, kw_only=True)
class Perspective(Effect):
    """A line seen from the side: each corner is moved by up to `amount`."""

    moves: ClassVar[bool] = True
    amount: Annotated[Range, Limits(0, 0.4)] = (0.0, 0.12)

    def __call__(self, picture: Picture, rng: HashedRandom) -> Picture:
        """Map four moved corners onto those of the picture."""
        height, width = picture.shape[:2]
        amount = rng.uniform(*self.amount)
        right, down = amount * height / width, amount
        corners = [
            (x + rng.uniform(-right, right), y + rng.uniform(-down, down))
            for x, y in ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
        ]
        a, b, c, d, e, f, g, h = (np.float32(number) for number in _from_square(corners))

        def seen(x: Points, y: Points) -> tuple[Points, Points]:
            u, v = x / np.float32(width), y / np.float32(height)
            depth = g * u + h * v + 1
            at_x, at_y = (a * u + b * v + c) / depth, (d * u + e * v + f) / depth
            return np.float32(width) * (at_x - u), np.float32(height) * (at_y - v)

        return displace(picture, seen, height / 2)


@dataclass(frozen=True, kw_only=True)
class Elastic(Effect):
    """Paper warped in patches of size `length`, by `amount` in all directions."""

    moves: ClassVar[bool] = True
    amount: Annotated[Range, Limits(0, 0.2)] = (0.0, 0.02)
    length: Annotated[Range, Limits(0.1, 10)] = (0.3, 1.0)

    def __call__(self, picture: Picture, rng: HashedRandom) -> Picture:
        """Look a little beside each point."""
        height = picture.shape[0]
        amount = np.float32(rng.uniform(*self.amount) * height / (2 * UNIT))
        cell = rng.uniform(*self.length) * height

        def warped(x: Points, y: Points) -> tuple[Points, Points]:
            beside = white(rng, 2 * x.size).clip(-2 * UNIT, 2 * UNIT) * amount
            return beside[: x.size].reshape(x.shape), beside[x.size :].reshape(x.shape)

        return displace(picture, warped, cell)


@dataclass(frozen=True, kw_only=True)
class Crop(Effect):
    """A line cut out tightly or loosely: `room` is left above its ink, and below it."""

    moves: ClassVar[bool] = True
    room: Annotated[Range, Limits(0, 0.4)] = (0.0, 0.2)

    def __call__(self, picture: Picture, rng: HashedRandom) -> Picture:
        """Stretch or squeeze the rows so that the ink lies where the room says."""
        height = picture.shape[0]
        above, below = (rng.uniform(*self.room) * height for _ in range(2))
        top, bottom = ink_rows(picture)
        # Not by more than a third of the present size: a dash is no letter.
        scale = max(2 / 3, min(3 / 2, (bottom - top) / max(height - above - below, 1.0)))
        start = np.float32((top + bottom) / 2 - scale * (above + (height - below - above) / 2))

        def cut(x: Points, y: Points) -> tuple[Points, Points]:
            return np.zeros_like(x), start + np.float32(scale - 1) * y

        return displace(picture, cut, max(picture.shape))


def ink_rows(picture: Picture) -> tuple[int, int]:
    """Find the first row that has ink, and the one after the last; all of them if none stands out."""
    from ocrtrain.synthesis.effects.kernels import measures

    top, bottom = measures.ink_rows(as_channels(picture), paper_of(picture), is_dark_on_light(picture))
    return int(top), int(bottom)


def _from_square(corners: list[tuple[float, float]]) -> tuple[float, ...]:
    """Find the mapping (a u + b v + c, d u + e v + f) / (g u + h v + 1) of the unit square onto four corners.

    Heckbert, Fundamentals of Texture Mapping and Image Warping (1989), section 2.2.3.
    """
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = corners
    sum_x, sum_y = x0 - x1 + x2 - x3, y0 - y1 + y2 - y3
    dx1, dx2, dy1, dy2 = x1 - x2, x3 - x2, y1 - y2, y3 - y2
    area = dx1 * dy2 - dx2 * dy1
    g, h = (sum_x * dy2 - dx2 * sum_y) / area, (dx1 * sum_y - sum_x * dy1) / area
    return (x1 - x0 + g * x1, x3 - x0 + h * x3, x0, y1 - y0 + g * y1, y3 - y0 + h * y3, y0, g, h)
