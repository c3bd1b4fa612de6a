"""Reliability of confidences: whether they mean what they say, and what is gained by trusting them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

BINS = 10
KEPT = (1.0, 0.99, 0.98, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)


@dataclass(frozen=True, slots=True)
class Bin:
    """Lines of similar confidence: how many, their mean confidence, and the share that is read exactly.

    `interval`: of that share, 95% (Wilson, 1927).
    """

    lines: int
    confidence: float
    accuracy: float
    interval: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Kept:
    """What remains if only the surest lines are kept: their share of all lines, their CER, WER and accuracy.

    `threshold`: the lowest confidence that is kept.
    """

    share: float
    threshold: float
    cer: float
    wer: float
    line_accuracy: float


@dataclass(frozen=True, slots=True)
class Reliability:
    """How well confidences [N] fit what happened.

    `ece`: the expected calibration error, the mean over lines of |mean confidence - accuracy| of the line's
    bin. `chance`: what it would come to on the average if every confidence were exactly right, since no
    bin of finite size has quite its expected share; a recognizer cannot be told to be better calibrated than
    that with so few lines. `brier`: the mean squared distance of the confidence from 1 for exact lines and 0
    for others.
    """

    bins: tuple[Bin, ...]
    ece: float
    chance: float
    brier: float
    mean: float


def judge_confidence(confidences: ArrayLike, exact: ArrayLike, bins: int = BINS) -> Reliability:
    """Judge the confidences of N > 0 lines, float [N] in 0..1, by whether each is read exactly, bool [N].

    The bins hold as many lines each (but lines of one confidence stay together): bins of equal width leave
    most lines of a good recognizer in a single one (Nixon et al., 2019; Roelofs et al., 2022).
    """
    values, right = np.asarray(confidences, np.float64), np.asarray(exact, np.float64)
    edges = np.quantile(values, np.arange(1, bins) / bins)
    place = np.searchsorted(edges, values, side="right")
    place = np.unique(place, return_inverse=True)[1]
    lines = np.bincount(place)
    confident, accurate = np.bincount(place, values) / lines, np.bincount(place, right) / lines
    found = tuple(
        Bin(int(n), float(c), float(a), wilson(float(a), int(n)))
        for n, c, a in zip(lines, confident, accurate, strict=True)
    )
    return Reliability(
        bins=found,
        ece=float(np.abs(confident - accurate) @ lines / len(values)),
        chance=_ece_by_chance(values, place, lines),
        brier=float(np.mean((values - right) ** 2)),
        mean=float(values.mean()),
    )


def _ece_by_chance(values: NDArray[np.float64], place: NDArray[np.int64], lines: NDArray[np.int64]) -> float:
    """Take E|confidence - accuracy| of right confidences: sums of independent draws are nearly normal."""
    spread = np.sqrt(np.bincount(place, values * (1 - values)))
    return float(np.sqrt(2 / np.pi) * spread.sum() / lines.sum())


def wilson(share: float, count: int, z: float = 1.96) -> tuple[float, float]:
    """Bound a share of `count` > 0 independent trials, by default at 95% (Wilson, 1927)."""
    centre, scale = share + z * z / (2 * count), 1 + z * z / count
    half = z * np.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return float(max(0.0, (centre - half) / scale)), float(min(1.0, (centre + half) / scale))


def reject_curve(
    confidences: ArrayLike, table: NDArray[np.int64], kept: Sequence[float] = KEPT
) -> list[Kept]:
    """Tell the rates of the surest lines, for several shares of all N > 0 lines, as far as they differ.

    table: int64 [N, 8], see `edit_table`. Lines of one confidence come in the order in which they are given.
    """
    values = np.asarray(confidences, np.float64)
    order = np.argsort(-values, kind="stable")
    sums = np.cumsum(table[order], axis=0)
    points = []
    for last in dict.fromkeys(max(1, round(share * len(values))) - 1 for share in kept):
        substituted, deleted, inserted, characters, word_edits, words, exact, lines = sums[last].tolist()
        points.append(
            Kept(
                share=lines / len(values),
                threshold=float(values[order[last]]),
                cer=(substituted + deleted + inserted) / max(characters, 1),
                wer=word_edits / max(words, 1),
                line_accuracy=exact / lines,
            )
        )
    return points
