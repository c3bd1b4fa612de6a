"""Which parameters are decayed, and how they move."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from ocrtrain.errors import InputError
from ocrtrain.model import LineRecognizer
from ocrtrain.model.adapt import Lora
from ocrtrain.model.backbones import CompactResNet
from ocrtrain.model.encoders import MambaEncoder
from ocrtrain.training.optim.optimizer import Muon, adamw, muon, orthogonalize


@pytest.fixture
def model() -> LineRecognizer:
    torch.manual_seed(0)
    backbone = CompactResNet(channels=[4, 8, 16], out_channels=24)
    return LineRecognizer(backbone, MambaEncoder(width=32, layers=1), classes=5)


def decay_of(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, float]:
    """Each parameter's weight decay, by name."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    pairs = [
        (names[id(p)], group["weight_decay"]) for group in optimizer.param_groups for p in group["params"]
    ]
    assert len(pairs) == len(dict(pairs)) == len(names)  # each once
    return dict(pairs)


@pytest.mark.parametrize("make", [adamw, muon])
def test_state_space_parameters_biases_and_norms_are_not_decayed(make: type, model: LineRecognizer) -> None:
    decay = decay_of(model, make(model, lr=0.001, weight_decay=0.05))
    spared = {name for name, value in decay.items() if value == 0.0}
    shapes = dict(model.named_parameters())
    assert spared == {name for name in decay if shapes[name].ndim < 2 or name.endswith("A_log")}
    assert {name.split(".")[-1] for name in spared} == {"bias", "weight", "A_log", "D"}
    assert all("norm" in name for name in spared if name.endswith("weight"))
    assert {decay[name] for name in decay if name not in spared} == {0.05}


def test_muon_takes_the_hidden_matrices(model: LineRecognizer) -> None:
    optimizer = muon(model, lr=0.001, matrix_lr=0.02)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = {group["orthogonal"]: group for group in optimizer.param_groups}
    hidden = {names[id(parameter)] for parameter in groups[True]["params"]}
    assert groups[True]["lr"] == 0.02 and groups[False]["lr"] == 0.001
    assert {"backbone.frame.weight", "bridge.weight", "encoder.blocks.0.forth.in_proj.weight"} <= hidden
    assert "backbone.stages.0.conv1.weight" in hidden
    # The first layer and the last, depthwise kernels, and what no gradient should turn.
    others = {"backbone.stem.weight", "head.weight", "encoder.blocks.0.forth.conv1d.weight"}
    assert not hidden & {*others, "encoder.blocks.0.forth.A_log", "encoder.norm.weight"}


def test_muon_takes_both_matrices_of_an_adapter(model: LineRecognizer) -> None:
    Lora(rank=2)(model)
    optimizer = muon(model, lr=0.001, matrix_lr=0.02)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = {group["orthogonal"]: group for group in optimizer.param_groups}
    assert {names[id(p)] for p in groups[True]["params"]} == {n for n in names.values() if ".lora_" in n}
    assert {names[id(p)] for p in groups[False]["params"]} <= {"head.weight", "head.bias"}


@pytest.mark.parametrize("make", [adamw, muon])
def test_frozen_parameters_are_left_out(make: type, model: LineRecognizer) -> None:
    model.backbone.requires_grad_(False)
    held = sum(len(group["params"]) for group in make(model, lr=0.001).param_groups)
    assert held == sum(1 for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize("shape", [(16, 16), (8, 200), (200, 8), (64, 96), (256, 64)])
@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_singular_values_come_near_one(shape: tuple[int, int], scale: float) -> None:
    torch.manual_seed(0)
    matrix = torch.randn(shape)
    update = orthogonalize(matrix * scale)
    values = torch.linalg.svdvals(update)
    assert update.shape == shape
    assert values.min() > 0.6 and values.max() < 1.3
    # Only the lengths change, not the directions: U f(S) V' is symmetric in the basis of U S V'.
    product = matrix.T @ update if shape[0] > shape[1] else matrix @ update.T
    torch.testing.assert_close(product, product.T, rtol=0, atol=1e-3 * float(product.abs().max()))


def test_orthogonalize_of_nothing_is_nothing() -> None:
    assert torch.equal(orthogonalize(torch.zeros(4, 6)), torch.zeros(4, 6))


def test_the_other_parameters_move_as_by_adamw() -> None:
    torch.manual_seed(0)
    ours = [nn.Parameter(torch.randn(5, 3)), nn.Parameter(torch.randn(7))]
    theirs = [nn.Parameter(p.detach().clone()) for p in ours]
    settings = {"lr": 0.01, "betas": (0.9, 0.98), "weight_decay": 0.05}
    muon, adam = Muon(ours, **settings), torch.optim.AdamW(theirs, eps=1e-8, **settings)
    for step in range(10):
        for one, other in zip(ours, theirs, strict=True):
            # A parameter without a gradient stays, and its averages with it.
            one.grad = None if step == 4 else torch.randn_like(one) * 10.0 ** (step - 5)
            other.grad = None if one.grad is None else one.grad.clone()
        muon.step()
        adam.step()
        for one, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("make", [adamw, muon])
def test_scaled_losses_make_the_same_step(make: type) -> None:
    """As in 16-mixed, where gradients are unscaled, clipped, and only then used."""
    torch.manual_seed(0)
    plain, scaled = nn.Linear(20, 6), nn.Linear(20, 6)
    scaled.load_state_dict(plain.state_dict())
    one, other = make(plain, lr=0.1), make(scaled, lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    for x in torch.randn(3, 5, 20):
        one.zero_grad()
        other.zero_grad()
        plain(x).square().sum().backward()
        scaler.scale(scaled(x).square().sum()).backward()
        nn.utils.clip_grad_norm_(plain.parameters(), 1.0)
        scaler.unscale_(other)
        nn.utils.clip_grad_norm_(scaled.parameters(), 1.0)
        one.step()
        scaler.step(other)
        scaler.update()
        torch.testing.assert_close(plain.weight, scaled.weight)


def test_a_step_of_muon_by_hand() -> None:
    weight = nn.Parameter(torch.full((2, 1, 1, 1), 2.0))
    optimizer = Muon([{"params": [weight], "orthogonal": True}], lr=0.1, momentum=0.5, weight_decay=0.2)
    weight.grad = torch.tensor([3.0, 4.0])[:, None, None, None]
    optimizer.step()
    # One column: its direction (0.6, 0.8), its length about 1, scaled by sqrt(2 rows / 1 column).
    length = float(orthogonalize(torch.tensor([[3.0], [4.0]])).norm())
    moved = 2.0 * (1 - 0.1 * 0.2) - 0.1 * 2**0.5 * length * torch.tensor([0.6, 0.8])
    torch.testing.assert_close(weight.detach().flatten(), moved)


def test_the_state_is_saved_and_restored() -> None:
    torch.manual_seed(0)
    weight, bias = nn.Parameter(torch.randn(4, 20)), nn.Parameter(torch.randn(4))
    groups = [{"params": [weight], "orthogonal": True}, {"params": [bias]}]
    first = Muon(groups, lr=0.1)
    grads = [(torch.randn(4, 20), torch.randn(4)) for _ in range(4)]
    for weight.grad, bias.grad in grads[:2]:
        first.step()
    copies = [nn.Parameter(p.detach().clone()) for p in (weight, bias)]
    second = Muon([{"params": copies[:1], "orthogonal": True}, {"params": copies[1:]}], lr=0.5)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for gradients in grads[2:]:
        (weight.grad, bias.grad), (copies[0].grad, copies[1].grad) = gradients, gradients
        first.step()
        second.step()
    assert torch.equal(weight, copies[0]) and torch.equal(bias, copies[1])


@pytest.mark.parametrize("make", [adamw, muon])
@pytest.mark.parametrize("name", ["lr", "weight_decay"])
def test_rates_are_not_negative(make: type, name: str, model: LineRecognizer) -> None:
    with pytest.raises(InputError, match=f"optimizer.{name}=-1: must be 0 or a positive number"):
        make(model, **{"lr": 0.001, name: -1})
