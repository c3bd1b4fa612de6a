"""Numbers and points of an XML file: every one checked, in one place."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

FARTHEST = 1e6  # of a coordinate, in pixels or in a page's own units; no page is so large
MOST_POINTS = 20_000  # of one outline; programs write some tens, tracing every pixel some thousand
LONGEST_NUMBER = 40  # characters

_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", re.ASCII)
_BETWEEN = re.compile(r"[\s,;]+")


class CoordinateError(ValueError):
    """What should be a number or a list of points is none, or out of range; the text says what it is."""


def number(text: str | None, least: float = -FARTHEST, most: float = FARTHEST) -> float | None:
    """Read a decimal number from `least` to `most`, None where nothing is written; else CoordinateError."""
    written = (text or "").strip()
    if not written:
        return None
    if len(written) > LONGEST_NUMBER or not _NUMBER.fullmatch(written):
        raise CoordinateError(f"{_short(written)} is not a number")
    value = float(written)
    if not least <= value <= most:  # so infinity, too
        raise CoordinateError(f"{_short(written)} is not from {least:,.0f} to {most:,.0f}")
    return value


def numbers(text: str | None) -> list[float]:
    """Read numbers that spaces, commas or semicolons part; raises CoordinateError for anything else."""
    written = (text or "").strip(" \t\r\n,;")
    if len(written) > 2 * MOST_POINTS * LONGEST_NUMBER:
        raise CoordinateError(f"it has more than {MOST_POINTS:,} points")
    parts = _BETWEEN.split(written) if written else []
    if len(parts) > 2 * MOST_POINTS:
        raise CoordinateError(f"it has more than {MOST_POINTS:,} points")
    return [value for part in parts if (value := number(part)) is not None]


def points(text: str | None) -> NDArray[np.float64]:
    """Read "x,y x,y" or "x y x y" as float64 [points, 2]; raises CoordinateError where it is not that."""
    values = numbers(text)
    if len(values) % 2:
        raise CoordinateError(f"{_short(text or '')} has an x without a y")
    return np.array(values, np.float64).reshape(-1, 2)


def _short(text: str) -> str:
    shown = text if len(text) <= 20 else f"{text[:17]}..."
    return repr(shown.encode("utf-8", "backslashreplace").decode("utf-8"))
