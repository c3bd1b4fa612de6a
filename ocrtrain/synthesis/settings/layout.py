"""Size of drawn lines, and the layout of their ink before any effect: ranges and shares to draw from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from ocrtrain.settings import Limits, Range, Share
from ocrtrain.synthesis.hashed_random import HashedRandom
from ocrtrain.synthesis.render import Placement


@dataclass(frozen=True, slots=True)
class LineSize:
    """The size of a line's picture.

    height: in pixels.
    width: in pixels, with paper around shorter texts, and longer ones made smaller; None for as wide as the
        text is.
    channels: 3 for RGB, 1 for grey.
    """

    height: Annotated[int, Limits(8, 1024)] = 32
    width: Annotated[int, Limits(8, 1 << 15)] | None = None
    channels: Literal[1, 3] = 3


@dataclass(frozen=True, slots=True)
class LayoutSettings:
    """Ranges (lowest, highest) of a line's layout. Pixels are those of a line of height 32, and grow with it.

    size: pixels per em, as a share of the height.
    margin: left and right of the text, in pixels.
    shift: up or down from the middle, in pixels, at most.
    tight: share of the lines that are cut out along their ink instead.
    room: above and below the ink of those, as a share of the height.
    spacing: between letters, beyond the font's own, in ems.
    word_spacing: between words, likewise.
    pitch: a typewriter's advance, the same for all letters, in ems; None for each letter's own.
    stretch: width of the letters, of the font's own.
    slant: columns per row that letters lean to the right.
    rotation: largest angle either way, in degrees.
    rotation_share: share of the lines that are turned.
    """

    size: Annotated[Range, Limits(0.2, 1)] = (0.6, 0.85)
    margin: Annotated[Range, Limits(0, 1000)] = (1.0, 10.0)
    shift: Annotated[float, Limits(0, 32)] = 2.0
    tight: Share = 0.0
    room: Annotated[Range, Limits(0, 0.4)] = (0.02, 0.2)
    spacing: Annotated[Range, Limits(-0.1, 1)] = (0.0, 0.0)
    word_spacing: Annotated[Range, Limits(-0.1, 3)] = (0.0, 0.0)
    pitch: Annotated[Range, Limits(0.3, 1.5)] | None = None
    stretch: Annotated[Range, Limits(0.5, 2)] = (1.0, 1.0)
    slant: Annotated[Range, Limits(-0.7, 0.7)] = (0.0, 0.0)
    rotation: Annotated[float, Limits(0, 45)] = 5.0
    rotation_share: Share = 1.0

    def draw(self, rng: HashedRandom, height: int) -> Placement:
        """Draw the layout of one line of `height` pixels; uses up 12 numbers, a tight one 14."""
        pixel = height / 32
        size = round(height * rng.uniform(*self.size))
        turned = rng.chance(self.rotation_share)
        placement = Placement(
            size,
            degrees=rng.uniform(-self.rotation, self.rotation) * turned,
            shift=rng.uniform(-self.shift, self.shift) * pixel,
            left=rng.uniform(*self.margin) * pixel,
            right=rng.uniform(*self.margin) * pixel,
            spacing=rng.uniform(*self.spacing),
            word_spacing=rng.uniform(*self.word_spacing),
            pitch=0.0 if self.pitch is None else rng.uniform(*self.pitch),
            stretch=rng.uniform(*self.stretch),
            slant=rng.uniform(*self.slant),
        )
        if not rng.chance(self.tight):
            return placement
        return placement._replace(room=(rng.uniform(*self.room) * height, rng.uniform(*self.room) * height))
