"""Where training ends."""

from __future__ import annotations

import pytest

from ocrtrain.training.budget import Budget


@pytest.mark.parametrize(
    ("budget", "step", "seconds", "progress"),
    [
        (Budget(200, None), 50, 1e9, 0.25),
        (Budget(None, 600.0), 10**9, 60.0, 0.1),
        (Budget(200, 600.0), 100, 60.0, 0.5),  # whichever comes first
        (Budget(200, 600.0), 20, 480.0, 0.8),
        (Budget(200, None), 200, 0.0, 1.0),
    ],
)
def test_progress(budget: Budget, step: int, seconds: float, progress: float) -> None:
    assert budget.progress(step, seconds) == pytest.approx(progress)
