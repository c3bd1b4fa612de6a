"""Which batch norms see the lines of all processes; what they then compute is in test_processes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ocrtrain.distributed.batch_norms import SynchronizedBatchNorm2d, synchronize


def test_only_trained_norms_are_synchronized() -> None:
    model = nn.Sequential(nn.BatchNorm2d(3), nn.BatchNorm2d(3), nn.BatchNorm1d(3))
    model[1].requires_grad_(False)
    names = list(model.state_dict())
    synchronize(model)
    assert [type(module).__name__ for module in model] == [
        "SynchronizedBatchNorm2d",
        "BatchNorm2d",
        "BatchNorm1d",
    ]
    assert list(model.state_dict()) == names


@pytest.mark.parametrize("training", [True, False])
def test_alone_it_is_a_batch_norm(training: bool) -> None:
    torch.manual_seed(0)
    ours, theirs = SynchronizedBatchNorm2d(3).train(training), nn.BatchNorm2d(3).train(training)
    x = torch.randn(4, 3, 5, 7)
    assert torch.equal(ours(x), theirs(x)) and torch.equal(ours.running_var, theirs.running_var)
