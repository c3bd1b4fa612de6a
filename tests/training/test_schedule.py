"""Learning rates over the course of a training."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ocrtrain.errors import InputError
from ocrtrain.training.schedule import Constant, WarmupCosine

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


@pytest.mark.parametrize("schedule", [WarmupCosine, Constant])
@pytest.mark.parametrize("warmup", [1.0, -0.1, 5])
def test_a_warmup_that_leaves_nothing_is_refused(schedule: type, warmup: float) -> None:
    with pytest.raises(InputError, match=rf"schedule.warmup={warmup}: is no share"):
        schedule(warmup=warmup)
