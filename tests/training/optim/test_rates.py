"""Learning rates by depth and name."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from ocrtrain.errors import InputError
from ocrtrain.model import LineRecognizer
from ocrtrain.model.adapt import Lora
from ocrtrain.model.backbones import CompactResNet, ResNet
from ocrtrain.model.encoders import MambaEncoder
from ocrtrain.training.optim.optimizer import adamw, muon
from ocrtrain.training.optim.rates import layer_depths, scale_rates


def recognizer() -> LineRecognizer:
    torch.manual_seed(0)
    return LineRecognizer(CompactResNet(channels=[4, 8, 16], out_channels=24), MambaEncoder(16, 2), classes=5)


def rates(model: LineRecognizer, optimizer: torch.optim.Optimizer) -> dict[str, float]:
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {names[id(p)]: group["lr"] for group in optimizer.param_groups for p in group["params"]}


def test_depths_are_those_of_the_way_through_the_model() -> None:
    names = [name for name, _ in recognizer().named_parameters()]
    depths = layer_depths(names)
    assert depths.keys() == set(names)
    expected = {
        "head.weight": 0,
        "encoder.norm.weight": 1,
        "encoder.blocks.1.forth.A_log": 2,
        "encoder.blocks.0.forth.A_log": 3,
        "bridge.weight": 4,
        "backbone.frame.bias": 5,
        "backbone.stages.1.conv2.weight": 6,
        "backbone.stages.0.norm1.weight": 7,
        "backbone.stem.weight": 8,
        "backbone.stem_norm.bias": 8,
    }
    assert {name: depths[name] for name in expected} == expected
    blocks = layer_depths(
        [name for name, _ in ResNet(depth=18, weights=None).named_parameters(prefix="backbone")]
    )
    assert len(set(blocks.values())) == 8 + 2  # residual blocks, what is before and after them


@pytest.mark.parametrize("make", [adamw, muon])
def test_rates_are_scaled_by_depth_and_name(make: type) -> None:
    model = recognizer()
    Lora(rank=2, train=["head.*", "backbone.*"])(model)
    plain, scaled = make(model, lr=0.001), make(model, lr=0.001)
    scale_rates(scaled, model, 0.5, [("backbone.*", 0.1), ("*.bias", 0.0)], rate=0.25)
    before, after = rates(model, plain), rates(model, scaled)
    assert before.keys() == after.keys()
    depths = layer_depths([name for name, _ in model.named_parameters()])
    for name, rate in before.items():
        factor = 0.25 * 0.5 ** depths[name] * (0.1 if name.startswith("backbone.") else 1.0)
        assert after[name] == pytest.approx(0.0 if name.endswith(".bias") else rate * factor)
    decays = [
        {id(p): g["weight_decay"] for g in o.param_groups for p in g["params"]} for o in (plain, scaled)
    ]
    assert decays[0] == decays[1]


@pytest.mark.parametrize(
    ("decay", "factors", "named"),
    [
        (0.0, [], "finetune.layer_decay=0.0: must be a number above 0 and of at most 1"),
        (1.5, [], "finetune.layer_decay=1.5: must be a number above 0 and of at most 1"),
        (1.0, [["decoder.*", 0.1]], r"finetune.rates=decoder.\*: matches nothing"),
        (1.0, [["head.*", -1]], r"finetune.rates.head.\*=-1: must be 0 or a positive number"),
        (1.0, ["head.*"], r"must be a pair of a pattern and a factor"),
        (1.0, [["head.*", 1, 2]], r"must be a pair of a pattern and a factor"),
    ],
)
def test_what_is_no_factor_is_refused(decay: float, factors: list[Any], named: str) -> None:
    model = recognizer()
    with pytest.raises(InputError, match=named):
        scale_rates(adamw(model, lr=0.001), model, decay, factors)
