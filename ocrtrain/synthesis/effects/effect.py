"""An effect: a change of a line's picture that leaves its text as it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, ClassVar, get_type_hints

import numpy as np
from numpy.typing import NDArray

from ocrtrain.settings import Share, checked
from ocrtrain.synthesis.hashed_random import HashedRandom

Picture = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Effect(ABC):
    """Changes a picture by random numbers; `share` is the part of the lines, of 1, that it is applied to.

    A picture is uint8 [H, W] or [H, W, 3] and keeps its height and width. Ranges are (lowest, highest), and
    lengths are shares of the height, so that lines of any size look alike. `moves` tells that the ink is
    elsewhere afterwards. Raises `InputError` for a setting that its annotation does not allow.
    """

    moves: ClassVar[bool] = False

    share: Share = 1.0

    def __post_init__(self) -> None:
        kind = type(self)
        for name, allowed in _settings(kind).items():
            checked(getattr(self, name), allowed, f"{kind.__name__}: {name}")

    @abstractmethod
    def __call__(self, picture: Picture, rng: HashedRandom) -> Picture:
        """Change `picture` by numbers drawn from `rng`; the given array is not written to."""


@dataclass(frozen=True, kw_only=True)
class InkEffect(Effect):
    """An effect on ink, written for dark ink on light paper; with light ink, it sees the negative."""

    def __call__(self, picture: Picture, rng: HashedRandom) -> Picture:
        """Change `picture` by numbers drawn from `rng`."""
        if is_dark_on_light(picture):
            return self.on_dark(picture, rng)
        return ~self.on_dark(~picture, rng)

    @abstractmethod
    def on_dark(self, picture: Picture, rng: HashedRandom) -> Picture:
        """Change a picture of dark ink on light paper."""


def is_dark_on_light(picture: Picture) -> bool:
    """Tell whether ink is darker than paper: it is the smaller part, so the mean lies on its side."""
    return _shades(picture, 3, 3)[1]


def grey_of(picture: Picture) -> Picture:
    """Weigh colours as the eye does: uint8 [H, W]."""
    if picture.ndim == 2:
        return picture
    red, green, blue = (picture[..., channel].astype(np.uint16) for channel in range(3))
    return ((77 * red + 150 * green + 29 * blue) >> 8).astype(np.uint8)


def paper_of(picture: Picture) -> NDArray[np.uint8]:
    """Guess the paper's shade, one number per channel: the median of points all over the picture."""
    return _shades(picture, max(1, picture.shape[0] // 8), max(1, picture.shape[1] // 64))[0]


def as_channels(picture: Picture) -> Picture:
    """View a picture as [H, W, C], in an array that the compiled functions take."""
    if not picture.flags.c_contiguous or not picture.flags.writeable:
        picture = picture.copy(order="C")
    return picture if picture.ndim == 3 else picture[..., None]


def _shades(picture: Picture, step_y: int, step_x: int) -> tuple[NDArray[np.uint8], bool]:
    from ocrtrain.synthesis.effects.kernels import measures

    paper = np.empty(1 if picture.ndim == 2 else picture.shape[2], np.uint8)
    dark_ink = measures.shades(as_channels(picture), step_y, step_x, paper)
    return paper, bool(dark_ink)


@cache
def _settings(kind: type[Effect]) -> dict[str, Any]:
    """Give the annotation of each of an effect's settings."""
    hints = get_type_hints(kind, include_extras=True)
    return {own.name: hints[own.name] for own in fields(kind)}
