"""What drawn lines may look like before any effect: their size and place, as ranges and shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ocrtrain.errors import InputError

Range = Sequence[float]


@dataclass(frozen=True, slots=True)
class Look:
    """The settings of `LineGenerator` that decide on the layout; raises `InputError` for senseless values.

    Ranges are (lowest, highest). Lengths in pixels are for a height of 32 and grow with the height.
    Shares are the part of the lines, of 1, that get something.
    """

    height: int
    width: int | None
    channels: int
    size: Range
    margin: Range
    shift: float
    tight: float
    room: Range
    spacing: Range
    word_spacing: Range
    pitch: Range | None
    stretch: Range
    slant: Range
    rotation: float
    rotation_share: float

    def __post_init__(self) -> None:
        check_whole("height", self.height, 8, 1024)
        if self.width is not None:
            check_whole("width", self.width, 8, 1 << 15)
        if self.channels not in (1, 3):
            raise InputError(
                f"synthesis.channels={self.channels}", "is neither 1 (grey) nor 3 (RGB)", "set one of them."
            )
        _check_range("size", self.size, 0.2, 1.0)
        _check_range("margin", self.margin, 0.0, 1000.0)
        check_number("shift", self.shift, 0.0, 32.0)
        check_number("tight", self.tight, 0.0, 1.0)
        _check_range("room", self.room, 0.0, 0.4)
        _check_range("spacing", self.spacing, -0.1, 1.0)
        _check_range("word_spacing", self.word_spacing, -0.1, 3.0)
        if self.pitch is not None:
            _check_range("pitch", self.pitch, 0.3, 1.5)
        _check_range("stretch", self.stretch, 0.5, 2.0)
        _check_range("slant", self.slant, -0.7, 0.7)
        check_number("rotation", self.rotation, 0.0, 45.0)
        check_number("rotation_share", self.rotation_share, 0.0, 1.0)


def check_whole(name: str, value: object, low: int, high: int) -> None:
    """Raise `InputError` unless `value` is a whole number in low ... high."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise InputError(
            f"synthesis.{name}={value}", "does not fit", f"give a whole number from {low} to {high}."
        )


def check_number(name: str, value: object, low: float, high: float) -> None:
    """Raise `InputError` unless `value` is a number in low ... high."""
    if not _is_number(value, low, high):
        raise InputError(
            f"synthesis.{name}={value}", "does not fit", f"give a number from {low:g} to {high:g}."
        )


def _check_range(name: str, value: object, low: float, high: float) -> None:
    ends = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else []
    if len(ends) != 2 or not all(_is_number(end, low, high) for end in ends) or ends[0] > ends[1]:
        raise InputError(
            f"synthesis.{name}={value}",
            "is not a range that fits",
            f"give the lowest and the highest value, such as [{low:g},{high:g}]; those are also the limits.",
        )


def _is_number(value: object, low: float, high: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
