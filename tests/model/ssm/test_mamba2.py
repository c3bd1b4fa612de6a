"""The Mamba-2 layer against the one in `transformers`, which runs without kernels here."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ocrtrain.errors import InputError
from ocrtrain.model.ssm import Mamba2


def mixer(settings: dict[str, Any]) -> nn.Module:
    """Build the layer of `transformers` of the same sizes, in evaluation: its slow path."""
    from transformers import Mamba2Config
    from transformers.models.mamba2.modeling_mamba2 import Mamba2Mixer

    config = Mamba2Config(
        hidden_size=settings["d_model"],
        state_size=settings["d_state"],
        conv_kernel=settings["d_conv"],
        expand=settings["expand"],
        head_dim=settings["headdim"],
        num_heads=settings["d_model"] * settings["expand"] // settings["headdim"],
        n_groups=settings["ngroups"],
        chunk_size=8,
        use_bias=settings["bias"],
        use_conv_bias=settings["conv_bias"],
        num_hidden_layers=1,
    )
    return Mamba2Mixer(config, layer_idx=0).eval()


def layer(seed: int = 0, **settings: Any) -> Mamba2:
    """Build a layer whose parameters are all away from their first values."""
    torch.manual_seed(seed)
    made = Mamba2(**settings)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return made


def relative(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).detach().norm() / expected.detach().norm().clamp(min=1e-30))


SMALL = {"d_model": 12, "d_state": 8, "headdim": 8}
SIZES: list[dict[str, Any]] = [
    {**SMALL, "d_conv": 4, "expand": 2, "ngroups": 1, "bias": False, "conv_bias": True},
    {"d_model": 20, "d_state": 6, "headdim": 10, "d_conv": 3, "expand": 3, "ngroups": 1}
    | {"bias": True, "conv_bias": False},
]


@pytest.mark.parametrize("settings", SIZES, ids=lambda s: f"width {s['d_model']}")
@pytest.mark.parametrize("frames", [1, 21])
def test_output_and_gradients_are_those_of_transformers(settings: dict[str, Any], frames: int) -> None:
    ours, theirs = layer(**settings, chunk_size=8), mixer(settings)
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
        if frames > 1 or name != "A_log":  # one frame forgets nothing
            assert relative(parameter.grad, right[name].grad) <= 1e-5, name


def test_names_and_shapes_are_those_of_mamba_ssm() -> None:
    # As in state-spaces/mamba2-130m: d_model 768, so 24 heads of 64 and 1536 + 2 * 128 convolved channels.
    with torch.device("meta"):
        found = {name: tuple(p.shape) for name, p in Mamba2(768).named_parameters()}
    assert found == {
        "dt_bias": (24,),
        "A_log": (24,),
        "D": (24,),
        "in_proj.weight": (3352, 768),
        "conv1d.weight": (1792, 1, 4),
        "conv1d.bias": (1792,),
        "norm.weight": (1536,),
        "out_proj.weight": (768, 1536),
    }


def test_a_layer_starts_as_the_paper_says() -> None:
    torch.manual_seed(0)
    made = Mamba2(512, headdim=1, dt_min=0.002, dt_max=0.05)
    steps = F.softplus(made.dt_bias.detach().double())
    assert 0.002 * 0.999 <= steps.min() < 0.0022 and 0.045 < steps.max() <= 0.05 * 1.001
    assert 0.45 < (steps < 0.01).double().mean() < 0.55  # log-uniform
    A = torch.exp(made.A_log.detach())
    assert 1 <= A.min() < 1.2 and 15.8 < A.max() <= 16 and 8 < A.mean() < 9
    assert torch.equal(made.D.detach(), torch.ones(1024))
    assert torch.equal(made.norm.weight.detach(), torch.ones(1024))


def test_reverse_reads_each_line_from_its_own_last_frame() -> None:
    forth, back = (layer(**SMALL, reverse=reverse, chunk_size=4) for reverse in (False, True))
    x, lengths = torch.randn(3, 9, 12), torch.tensor([9, 4, 1])
    y = back(x, lengths)
    for n, length in enumerate(lengths.tolist()):
        alone = forth(x[n : n + 1, :length].flip(1)).flip(1)
        torch.testing.assert_close(y[n, :length], alone[0], rtol=1e-5, atol=1e-6)
        assert not y[n, length:].any()


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "backward"])
def test_a_line_alone_equals_itself_in_a_batch(reverse: bool) -> None:
    made = layer(**SMALL, reverse=reverse, chunk_size=8)
    x, lengths = torch.randn(3, 40, 12), torch.tensor([17, 40, 1])
    y = made(x, lengths)
    for n, length in enumerate(lengths.tolist()):
        torch.testing.assert_close(y[n, :length], made(x[n : n + 1, :length])[0], rtol=1e-5, atol=1e-6)


def test_groups_of_heads_have_inputs_and_norms_of_their_own() -> None:
    made = layer(d_model=12, d_state=4, headdim=4, ngroups=2)
    x = torch.randn(1, 6, 12)
    before = made(x)
    # The second group's part of the output projection sees the second group alone.
    with torch.no_grad():
        made.out_proj.weight[:, :12] = 0
        half = made(x)
        made.in_proj.weight[24 + 24 : 24 + 24 + 4] += 1  # B of the first group
        torch.testing.assert_close(made(x), half)
        made.in_proj.weight[24 + 24 + 4 : 24 + 24 + 8] += 1  # B of the second
    assert not torch.allclose(made(x), half) and not torch.allclose(before, half)


def test_autocast_keeps_the_recurrence_exact_enough() -> None:
    x, lengths = torch.randn(2, 20, 12), torch.tensor([20, 11])
    made = layer(**SMALL, chunk_size=8)
    exact = made(x, lengths)
    with torch.autocast("cpu", torch.bfloat16):
        y = made(x, lengths)
    assert y.dtype == torch.bfloat16 and relative(y.float(), exact) <= 2e-2
    y.float().sum().backward()
    for name in ("A_log", "D", "dt_bias"):
        gradient = getattr(made, name).grad
        assert gradient is not None and gradient.dtype == torch.float32


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"d_model": 12, "headdim": 7}, r"encoder\.headdim=7: does not divide the inner width 24"),
        ({"d_model": 24, "headdim": 64}, r"encoder\.headdim=64.*\n.*such as 16"),
        ({"d_model": 12, "headdim": 8, "ngroups": 2}, r"encoder\.ngroups=2: does not divide the 3 heads"),
        ({"d_model": 12, "headdim": 8, "ngroups": 0}, r"encoder\.ngroups=0"),
        ({**SMALL, "backend": "fused"}, r"backend=fused: no such scan backend"),
    ],
)
def test_sizes_that_do_not_divide_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Mamba2(**settings)
