"""Mamba's short convolution against torch's own, in double precision, line by line."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ocrtrain.errors import InputError
from ocrtrain.model.ssm.convolution.dispatch import causal_convolution

BACKENDS = ("eager", "numba", pytest.param("triton", marks=pytest.mark.interpreted))
both_ways = pytest.mark.parametrize("reverse", [False, True], ids=["forward", "backward"])
both_backends = pytest.mark.parametrize("backend", BACKENDS)


def arguments(N: int, T: int, D: int, taps: int, bias: bool = True, seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    given = {
        "x": torch.randn(N, T, D, generator=generator),
        "weight": torch.randn(D, 1, taps, generator=generator),
    }
    return {**given, "bias": torch.randn(D, generator=generator)} if bias else given


def convolve_by_torch(
    x: Tensor, weight: Tensor, bias: Tensor | None, lengths: Tensor | None, reverse: bool
) -> Tensor:
    """torch's grouped convolution over each line alone, padded on the side of the past."""
    lines = []
    for n, line in enumerate(x):
        length = x.shape[1] if lengths is None else int(lengths[n])
        if not length:
            lines.append(torch.zeros_like(line))
            continue
        own = line[:length].flip(0) if reverse else line[:length]
        y = F.conv1d(F.pad(own.T, (weight.shape[-1] - 1, 0)), weight, bias, groups=len(weight)).T
        y = F.silu(y.flip(0) if reverse else y)
        lines.append(F.pad(y, (0, 0, 0, x.shape[1] - length)))
    return torch.stack(lines)


def relative(found: Tensor, expected: Tensor) -> float:
    found, expected = found.detach().double(), expected.detach()
    return float((found - expected).norm() / expected.norm().clamp(min=1e-30))


@both_ways
@both_backends
@pytest.mark.parametrize(
    ("N", "T", "D", "taps", "bias", "lengths"),
    [
        (2, 9, 8, 4, True, None),
        (2, 9, 8, 4, False, None),
        (5, 9, 5, 4, True, (9, 3, 1, 4, 0)),
        (2, 37, 3, 4, True, (37, 17)),  # more frames than a tile
        (2, 1, 3, 4, True, None),  # fewer frames than taps
        (1, 3, 1, 4, False, (2,)),
        (2, 6, 7, 1, True, (6, 2)),
        (2, 6, 131, 3, True, (4, 6)),  # more channels than a block
    ],
)
def test_output_and_gradients_are_those_of_torch(
    N: int,
    T: int,
    D: int,
    taps: int,
    bias: bool,
    lengths: tuple[int, ...] | None,
    backend: str,
    reverse: bool,
) -> None:
    valid = None if lengths is None else torch.tensor(lengths)
    single = {k: v.requires_grad_() for k, v in arguments(N, T, D, taps, bias).items()}
    double = {k: v.detach().double().requires_grad_() for k, v in single.items()}
    y = causal_convolution(**single, lengths=valid, reverse=reverse, backend=backend)
    expected = convolve_by_torch(double["x"], double["weight"], double.get("bias"), valid, reverse)
    assert y.shape == expected.shape and y.dtype == torch.float32
    assert relative(y, expected) <= 1e-5
    dy = torch.randn(y.shape, generator=torch.Generator().manual_seed(1))
    y.backward(dy)
    expected.backward(dy.double())
    for argument, v in single.items():
        assert v.grad is not None and v.grad.shape == v.shape
        assert relative(v.grad, double[argument].grad) <= 1e-5, argument


@both_ways
@both_backends
def test_what_lies_beyond_a_line_is_zero_and_changes_nothing(backend: str, reverse: bool) -> None:
    lengths = torch.tensor([7, 2, 1])
    beyond = torch.arange(7) >= lengths[:, None]
    outcomes = []
    for filler in (0.0, 1e3):
        given = arguments(3, 7, 5, 4)
        given["x"][beyond] = filler
        given = {k: v.requires_grad_() for k, v in given.items()}
        y = causal_convolution(**given, lengths=lengths, reverse=reverse, backend=backend)
        y.backward(torch.ones_like(y))
        assert given["x"].grad is not None
        assert not y[beyond].any() and not given["x"].grad[beyond].any()
        outcomes.append([y, *(v.grad for v in given.values())])
    for one, other in zip(*outcomes, strict=True):
        assert torch.equal(one, other)


@both_ways
@both_backends
def test_no_frame_sees_the_future(backend: str, reverse: bool) -> None:
    given = arguments(1, 8, 3, 4)
    before = causal_convolution(**given, reverse=reverse, backend=backend)
    given["x"][0, 4] += 1
    changed = (causal_convolution(**given, reverse=reverse, backend=backend) != before).any(2)[0].tolist()
    assert changed == [False] + [True] * 4 + [False] * 3 if reverse else [False] * 4 + [True] * 4


@both_backends
def test_half_precision_in_gives_half_precision_out(backend: str) -> None:
    given = {k: v.bfloat16() for k, v in arguments(2, 9, 8, 4).items()}
    y = causal_convolution(**given, backend=backend)
    double = {k: v.double() for k, v in given.items()}
    expected = convolve_by_torch(double["x"], double["weight"], double["bias"], None, False)
    assert y.dtype == torch.bfloat16
    assert relative(y, expected) <= 1e-2


def test_an_unknown_backend_is_named() -> None:
    with pytest.raises(InputError, match="backend=cudnn"):
        causal_convolution(**arguments(1, 2, 3, 4), backend="cudnn")
