"""Prefix beam search as it is defined, in plain Python: what the compiled search is compared with."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from math import log

import numpy as np
from numpy.typing import NDArray

Labels = tuple[int, ...]


def prefix_beam_search(
    log_probs: NDArray[np.floating],
    beam_width: int,
    factor: Callable[[Labels], float] = lambda prefix: 1.0,
) -> list[tuple[Labels, float]]:
    """Search one line, log_probs [T, K]; returns the labels of prefixes and log P(labels | line), best first.

    With no more prefixes than `beam_width`, these are all texts of T frames with their exact probabilities.
    factor: what a prefix gains by its last symbol; it enters the ranking and the results.
    """
    beam: dict[Labels, tuple[float, float]] = {(): (1.0, 0.0)}  # that end in a blank, in the last symbol
    for frame in np.exp(np.asarray(log_probs, float)):
        longer: dict[Labels, list[float]] = defaultdict(lambda: [0.0, 0.0])
        for prefix, (blank, label) in beam.items():
            longer[prefix][0] += (blank + label) * frame[0]
            if prefix:
                longer[prefix][1] += label * frame[prefix[-1]]
            for k in range(1, len(frame)):
                # A doubled symbol needs a blank in between.
                flow = blank if prefix and k == prefix[-1] else blank + label
                following = (*prefix, k)
                longer[following][1] += flow * frame[k] * factor(following)
        ranked = sorted(longer.items(), key=lambda item: -sum(item[1]))
        beam = {prefix: (blank, label) for prefix, (blank, label) in ranked[:beam_width] if blank + label > 0}
    return sorted(((prefix, log(sum(both))) for prefix, both in beam.items()), key=lambda item: -item[1])
