"""Bootstrap intervals against the plain bootstrap, and against the truth that they should cover."""

from __future__ import annotations

import numpy as np
import pytest

from ocrtrain.evaluation import cer_interval


def sample(lines: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    characters = rng.integers(5, 60, lines)
    return rng.binomial(characters, rng.choice([0.0, 0.02, 0.3], lines, p=[0.6, 0.3, 0.1])), characters


def test_equals_the_bootstrap_that_draws_line_by_line() -> None:
    edits, characters = sample(200, seed=0)
    drawn = np.random.default_rng(1).integers(0, 200, (20_000, 200))
    rates = edits[drawn].sum(1) / characters[drawn].sum(1)
    expected = np.quantile(rates, [0.025, 0.975])
    assert cer_interval(edits, characters, resamples=20_000) == pytest.approx(expected, rel=0.02)


def test_covers_the_true_rate_as_often_as_it_says() -> None:
    true_cer = 0.3 * 0.02 + 0.1 * 0.3
    intervals = [cer_interval(*sample(400, seed), resamples=200) for seed in range(200)]
    covered = sum(low <= true_cer <= high for low, high in intervals)
    assert 0.88 <= covered / 200 <= 0.99


def test_the_same_seed_gives_the_same_interval_in_any_order_of_lines() -> None:
    edits, characters = sample(100, seed=2)
    order = np.random.default_rng(0).permutation(100)
    interval = cer_interval(edits, characters)
    assert interval == cer_interval(edits[order], characters[order])
    assert interval != cer_interval(edits, characters, seed=1)
    assert interval[0] <= edits.sum() / characters.sum() <= interval[1]


def test_edges() -> None:
    assert cer_interval([0, 0], [5, 7]) == (0, 0)
    assert cer_interval([2], [8]) == (0.25, 0.25)
    assert cer_interval([3], [0]) == (3, 3)
    with pytest.raises(ValueError, match="at least one line"):
        cer_interval([], [])
