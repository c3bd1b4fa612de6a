"""A run in which something cannot learn stops after its first backward pass, and says what."""

from __future__ import annotations

from typing import Any, cast

import pytest
import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from ocrtrain.errors import InputError
from ocrtrain.model import LineRecognizer
from ocrtrain.model.adapt import Adaptation, Bottleneck, Freeze, Full, Lora
from ocrtrain.model.backbones import CompactResNet
from ocrtrain.training import Guard


class Bypassing(nn.Module):
    """An encoder that reads a weight, as fused kernels do, and one that it does not use at all."""

    width = 8

    def __init__(self) -> None:
        super().__init__()
        self.projection, self.spare = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        return x @ self.projection.weight.T + self.projection.bias


class Task(LightningModule):
    def __init__(self, model: LineRecognizer) -> None:
        super().__init__()
        self.model = model


def check(adaptation: Adaptation) -> None:
    model = LineRecognizer(CompactResNet(1, 8, (4, 4), 8), Bypassing(), classes=3)
    adaptation(model)
    log_probs, _ = model(torch.zeros(1, 1, 8, 16, dtype=torch.uint8), torch.tensor([16]))
    log_probs[..., 0].sum().backward()
    Guard(0).on_after_backward(cast(Any, None), Task(model))


@pytest.mark.parametrize(
    ("adaptation", "dead"),
    [
        (Full(), ["encoder.spare.weight", "encoder.spare.bias"]),
        (Freeze(["encoder.*"]), ["encoder.spare.weight", "encoder.spare.bias"]),
        (Lora(2, targets=["encoder.projection"]), ["encoder.projection.lora_A.default.weight"]),
        (Bottleneck(2, lora_targets=["encoder.projection"]), ["encoder.projection.lora_B.default.weight"]),
    ],
    ids=["full", "freeze", "lora", "bottleneck"],
)
def test_what_no_gradient_reaches_is_named(adaptation: Adaptation, dead: list[str]) -> None:
    with pytest.raises(InputError, match="no gradient reaches") as caught:
        check(adaptation)
    assert all(f" {name}" in caught.value.why for name in dead)
    assert "adapt.targets" in caught.value.way_on and "adapt.train" in caught.value.way_on


@pytest.mark.parametrize(
    "adaptation", [Freeze(["head.*"]), Lora(2, targets=["backbone.*"]), Bottleneck(2, lora_targets=[])]
)
def test_a_model_in_which_all_learns_goes_on(adaptation: Adaptation) -> None:
    check(adaptation)
