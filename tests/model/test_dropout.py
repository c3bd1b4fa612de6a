"""Dropout of a feature in all frames of a line at once."""

from __future__ import annotations

import pytest
import torch

from ocrtrain.errors import InputError
from ocrtrain.model.dropout import ChannelDropout


def test_a_feature_is_dropped_in_all_frames_of_a_line_or_in_none() -> None:
    torch.manual_seed(0)
    y = ChannelDropout(0.25)(torch.ones(50, 6, 80))
    assert torch.equal(y, y[:, :1].expand_as(y))
    assert y.unique().tolist() == pytest.approx([0.0, 1 / 0.75])
    assert not torch.equal(y[0], y[1])  # each line draws its own
    assert 0.97 < y.mean() < 1.03  # the expectation stays


def test_nothing_is_dropped_in_evaluation_or_at_zero() -> None:
    x = torch.randn(2, 3, 4)
    assert torch.equal(ChannelDropout(0.5).eval()(x), x)
    assert torch.equal(ChannelDropout(0.0).train()(x), x)


@pytest.mark.parametrize("share", [-0.1, 1.0, 2.0])
def test_a_share_that_leaves_nothing_is_refused(share: float) -> None:
    with pytest.raises(InputError, match=f"dropout={share}: must be a number of at least 0 and below 1"):
        ChannelDropout(share)
