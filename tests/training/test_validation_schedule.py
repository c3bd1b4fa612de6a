"""When a validation is due: worked by hand."""

from __future__ import annotations

from ocrtrain.training.budget import Budget
from ocrtrain.training.validation_schedule import ValidationSchedule


def due_steps(
    schedule: ValidationSchedule, steps: int, seconds_a_step: float, takes: float = 0.0
) -> list[int]:
    """Train `steps` steps of equal length and validate when it is due, which takes `takes` seconds."""
    found, seconds = [], 0.0
    for step in range(1, steps + 1):
        seconds += seconds_a_step
        if schedule.due(step, seconds):
            found.append(step)
            schedule.begin(step, seconds)
            seconds += takes
            schedule.end(seconds)
    return found


def test_by_steps() -> None:
    assert due_steps(ValidationSchedule(Budget(10, None), every_steps=4), 10, 1.0) == [4, 8]


def test_by_seconds_since_the_last_validation_began() -> None:
    schedule = ValidationSchedule(Budget(None, 100.0), every_seconds=5.0)
    assert due_steps(schedule, 12, 2.0) == [3, 6, 9, 12]
    assert due_steps(ValidationSchedule(Budget(None, 100.0), every_seconds=5.0), 12, 2.0, takes=3.0) == [
        3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
    ]  # fmt: skip


def test_at_each_tenth_of_the_steps_whatever_a_validation_takes() -> None:
    assert due_steps(ValidationSchedule(Budget(20, None)), 20, 1.0, takes=1000.0) == [*range(2, 21, 2)]


def test_within_a_short_time_not_more_validating_than_training() -> None:
    # 100 s, a step a second, 15 s a validation: after it, 15 s of training come first, whatever tenth it is.
    assert due_steps(ValidationSchedule(Budget(None, 100.0)), 55, 1.0, takes=15.0) == [10, 25, 40, 55]


def test_it_goes_on_from_its_state() -> None:
    whole, first = (ValidationSchedule(Budget(None, 100.0)) for _ in range(2))
    for schedule in (whole, first):
        schedule.begin(10, 10.0)
        schedule.end(25.0)
    resumed = ValidationSchedule(Budget(None, 100.0))
    resumed.load_state(first.state())
    times = [26.0, 30.0, 39.0, 40.0, 55.0, 100.0]
    assert [resumed.due(0, s) for s in times] == [whole.due(0, s) for s in times] == [
        False, False, False, True, True, True,
    ]  # fmt: skip
