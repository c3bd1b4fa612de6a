"""Two readers of the same lines: paired bootstrap by other means, and what it says of known cases."""

from __future__ import annotations

import numpy as np
import pytest

from ocrtrain.evaluation import Prediction, compare, evaluate_lines, format_comparison, paired_difference


def test_equals_the_bootstrap_that_draws_line_by_line() -> None:
    rng = np.random.default_rng(0)
    characters = rng.integers(5, 60, 300)
    first = rng.binomial(characters, 0.05)
    second = np.maximum(first - rng.binomial(1, 0.2, 300), 0)
    drawn = np.random.default_rng(1).integers(0, 300, (20_000, 300))
    differences = (second - first)[drawn].sum(1) / characters[drawn].sum(1)
    found = paired_difference(first, second, characters, resamples=20_000)
    assert found.interval == pytest.approx(np.quantile(differences, [0.025, 0.975]), rel=0.03)
    assert found.difference == (second.sum() - first.sum()) / characters.sum()
    assert found.probability == pytest.approx((differences < 0).mean(), abs=0.01)


def test_pairing_sees_what_two_intervals_do_not() -> None:
    """Lines that are hard for both cancel out: one error less in every tenth line is sure."""
    rng = np.random.default_rng(0)
    first = rng.choice([0, 1, 2, 30], 500, p=[0.6, 0.2, 0.1, 0.1])
    second = first - ((np.arange(500) % 10 == 0) & (first > 0))
    found = paired_difference(first, second, np.full(500, 40))
    assert found.interval[1] < 0 and found.probability > 0.99


def test_alike_and_exchanged() -> None:
    same = paired_difference([1, 0, 2], [1, 0, 2], [5, 5, 5])
    assert (same.difference, same.interval, same.probability) == (0, (0, 0), 0.5)
    there = paired_difference([1, 0, 2], [0, 1, 0], [5, 5, 5])
    back = paired_difference([0, 1, 0], [1, 0, 2], [5, 5, 5])
    assert there.difference == -back.difference
    assert there.probability == pytest.approx(1 - back.probability, abs=0.03)


def test_the_better_one_is_named_second() -> None:
    truths = ["abcd"] * 40
    names = [f"{i}.png" for i in range(40)]
    reads = {"good": ["abcd"] * 39 + ["abxx"], "bad": ["xbcd"] * 30 + ["abcd"] * 10, "same": ["xbcd"] * 30}
    reads["same"] += ["abcd"] * 10
    evaluations = [
        evaluate_lines(names, truths, [Prediction(text) for text in texts], name)
        for name, texts in reads.items()
    ]
    found = compare(evaluations)
    assert [(c.first, c.second) for c in found] == [("bad", "good"), ("same", "good"), ("bad", "same")]
    assert found[0].is_sure and not found[2].is_sure
    assert found[0].cer.difference == pytest.approx((2 - 30) / 160)
    assert found[0].line_errors.difference == pytest.approx((1 - 30) / 40)
    text = format_comparison(evaluations, found)
    assert text.index("good ") < text.index("bad ")
    assert "good against bad: CER -17.50 points" in text and "as good" in text
    assert "a probability of over 99.9%" in text and "a probability of 50.0%" in text
    assert all(len(row) <= 110 for row in text.split("\n"))
