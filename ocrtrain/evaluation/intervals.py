"""Intervals of rates, and the sureness of differences, by the bootstrap over lines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

RESAMPLES = 1000


def rate_interval(
    errors: ArrayLike, totals: ArrayLike, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float]:
    """Bound a corpus rate by the percentile bootstrap over lines (Efron, 1979): (low, high).

    errors, totals: int [N], each line's share of the rate's numerator and denominator, such as its edit
    distance and reference length. A resample draws N of the N lines with replacement and takes its corpus
    rate; the interval holds the middle `level` of them. The same seed gives the same interval. It speaks for
    lines like these, drawn one by one: errors that come in pages make it too narrow, and a kind of error that
    is in no line is in no resample, so no errors give (0, 0). Raises `ValueError` if there are no lines.
    """
    errors_drawn, totals_drawn = _resampled(resamples, seed, errors, totals)
    rates = errors_drawn / np.maximum(totals_drawn, 1)
    low, high = np.quantile(rates, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def cer_interval(
    edits: ArrayLike, characters: ArrayLike, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float]:
    """Bound the corpus CER: `rate_interval` of each line's edit distance and reference length."""
    return rate_interval(edits, characters, level, resamples, seed)


@dataclass(frozen=True, slots=True)
class Difference:
    """How two readers of the same lines differ in one rate.

    `difference`: the second's rate less the first's; `interval`: its 95% interval; `probability`: 0..1, how
    sure it is that the second's rate is the lower one. It is the share of resamples in which that is so,
    ties counted half: 0.5 for readers that are alike, 0.975 where the interval just excludes 0.
    """

    difference: float
    interval: tuple[float, float]
    probability: float


def paired_difference(
    first: ArrayLike,
    second: ArrayLike,
    totals: ArrayLike,
    level: float = 0.95,
    resamples: int = 10 * RESAMPLES,
    seed: int = 0,
) -> Difference:
    """Compare two readers' corpus rates on the same lines by the paired bootstrap (Efron & Tibshirani, 1993).

    first, second: int [N], the errors of either reader in each line; totals: int [N], what they are divided
    by. Both rates are taken from the same resamples, so that lines which are hard for both cancel out and
    much smaller differences show than two intervals beside each other would tell apart. Raises `ValueError`
    if there are no lines.
    """
    first_drawn, second_drawn, totals_drawn = _resampled(resamples, seed, first, second, totals)
    differences = (second_drawn - first_drawn) / np.maximum(totals_drawn, 1)
    low, high = np.quantile(differences, [(1 - level) / 2, (1 + level) / 2])
    difference = (np.sum(second) - np.sum(first)) / max(np.sum(totals), 1)
    lower = np.mean(differences < 0) + np.mean(differences == 0) / 2
    return Difference(float(difference), (float(low), float(high)), float(lower))


def _resampled(resamples: int, seed: int, *columns: ArrayLike) -> NDArray[np.int64]:
    """Sum each of C columns, int [N], over `resamples` draws of N of the N lines: int64 [C, resamples]."""
    rows, counts = np.unique(
        np.stack([np.asarray(column, np.int64) for column in columns], axis=1), axis=0, return_counts=True
    )
    lines = int(counts.sum())
    if lines == 0:
        raise ValueError("an interval needs at least one line")
    # Lines that agree in all numbers are interchangeable: draw how often each kind occurs, not each line.
    # So the cost follows the number of kinds, and a million lines take no longer than ten thousand.
    drawn = np.random.default_rng(seed).multinomial(lines, counts / lines, size=resamples)
    summed: NDArray[np.int64] = (drawn @ rows).T
    return summed
