"""Traces of paper: colour, grain, stains, ruled lines, the other side's text, the lines around."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np

from ocrtrain.settings import Limits, Range, Share
from ocrtrain.synthesis.effects.effect import Effect, InkEffect, Picture, as_channels, grey_of, paper_of
from ocrtrain.synthesis.effects.geometry import ink_rows
from ocrtrain.synthesis.effects.paint import Colour, draw_colours, paint
from ocrtrain.synthesis.effects.pixels import added_to, gaussian_blur, ramp, shaded_by, shaded_slope
from ocrtrain.synthesis.effects.random_fields import field_crop
from ocrtrain.synthesis.hashed_random import HashedRandom

_LEVELS = np.arange(256, dtype=np.float32)
_BROWN = np.array([0.6, 0.9, 1.3], np.float32)


@dataclass(frozen=True, kw_only=True)
class Colours(Effect):
    """Paints ink and paper: `channels` is 3 for colours, 1 for grey ones, None for what the line has.

    Whatever the picture was like before, its ink is taken to be black.
    """

    channels: Literal[1, 3] | None = None

    def __call__(self, picture: Picture, rng: HashedRandom) -> Picture:
        """Paint the ink on the paper."""
        channels = self.channels or (1 if picture.ndim == 2 else 3)
        return paint(~grey_of(picture), *self.draw(rng, channels))

    @abstractmethod
    def draw(self, rng: HashedRandom, channels: int) -> tuple[Colour, Colour]:
        """Draw the colours of paper and ink."""


@dataclass(frozen=True, kw_only=True)
class AnyColours(Colours):
    """Paper and ink in any two colours whose brightness differs by `contrast` of 1 at least."""

    # Beyond a half, grey paper of middle brightness would have no ink.
    contrast: Annotated[float, Limits(0.05, 0.5)] = 0.35

    def draw(self, rng: HashedRandom, channels: int) -> tuple[Colour, Colour]:
        """Draw the colours of paper and ink."""
        return draw_colours(rng, channels, self.contrast)


@dataclass(frozen=True, kw_only=True)
class DarkInk(Colours):
    """Dark ink on light paper: of a brightness in the ranges `ink` and `paper`, of 1, tinted by up to `tint`.

    `inverted` is the share of lines that are light on dark.
    """

    paper: Annotated[Range, Limits(0, 1)] = (0.75, 1.0)
    ink: Annotated[Range, Limits(0, 1)] = (0.0, 0.35)
    tint: Annotated[Range, Limits(0, 0.5)] = (0.0, 0.1)
    inverted: Share = 0.0

    def draw(self, rng: HashedRandom, channels: int) -> tuple[Colour, Colour]:
        """Draw the colours of paper and ink."""
        paper, ink = (self._tinted(rng.uniform(*span), rng, channels) for span in (self.paper, self.ink))
        return (ink, paper) if rng.chance(self.inverted) else (paper, ink)

    def _tinted(self, light: float, rng: HashedRandom, channels: int) -> Colour:
        tint = rng.uniform(*self.tint)
        warm = rng.uniform(-0.4, 1.0)  # paper yellows, and hardly ever gets blue
        shades = (light + tint * warm / 2, light, light - tint * warm) if channels == 3 else (light,)
        return tuple(round(255 * min(max(shade, 0.0), 1.0)) for shade in shades)


@dataclass(frozen=True, kw_only=True)
class Gradient(Effect):
    """Light that falls off from one side to the other by `amount` of 1."""

    amount: Annotated[Range, Limits(0, 0.9)] = (0.0, 0.3)

    def __call__(self, picture: Picture, rng: HashedRandom) -> Picture:
        """Darken along a random direction."""
        height, width = picture.shape[:2]
        amount, angle = rng.uniform(*self.amount), rng.uniform(0.0, 2 * math.pi)
        across, down = math.cos(angle), math.sin(angle)
        total = abs(across) + abs(down)
        x = np.arange(width, dtype=np.float32) * np.float32(-amount * across / total / width)
        y = np.arange(height, dtype=np.float32) * np.float32(-amount * down / total / height)
        # Full light in the corner where there is most.
        brightest = -amount * (min(across, 0.0) + min(down, 0.0)) / total
        return shaded_slope(picture, x, y, ramp(1.0, 1 - brightest, 0.0))


@dataclass(frozen=True, kw_only=True)
class Texture(Effect):
    """The paper's grain: patches of size `length`, lighter and darker by up to `amount` of 1."""

    amount: Annotated[Range, Limits(0, 0.5)] = (0.0, 0.12)
    length: Annotated[Range, Limits(0.02, 4)] = (0.03, 0.4)

    def __call__(self, picture: Picture, rng: HashedRandom) -> Picture:
        """Add a random field."""
        amount = rng.uniform(*self.amount)
        crop = field_crop(rng, picture.shape[:2], rng.uniform(*self.length) * picture.shape[0])
        return added_to(picture, crop, ramp(amount, -127.5 * amount))


@dataclass(frozen=True, kw_only=True)
class Stains(Effect):
    """Blotches on `area` of the paper, of size `length`, that take `amount` (of 1) of the light."""

    area: Annotated[Range, Limits(0, 1)] = (0.05, 0.4)
    length: Annotated[Range, Limits(0.1, 4)] = (0.5, 3.0)
    amount: Annotated[Range, Limits(0, 0.8)] = (0.05, 0.35)

    def __call__(self, picture: Picture, rng: HashedRandom) -> Picture:
        """Darken where a random field is highest."""
        area, amount = rng.uniform(*self.area), rng.uniform(*self.amount)
        crop = field_crop(rng, picture.shape[:2], rng.uniform(*self.length) * picture.shape[0])
        least = 1 - amount
        light = ramp(-amount / 48, 1 + amount * 255 * (1 - area) / 48, least, 1.0)
        if picture.ndim == 2:
            return shaded_by(picture, crop, light)
        from ocrtrain.synthesis.effects.kernels import fields

        # Brown: most of the blue goes, and the least of the red.
        table = (_LEVELS * light[0] + light[1]).clip(least, 1.0)[:, None] ** _BROWN
        out = np.empty_like(picture, order="C")
        fields.shade_table(as_channels(picture), *crop, table, as_channels(out))
        return out


@dataclass(frozen=True, kw_only=True)
class Rules(Effect):
    """Ruled lines: one below the text or two around it, `thickness` thick, that take `amount` of the light.

    `upright` is the share of lines that have a few vertical ones, too, as forms and squared paper do.
    """

    amount: Annotated[Range, Limits(0, 1)] = (0.15, 0.7)
    thickness: Annotated[Range, Limits(0, 0.15)] = (0.02, 0.05)
    upright: Share = 0.2

    def __call__(self, picture: Picture, rng: HashedRandom) -> Picture:
        """Darken rows and columns."""
        from ocrtrain.synthesis.effects.kernels import fields

        height, width = picture.shape[:2]
        amount, thickness = rng.uniform(*self.amount), rng.uniform(*self.thickness) * height
        lying, upright = [rng.uniform(0.68, 1.0) * height], []
        if rng.chance(0.4):
            lying.append(rng.uniform(0.0, 0.15) * height)
        if rng.chance(self.upright):
            period, start = rng.uniform(0.8, 6.0) * height, rng.uniform(0.0, 1.0)
            upright = [(k + start) * period for k in range(math.ceil(width / period))]
        down, across = np.empty(height, np.float32), np.empty(width, np.float32)
        fields.bars(np.array(lying), thickness, amount, down)
        fields.bars(np.array(upright, np.float64), thickness, amount, across)
        out = np.empty_like(picture, order="C")
        fields.shade_bars(as_channels(picture), across, down, as_channels(out))
        return out


@dataclass(frozen=True, kw_only=True)
class ShowThrough(InkEffect):
    """Mirrored text of the other side, `amount` (of 1) as dark as the ink, blurred by `radius`."""

    amount: Annotated[Range, Limits(0, 0.6)] = (0.05, 0.25)
    radius: Annotated[Range, Limits(0, 0.2)] = (0.01, 0.06)

    def on_dark(self, picture: Picture, rng: HashedRandom) -> Picture:
        """Take the line itself for what is behind it, mirrored and moved."""
        from ocrtrain.synthesis.effects.kernels import fields

        height, width = picture.shape[:2]
        amount, radius = rng.uniform(*self.amount), rng.uniform(*self.radius) * height
        moved, down = rng.below(width), round(rng.uniform(-0.6, 0.6) * height)
        mirrored, out = np.empty_like(picture, order="C"), np.empty_like(picture, order="C")
        fields.mirrored_ink(as_channels(picture), paper_of(picture), moved, as_channels(mirrored))
        ghost = as_channels(gaussian_blur(mirrored, radius))
        fields.darken(as_channels(picture), ghost, down, np.float32(amount), as_channels(out))
        return out


@dataclass(frozen=True, kw_only=True)
class Neighbours(InkEffect):
    """The lower ends of the line above and the upper ends of the one below, `amount` of the height of each.

    They are pieces of the line itself, moved sideways, and stay `gap` away from its own ink: where that
    fills the picture, nothing is to be seen of others. `above` and `below` are shares of the lines.
    """

    amount: Annotated[Range, Limits(0, 0.5)] = (0.04, 0.2)
    gap: Annotated[Range, Limits(0, 0.3)] = (0.02, 0.08)
    above: Share = 0.7
    below: Share = 0.6

    def on_dark(self, picture: Picture, rng: HashedRandom) -> Picture:
        """Copy the ink's lowest rows to the top edge, and its highest to the bottom."""
        height, width = picture.shape[:2]
        top, bottom = ink_rows(picture)
        gap = math.ceil(rng.uniform(*self.gap) * height)
        out = picture.copy()
        for chosen, free in ((self.above, top), (self.below, height - bottom)):
            seen = rng.chance(chosen)
            rows = min(round(rng.uniform(*self.amount) * height), free - gap, bottom - top)
            moved = width // 4 + rng.below(width // 2 + 1)
            if not seen or rows <= 0:
                continue
            source = picture[bottom - rows : bottom] if free is top else picture[top : top + rows]
            target = out[:rows] if free is top else out[height - rows :]
            # Those columns that are moved beyond the right edge come in at the left.
            np.minimum(target[:, moved:], source[:, : width - moved], out=target[:, moved:])
            np.minimum(target[:, :moved], source[:, width - moved :], out=target[:, :moved])
        return out
