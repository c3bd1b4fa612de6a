"""A line's baseline: whether it belongs to its outline, and which way the line's text stands.

A baseline may be drawn from either end, and may run under the letters, through their middle or along their
top. What is upright follows, in this order, from what the file says of the region's orientation, from the way
that the line runs, from the script of its text, and last from where the outline lies.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ocrtrain.errors import InputError

Points = NDArray[np.float64]
Direction = Literal["ltr", "rtl", "ttb", "btt"]

_SAMPLES = 41
_BELOW, _ABOVE, _SLACK = 0.15, 0.25, 2.0  # of the outline's height, and pixels besides
_COVERED = 0.6
_CLEAR = 0.6  # of the outline's height on one side: more than that, and the letters are on this side
_CLEARER = 0.25  # on the upper side of an upright line that was drawn from its end to its beginning


@dataclass(frozen=True, slots=True)
class Place:
    """Where a baseline lies in its outline, seen along it as it was drawn.

    covered: the share of it that has the outline above, below or around it; share: of the outline's height,
    how much is above it: 0 at the top, 1 at the bottom, more below the outline. height: in pixels.
    """

    covered: float
    share: float
    height: float

    @property
    def fits(self) -> bool:
        """Whether this can be the baseline of what is in the outline: on it, in it, or hardly off it."""
        slack = _SLACK / max(self.height, 1e-9)
        return self.covered >= _COVERED and -_ABOVE - slack <= self.share <= 1.0 + _BELOW + slack


@dataclass(frozen=True, slots=True)
class Hints:
    """What is known of a line besides its shape.

    orientation: degrees by which it must be turned clockwise to stand upright, as PAGE has it; direction: in
    which it is read, as the file says; leftward: whether its text runs from right to left (None: not known);
    hanging: whether its script hangs from a line at its top.
    """

    orientation: float | None = None
    direction: Direction | None = None
    leftward: bool | None = None
    hanging: bool = False


def extent(baseline: Points | None) -> bool:
    """Whether a baseline leads anywhere; a single point, or one that is written twice, does not."""
    return baseline is not None and len(baseline) > 1 and float(np.hypot(*(baseline[-1] - baseline[0]))) >= 2


def place(outline: Points, baseline: Points) -> Place:
    """Find where the baseline lies in the outline, by the median of points along it."""
    chord = baseline[-1] - baseline[0]
    x, y = chord / np.hypot(*chord)
    turn = np.array([[x, -y], [y, x]])  # to where the baseline runs to the right, y still downwards
    outline, baseline = outline @ turn, baseline @ turn
    lengths = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(baseline, axis=0).T))])
    at = np.linspace(0.0, lengths[-1], _SAMPLES + 2)[1:-1]
    px, py = (np.interp(at, lengths, baseline[:, axis]) for axis in (0, 1))
    (x1, y1), (x2, y2) = outline.T[:, :, None], np.roll(outline, -1, 0).T[:, :, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        edge = y1 + (px - x1) * ((y2 - y1) / (x2 - x1))  # [edges, samples]
    met = (px >= np.minimum(x1, x2)) & (px <= np.maximum(x1, x2)) & (x1 != x2)
    top = np.where(met, edge, np.inf).min(axis=0)
    bottom = np.where(met, edge, -np.inf).max(axis=0)
    covered = np.isfinite(top)
    if not covered.any():
        return Place(0.0, 0.5, 0.0)
    height = max(float(np.median((bottom - top)[covered])), 1e-9)
    return Place(float(covered.mean()), float(np.median((py - top)[covered])) / height, height)


def check(outline: Points, baseline: Points) -> None:
    """Raise `InputError` where the outline is that of another line: cut out, it would show that one."""
    if not place(outline, baseline).fits:
        raise InputError(
            "", "outline and baseline of the line do not belong together", "draw one of them anew."
        )


def backwards(
    outlines: Sequence[Points | None], baselines: Sequence[Points | None], hints: Sequence[Hints]
) -> list[bool]:
    """Tell of each line of a page whether its baseline runs against its letters, from their right to left.

    Lines without an outline or a baseline run as they should.
    """
    lines = [_Drawn.of(*line) for line in zip(outlines, baselines, hints, strict=True)]
    level = [line for line in lines if line is not None and not line.steep]
    lettered = [line for line in level if line.hints.leftward]
    # How right-to-left lines are drawn on this page, and how those lie that run to the left in other scripts.
    leftwards = sum(line.dx < 0 for line in lettered) * 2 > len(lettered) if lettered else None
    shares = [line.share for line in level if line.dx < 0 and not line.hints.leftward]
    usual = float(np.median(shares)) if shares else 0.5
    return [line is not None and line.runs_backwards(leftwards, usual) for line in lines]


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A baseline's way from its beginning to its end, and what is known of its line."""

    dx: float
    dy: float
    share: float
    hints: Hints

    @classmethod
    def of(cls, outline: Points | None, baseline: Points | None, hints: Hints) -> _Drawn | None:
        if outline is None or baseline is None or not extent(baseline):
            return None
        dx, dy = (baseline[-1] - baseline[0]).tolist()
        return cls(dx, dy, place(outline, baseline).share, hints)

    @property
    def steep(self) -> bool:
        return abs(self.dy) > abs(self.dx)

    def runs_backwards(self, leftwards: bool | None, usual: float) -> bool:
        hints = self.hints
        if hints.orientation is not None:
            angle = math.radians(hints.orientation)
            along = (self.dx * math.cos(angle) - self.dy * math.sin(angle)) / math.hypot(self.dx, self.dy)
            if abs(along) > 0.5:
                return along < 0
        if self.steep:
            return self._steep_backwards(leftwards)
        if self.dx > 0:
            return False
        if hints.leftward or hints.direction == "rtl" or hints.hanging:
            return True
        # Upside down, or drawn from the end? Letters stand on their baseline; one through their middle tells
        # nothing by itself.
        share = self.share if abs(self.share - 0.5) > _CLEAR - 0.5 else usual
        return share <= _CLEAR

    def _steep_backwards(self, leftwards: bool | None) -> bool:
        if self.hints.direction in ("ttb", "btt"):
            return (self.dy < 0) == (self.hints.direction == "ttb")
        if self.hints.leftward:
            return self.share < 1.0 - _CLEAR if leftwards is None else leftwards
        return self.share < _CLEARER and not self.hints.hanging


def through_the_middle(outline: Points, hints: Hints) -> Points | None:
    """Draw what stands for a baseline in the box around an outline, float64 [2, 2], the way its text runs.

    None where the file says nothing else than that it runs to the right.
    """
    (left, top), (right, bottom) = outline.min(axis=0).tolist(), outline.max(axis=0).tolist()
    turns = 0 if hints.orientation is None else round(hints.orientation / 90.0) % 4
    if hints.direction in ("ttb", "btt") and not turns and bottom - top > right - left:
        turns = 1 if hints.direction == "btt" else 3
    x, y = (left + right) / 2, (top + bottom) / 2
    ends = (None, [(x, bottom), (x, top)], [(right, y), (left, y)], [(x, top), (x, bottom)])[turns]
    return None if ends is None else np.array(ends, np.float64)
