"""How far a CER may be off: confidence intervals over lines."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def cer_interval(
    edits: ArrayLike, characters: ArrayLike, level: float = 0.95, resamples: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Bound the corpus CER by the percentile bootstrap over lines (Efron, 1979): (low, high).

    edits, characters: int [N], each line's edit distance and reference length. A resample draws N of the N
    lines with replacement and takes its corpus CER; the interval holds the middle `level` of them. The same
    seed gives the same interval. It speaks for lines like these, drawn one by one: errors that come in pages
    make it too narrow, and a kind of error that is in no line is in no resample, so no errors give (0, 0).
    Raises `ValueError` if there are no lines.
    """
    pairs, counts = np.unique(
        np.stack([np.asarray(edits, np.int64), np.asarray(characters, np.int64)], axis=1),
        axis=0,
        return_counts=True,
    )
    lines = int(counts.sum())
    if lines == 0:
        raise ValueError("an interval needs at least one line")
    # Lines that agree in both numbers are interchangeable: draw how often each pair occurs, not each line.
    # So the cost follows the number of distinct pairs, and a million lines take no longer than ten thousand.
    drawn = np.random.default_rng(seed).multinomial(lines, counts / lines, size=resamples)
    edits_drawn, characters_drawn = (drawn @ pairs).T
    rates = edits_drawn / np.maximum(characters_drawn, 1)
    low, high = np.quantile(rates, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
