"""Confidences that are fitted to what happened."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocrtrain.checkpoint.calibration import Calibration
from ocrtrain.evaluation.reliability import judge_confidence


def test_a_known_distortion_is_undone() -> None:
    rng = np.random.default_rng(0)
    chances = rng.beta(3, 1, 20_000)
    exact = rng.random(20_000) < chances
    # As overconfident as can be told: the logit doubled, and one more.
    said = 1 / (1 + np.exp(-(2 * np.log(chances / (1 - chances)) + 1)))
    fitted = Calibration.fit(said, exact)
    assert (fitted.scale, fitted.shift, fitted.lines) == (
        pytest.approx(0.5, abs=0.03),
        pytest.approx(-0.5, abs=0.1),
        20_000,
    )
    mapped = [fitted(value) for value in said]
    assert judge_confidence(said, exact).ece > 0.05
    assert judge_confidence(mapped, exact).ece < 0.01


def test_it_is_the_least_of_its_loss() -> None:
    """Against a search over a grid that knows nothing of derivatives."""
    rng = np.random.default_rng(1)
    confidences = rng.beta(2, 1, 300)
    exact = rng.random(300) < confidences**2
    fitted = Calibration.fit(confidences, exact)
    logits = np.log(confidences / (1 - confidences))

    def loss(scale: float, shift: float) -> float:
        z = scale * logits + shift
        chances = 0.002 + 0.996 / (1 + np.exp(-z))  # one in 500 texts is wrong
        likelihood = np.where(exact, np.log(chances), np.log(1 - chances)).sum()
        return float(-likelihood + (math.log(scale) ** 2 + shift**2) / 2)

    best = loss(fitted.scale, fitted.shift)
    for scale in np.geomspace(0.2, 5, 60):
        assert all(best <= loss(scale, shift) + 1e-9 for shift in np.linspace(-3, 3, 60))


@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=30),
    st.lists(st.floats(0, 1), min_size=2, max_size=5),
)
def test_any_lines_give_a_map_that_keeps_the_order(
    lines: list[tuple[float, bool]], others: list[float]
) -> None:
    fitted = Calibration.fit([c for c, _ in lines], [exact for _, exact in lines])
    assert math.isfinite(fitted.scale) and fitted.scale > 0 and math.isfinite(fitted.shift)
    mapped = [fitted(value) for value in sorted(others)]
    assert mapped == sorted(mapped) and all(0 <= value <= 1 for value in mapped)
    assert fitted(0.0) == 0


def test_a_wrong_text_does_not_turn_the_map() -> None:
    rng = np.random.default_rng(2)
    confidences = rng.beta(2, 1, 150)
    exact = rng.random(150) < confidences
    plain = Calibration.fit(confidences, exact)
    for confidence, right in ((1e-9, True), (1 - 1e-6, False)):
        fitted = Calibration.fit([*confidences, confidence], [*exact, right])
        assert fitted.scale == pytest.approx(plain.scale, rel=0.1)
        assert fitted.shift == pytest.approx(plain.shift, abs=0.1)


def test_few_lines_change_little() -> None:
    fitted = Calibration.fit([0.9], [True])
    assert fitted(0.5) == pytest.approx(0.5, abs=0.05)
    with pytest.raises(ValueError, match="at least one line"):
        Calibration.fit([], [])


def test_a_checkpoint_can_hold_it() -> None:
    fitted = Calibration(0.8, -0.25, 340)
    assert Calibration(**fitted.as_dict()) == fitted
    assert fitted.as_dict() == {"scale": 0.8, "shift": -0.25, "lines": 340}
