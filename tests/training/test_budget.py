"""Where training ends, and durations as people write them."""

from __future__ import annotations

import pytest

from ocrtrain.errors import InputError
from ocrtrain.training.budget import Budget, seconds_of


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


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("00:00:10:00", 600.0),
        ("01:02:03:04", 93784.0),
        ("00:00:00:05", 5.0),
        ("120:0:0:1", 10368001.0),
        (90, 90),
        (0.5, 0.5),
        (None, None),
    ],
)
def test_durations(written: str | float | None, seconds: float | None) -> None:
    assert seconds_of(written, "trainer.max_time") == seconds


@pytest.mark.parametrize("written", ["10:00", "10 minutes", "00:00:10", "", "-1:00:00:00", "0:0:0:0:0"])
def test_what_is_no_duration_is_named(written: str) -> None:
    with pytest.raises(InputError, match=f"^trainer.max_time={written}: is not a duration"):
        seconds_of(written, "trainer.max_time")
