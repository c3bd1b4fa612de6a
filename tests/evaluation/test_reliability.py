"""Calibration error by its definition, by hand, and where the confidences are right by construction."""

from __future__ import annotations

import numpy as np
import pytest

from ocrtrain.evaluation import edit_table
from ocrtrain.evaluation.reliability import judge_confidence, reject_curve, wilson


def drawn(lines: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    confidences = rng.beta(4, 1, lines)
    return confidences, rng.random(lines) < confidences


def test_a_worked_example() -> None:
    # Two bins: 0.2 and 0.4, none exact; 0.8 and 1.0, one of two exact.
    found = judge_confidence([0.2, 0.4, 0.8, 1.0], [False, False, True, False], bins=2)
    assert [(b.lines, b.confidence, b.accuracy) for b in found.bins] == [
        (2, pytest.approx(0.3), 0.0),
        (2, pytest.approx(0.9), 0.5),
    ]
    assert found.ece == pytest.approx((2 * 0.3 + 2 * 0.4) / 4)
    assert found.brier == pytest.approx((0.04 + 0.16 + 0.04 + 1.0) / 4)
    assert found.mean == pytest.approx(0.6)


def test_equals_the_definition_bin_by_bin() -> None:
    confidences, exact = drawn(1000)
    order = np.argsort(confidences)
    parts = np.array_split(order, 10)
    expected = sum(abs(confidences[p].mean() - exact[p].mean()) * len(p) for p in parts) / 1000
    found = judge_confidence(confidences, exact)
    assert [b.lines for b in found.bins] == [100] * 10
    assert found.ece == pytest.approx(expected)


def test_what_chance_gives_is_what_right_confidences_give() -> None:
    found = [judge_confidence(*drawn(400, seed)) for seed in range(200)]
    assert np.mean([f.ece for f in found]) == pytest.approx(np.mean([f.chance for f in found]), rel=0.05)


def test_the_order_of_lines_does_not_matter_even_with_ties() -> None:
    confidences = np.repeat([0.1, 0.5, 0.9, 1.0], [3, 50, 20, 400])
    exact = np.random.default_rng(0).random(473) < confidences
    order = np.random.default_rng(1).permutation(473)
    found = judge_confidence(confidences, exact)
    assert found.ece == pytest.approx(judge_confidence(confidences[order], exact[order]).ece)
    assert sum(b.lines for b in found.bins) == 473


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_one_line_and_one_confidence(value: float) -> None:
    assert judge_confidence([value], [True]).ece == pytest.approx(1 - value)
    assert len(judge_confidence([value] * 20, [True] * 20).bins) == 1


def test_wilson_interval_as_published() -> None:
    # 10 of 100: (0.0552, 0.1744), e.g. in Brown, Cai & DasGupta (2001), table of intervals.
    assert wilson(0.1, 100) == pytest.approx((0.0552, 0.1744), abs=1e-4)
    assert wilson(0.0, 10)[0] == 0 and wilson(1.0, 10)[1] == 1


def test_the_surest_lines_are_kept() -> None:
    truths, reads = ["abcd", "abcd", "ab cd", "abcd"], ["abcd", "abcx", "abcd", "wxyz"]
    points = reject_curve([0.9, 0.6, 0.7, 0.1], edit_table(truths, reads), (1.0, 0.75, 0.5, 0.25))
    assert [point.share for point in points] == [1, 0.75, 0.5, 0.25]
    assert [point.threshold for point in points] == [0.1, 0.6, 0.7, 0.9]
    assert [point.cer for point in points] == pytest.approx([6 / 17, 2 / 13, 1 / 9, 0])
    assert [point.wer for point in points] == pytest.approx([4 / 5, 3 / 4, 2 / 3, 0])
    assert [point.line_accuracy for point in points] == pytest.approx([1 / 4, 1 / 3, 1 / 2, 1])
