"""The gated norm against its formula in double precision."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ocrtrain.model.ssm.gated_norm import norm as gated_norm
from ocrtrain.model.ssm.gated_norm.norm import GatedRMSNorm


def by_formula(x: Tensor, gate: Tensor, weight: Tensor, groups: int) -> Tensor:
    gated = (x * gate / (1 + torch.exp(-gate))).unflatten(-1, (groups, -1))
    return (gated / (gated.square().mean(-1, keepdim=True) + 1e-5).sqrt()).flatten(-2) * weight


def relative(found: Tensor, expected: Tensor) -> float:
    return float((found.double() - expected).detach().norm() / expected.detach().norm())


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize(
    ("shape", "groups"), [((2, 3, 6), 1), ((2, 3, 6), 2), ((3, 70, 20), 4), ((1, 1, 1), 1)]
)
@pytest.mark.parametrize(("dtype", "limit"), [(torch.float32, 1e-5), (torch.bfloat16, 1e-2)], ids=str)
def test_output_and_gradients_are_those_of_the_formula(
    shape: tuple[int, ...],
    groups: int,
    dtype: torch.dtype,
    limit: float,
    compiled: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not compiled:
        monkeypatch.setattr(gated_norm, "numba_missing", lambda: "not wanted")
    torch.manual_seed(0)
    norm = GatedRMSNorm(shape[-1], groups)
    with torch.no_grad():
        norm.weight.uniform_(0.5, 2)
    # A gate that is a view into something wider, as the layer's is.
    x, both = torch.randn(shape).to(dtype), torch.randn(*shape[:-1], 2 * shape[-1]).to(dtype)
    single = [x.requires_grad_(), both.requires_grad_(), norm.weight]
    double = [v.detach().double().requires_grad_() for v in single]
    y = norm(single[0], single[1].chunk(2, -1)[1])
    expected = by_formula(double[0], double[1].chunk(2, -1)[1], double[2], groups)
    assert y.dtype == dtype and relative(y, expected) <= limit
    dy = torch.randn(shape).to(dtype)
    found, right = torch.autograd.grad(y, single, dy), torch.autograd.grad(expected, double, dy.double())
    for one, other in zip(found, right, strict=True):
        # A single feature over its own root mean square hardly moves: only its error can be told.
        assert float((one.double() - other).norm()) <= limit * max(float(other.norm()), 1.0)


def test_an_input_of_zeros_stays_zero() -> None:
    norm = GatedRMSNorm(8)
    x = torch.zeros(2, 3, 8, requires_grad=True)
    y = norm(x, torch.randn(2, 3, 8))
    y.sum().backward()
    assert not y.any() and x.grad is not None and x.grad.isfinite().all()
