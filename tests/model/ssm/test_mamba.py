"""The Mamba layer against the one in `transformers`, which runs without kernels here."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ocrtrain.errors import InputError
from ocrtrain.model.ssm import Mamba

BACKENDS = ("eager", "numba", pytest.param("triton", marks=pytest.mark.interpreted))


def mixer(d_model: int, d_state: int, d_conv: int, expand: int, bias: bool, conv_bias: bool) -> nn.Module:
    """Build the layer of `transformers` of the same sizes, in evaluation: its slow path."""
    from transformers import MambaConfig
    from transformers.models.mamba.modeling_mamba import MambaMixer

    config = MambaConfig(
        hidden_size=d_model,
        state_size=d_state,
        conv_kernel=d_conv,
        expand=expand,
        use_bias=bias,
        use_conv_bias=conv_bias,
        num_hidden_layers=1,
    )
    return MambaMixer(config, layer_idx=0).eval()


def layer(seed: int = 0, **settings: Any) -> Mamba:
    """Build a layer whose parameters are all away from their first values."""
    torch.manual_seed(seed)
    made = Mamba(**settings)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return made


def relative(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).detach().norm() / expected.detach().norm().clamp(min=1e-30))


SIZES = [
    {"d_model": 24, "d_state": 16, "d_conv": 4, "expand": 2, "bias": False, "conv_bias": True},
    {"d_model": 20, "d_state": 6, "d_conv": 3, "expand": 3, "bias": True, "conv_bias": False},
    {"d_model": 70, "d_state": 16, "d_conv": 4, "expand": 2, "bias": False, "conv_bias": True},
]


@pytest.mark.parametrize("settings", SIZES, ids=lambda s: f"width {s['d_model']}")
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("frames", [1, 40])
def test_output_and_gradients_are_those_of_transformers(
    settings: dict[str, Any], backend: str, frames: int
) -> None:
    if backend == "triton":  # interpreted, a frame takes milliseconds
        frames = min(frames, 5)
        if settings["d_model"] > 24:
            pytest.skip("wide layers take the interpreter long")
    ours, theirs = layer(**settings, backend=backend), mixer(**settings)
    theirs.load_state_dict(ours.state_dict(), strict=True)
    x = torch.randn(2, frames, settings["d_model"])
    inputs = [x.clone().requires_grad_() for _ in range(2)]
    y, expected = ours(inputs[0]), theirs(inputs[1])
    assert relative(y, expected) <= 1e-5
    dy = torch.randn_like(y)
    y.backward(dy)
    expected.backward(dy)
    assert inputs[0].grad is not None and inputs[1].grad is not None
    assert relative(inputs[0].grad, inputs[1].grad) <= 1e-5
    right = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        assert parameter.grad is not None, name
        assert relative(parameter.grad, right[name].grad) <= 1e-5, name


@pytest.mark.parametrize("settings", SIZES[:2], ids=lambda s: f"width {s['d_model']}")
def test_weights_of_transformers_load_as_they_are(settings: dict[str, Any]) -> None:
    ours, theirs = layer(**settings), mixer(**settings)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    x = torch.randn(2, 5, settings["d_model"])
    assert relative(ours(x), theirs(x)) <= 1e-5


def test_names_and_shapes_are_those_of_mamba_ssm() -> None:
    # As in state-spaces/mamba-130m: d_model 768, so d_inner 1536 and dt_rank 48.
    with torch.device("meta"):
        found = {name: tuple(p.shape) for name, p in Mamba(768).named_parameters()}
    assert found == {
        "A_log": (1536, 16),
        "D": (1536,),
        "in_proj.weight": (3072, 768),
        "conv1d.weight": (1536, 1, 4),
        "conv1d.bias": (1536,),
        "x_proj.weight": (80, 1536),
        "dt_proj.weight": (1536, 48),
        "dt_proj.bias": (1536,),
        "out_proj.weight": (768, 1536),
    }


def test_a_layer_starts_as_the_paper_says() -> None:
    torch.manual_seed(0)
    made = Mamba(512, d_state=8, dt_min=0.002, dt_max=0.05)
    steps = F.softplus(made.dt_proj.bias.detach().double())
    assert 0.002 * 0.999 <= steps.min() < 0.0022 and 0.045 < steps.max() <= 0.05 * 1.001
    # Log-uniform: half of the steps lie below the geometric mean.
    assert 0.45 < (steps < 0.01).double().mean() < 0.55
    A = -torch.exp(made.A_log.detach())
    torch.testing.assert_close(A, -torch.arange(1.0, 9.0).expand(1024, 8))
    assert torch.equal(made.D.detach(), torch.ones(1024))
    assert made.dt_proj.weight.abs().max() <= 32**-0.5  # dt_rank = 512 / 16


@pytest.mark.parametrize("backend", BACKENDS)
def test_reverse_reads_each_line_from_its_own_last_frame(backend: str) -> None:
    forth, back = (layer(d_model=12, reverse=reverse, backend=backend) for reverse in (False, True))
    x, lengths = torch.randn(3, 9, 12), torch.tensor([9, 4, 1])
    y = back(x, lengths)
    for n, length in enumerate(lengths.tolist()):
        alone = forth(x[n : n + 1, :length].flip(1)).flip(1)
        torch.testing.assert_close(y[n, :length], alone[0], rtol=1e-5, atol=1e-6)
        assert not y[n, length:].any()


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_line_alone_equals_itself_in_a_batch(backend: str, reverse: bool) -> None:
    made = layer(d_model=12, reverse=reverse, backend=backend)
    frames = 9 if backend == "triton" else 40
    x, lengths = torch.randn(3, frames, 12), torch.tensor([frames // 2, frames, 1])
    y = made(x, lengths)
    for n, length in enumerate(lengths.tolist()):
        alone = made(x[n : n + 1, :length])
        torch.testing.assert_close(y[n, :length], alone[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
def test_backends_agree_under_autocast(backend: str) -> None:
    x, lengths = torch.randn(2, 20, 16), torch.tensor([20, 11])
    exact = layer(d_model=16)(x, lengths)
    made = layer(d_model=16, backend=backend)
    with torch.autocast("cpu", torch.bfloat16):
        y = made(x, lengths)
    assert y.dtype == torch.bfloat16
    assert relative(y.float(), exact) <= 2e-2
    y.float().sum().backward()
    for name, parameter in made.named_parameters():
        assert parameter.grad is not None and parameter.grad.dtype == torch.float32, name


def test_an_unknown_backend_is_named() -> None:
    with pytest.raises(InputError, match="backend=fused"):
        layer(d_model=4, backend="fused")
