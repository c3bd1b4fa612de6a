"""Readers of the same lines beside each other: which is better, by how much, how sure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from ocrtrain.evaluation.intervals import Difference, paired_difference
from ocrtrain.evaluation.judgement import Evaluation

SURE = 0.975  # the probability at which the 95% interval of a difference excludes 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two readers, the better one second; the differences are its rates less those of the first.

    `line_errors`: the share of lines that are not exact.
    """

    first: str
    second: str
    cer: Difference
    wer: Difference
    line_errors: Difference

    @property
    def is_sure(self) -> bool:
        """Whether the 95% interval of the CER's difference excludes 0."""
        return self.cer.probability > SURE


def sureness(probability: float) -> str:
    """Write a probability as percent, as far as resamples can tell it from 0 and 1."""
    return (
        "under 0.1%" if probability < 0.001 else "over 99.9%" if probability > 0.999 else f"{probability:.1%}"
    )


def compare(evaluations: Sequence[Evaluation]) -> list[Comparison]:
    """Compare every two readers of the same lines, in the same order, by the paired bootstrap."""
    return [_compare(*pair) for pair in combinations(evaluations, 2)]


def _compare(first: Evaluation, second: Evaluation) -> Comparison:
    if second.counts.edits > first.counts.edits:
        first, second = second, first
    a, b = first.table, second.table
    return Comparison(
        first.name,
        second.name,
        cer=paired_difference(a[:, :3].sum(axis=1), b[:, :3].sum(axis=1), a[:, 3]),
        wer=paired_difference(a[:, 4], b[:, 4], a[:, 5]),
        line_errors=paired_difference(1 - a[:, 6], 1 - b[:, 6], a[:, 7]),
    )
