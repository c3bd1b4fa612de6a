"""Learning rates over the course of a training."""

from __future__ import annotations

import inspect

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ocrtrain.errors import InputError
from ocrtrain.training.optim.schedule import Constant, OneCycle, WarmupCosine

shares = st.floats(0.0, 1.0)


@pytest.mark.parametrize(
    ("progress", "factor"),
    [(0.0, 0.001), (0.05, 0.5), (0.1, 1.0), (0.55, 0.55), (1.0, 0.1), (1.5, 0.1), (-1.0, 0.001)],
)
def test_warmup_and_cosine_by_hand(progress: float, factor: float) -> None:
    assert WarmupCosine(warmup=0.1, final=0.1)(progress) == pytest.approx(factor)


def test_the_fall_is_that_of_torch() -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=20, eta_min=0.2)
    ours = WarmupCosine(warmup=0.0, final=0.2)
    for step in range(20):
        assert ours(step / 20) == pytest.approx(theirs.get_last_lr()[0])
        optimizer.step()
        theirs.step()


def test_the_rise_is_that_of_torch() -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    theirs = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=1e-9, total_iters=10)
    ours = WarmupCosine(warmup=0.25)
    for step in range(10):
        # Ours begins at a thousandth, so that the first step moves something.
        assert ours(step / 40) == pytest.approx(max(theirs.get_last_lr()[0], 0.001), abs=1e-8)
        optimizer.step()
        theirs.step()


@pytest.mark.parametrize(("warmup", "start", "end"), [(0.3, 25.0, 1e4), (0.5, 10.0, 100.0)])
def test_one_cycle_is_that_of_torch(warmup: float, start: float, end: float) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    steps = 40
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 1.0, steps, pct_start=warmup, div_factor=start, final_div_factor=end, cycle_momentum=False
    )
    ours = OneCycle(warmup, 1.0 / start, 1.0 / (start * end))
    top = warmup * steps - 1  # the step of torch's highest rate; its last one is at `steps - 1`
    for step in range(steps):
        rising, falling = warmup * step / top, warmup + (1.0 - warmup) * (step - top) / (steps - 1 - top)
        assert ours(rising if step < top else falling) == pytest.approx(theirs.get_last_lr()[0])
        optimizer.step()
        theirs.step()


def test_one_cycle_has_the_defaults_of_torch() -> None:
    parameters = inspect.signature(torch.optim.lr_scheduler.OneCycleLR).parameters
    rise, start, end = (parameters[n].default for n in ("pct_start", "div_factor", "final_div_factor"))
    assert OneCycle() == OneCycle(rise, 1 / start, pytest.approx(1 / (start * end)))  # type: ignore[arg-type]


@given(warmup=st.floats(0.0, 0.99), final=shares, one=shares, other=shares)
def test_it_rises_then_falls(warmup: float, final: float, one: float, other: float) -> None:
    schedule = WarmupCosine(warmup, final)
    early, late = sorted((one, other))
    assert 0.0 <= schedule(early) <= 1.0 + 1e-9
    if late < warmup:
        assert schedule(early) <= schedule(late)
    elif early >= warmup:
        assert schedule(early) >= schedule(late) - 1e-9


@pytest.mark.parametrize(("progress", "factor"), [(0.0, 0.001), (0.01, 0.5), (0.02, 1.0), (1.0, 1.0)])
def test_constant(progress: float, factor: float) -> None:
    assert Constant(warmup=0.02)(progress) == pytest.approx(factor)
    assert Constant()(progress) == 1.0


@pytest.mark.parametrize("schedule", [WarmupCosine, OneCycle, Constant])
@pytest.mark.parametrize("warmup", [1.0, -0.1, 5])
def test_a_warmup_that_leaves_nothing_is_refused(schedule: type, warmup: float) -> None:
    with pytest.raises(
        InputError, match=rf"schedule.warmup={warmup}: must be a number of at least 0 and below 1"
    ):
        schedule(warmup=warmup)
