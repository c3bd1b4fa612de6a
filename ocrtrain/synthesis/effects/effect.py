"""What an effect is: a change of a line's picture that leaves its text as it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ocrtrain.errors import InputError
from ocrtrain.synthesis.hashed_random import HashedRandom

Picture = NDArray[np.uint8]
Range = Sequence[float]


def setting(default: Any, low: float, high: float) -> Any:
    """Declare an effect's number or range, with the limits that its values must not go beyond."""
    return field(default=default, metadata={"limits": (low, high)})


@dataclass(frozen=True, kw_only=True)
class Effect(ABC):
    """Changes a picture by what it draws; `share` is the part of the lines, of 1, that it befalls.

    A picture is uint8 [H, W] or [H, W, 3] and keeps its height and width. Ranges are (lowest, highest), and
    lengths are shares of the height, so that lines of any size look alike. Raises `InputError` for a setting
    beyond its limits. `moves` tells that the ink is elsewhere afterwards.
    """

    moves: ClassVar[bool] = False

    share: float = setting(1.0, 0.0, 1.0)

    def __post_init__(self) -> None:
        for own in fields(self):
            if "limits" in own.metadata:
                value, is_range = getattr(self, own.name), isinstance(own.default, Sequence)
                self._check(own.name, value, is_range, *own.metadata["limits"])

    def _check(self, name: str, value: object, is_range: bool, low: float, high: float) -> None:
        what = f"{type(self).__name__}: {name}={value}"
        if not is_range and not _is_number(value, low, high):
            raise InputError(what, "does not fit", f"give a number from {low:g} to {high:g}.")
        ends = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else []
        fits = len(ends) == 2 and all(_is_number(end, low, high) for end in ends) and ends[0] <= ends[1]
        if is_range and not fits:
            raise InputError(
                what,
                "is not a range that fits",
                f"give the lowest and the highest value, such as [{low:g},{high:g}]; those are the limits.",
            )

    @abstractmethod
    def __call__(self, picture: Picture, draws: HashedRandom) -> Picture:
        """Change `picture` by what is drawn from `draws`; the given array is not written to."""


@dataclass(frozen=True, kw_only=True)
class InkEffect(Effect):
    """An effect on ink, written for dark ink on light paper; with light ink, it sees the negative."""

    def __call__(self, picture: Picture, draws: HashedRandom) -> Picture:
        """Change `picture` by what is drawn from `draws`."""
        if is_dark_on_light(picture):
            return self.on_dark(picture, draws)
        return ~self.on_dark(~picture, draws)

    @abstractmethod
    def on_dark(self, picture: Picture, draws: HashedRandom) -> Picture:
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
    from ocrtrain.synthesis.effects import kernels

    paper = np.empty(1 if picture.ndim == 2 else picture.shape[2], np.uint8)
    dark_ink = kernels.shades(as_channels(picture), step_y, step_x, paper)
    return paper, bool(dark_ink)


def _is_number(value: object, low: float, high: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
