"""What is handed to mamba-ssm's kernel, and what is made of what it gives back.

The kernel itself needs a GPU. Here, a function with its documented contract stands in.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ocrtrain.errors import InputError
from ocrtrain.model.ssm import selective_scan
from ocrtrain.model.ssm.scan.mamba_ssm import scan_mamba_ssm


def documented(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = False,
    return_last_state: bool = False,
) -> Tensor:
    """The contract: u, delta, z [N, D, T] and B, C [N, S, T] of one type, the others in float32."""
    assert not return_last_state
    per_frame = [x for x in (u, delta, B, C, z) if x is not None]
    assert {x.dtype for x in per_frame} <= {u.dtype} <= {torch.float32, torch.float16, torch.bfloat16}
    assert all(x.dtype == torch.float32 for x in (A, D, delta_bias) if x is not None)
    assert u.shape == delta.shape and B.shape == C.shape == (len(u), A.shape[1], u.shape[2])
    assert z is None or z.shape == u.shape
    step = delta.float() if delta_bias is None else delta.float() + delta_bias[:, None]
    step = F.softplus(step) if delta_softplus else step
    h = torch.zeros(*u.shape[:2], A.shape[1])
    frames = []
    for t in range(u.shape[2]):
        inflow = (step[..., t] * u[..., t].float())[..., None] * B[:, None, :, t].float()
        h = torch.exp(step[..., t, None] * A) * h + inflow
        frames.append((h * C[:, None, :, t].float()).sum(-1))
    y = torch.stack(frames, 2)
    y = y if D is None else y + D[:, None] * u.float()
    y = y if z is None else y * F.silu(z.float())
    return y.to(u.dtype)


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    interface = ModuleType("mamba_ssm.ops.selective_scan_interface")
    interface.selective_scan_fn = documented  # type: ignore[attr-defined]
    for name in ("mamba_ssm", "mamba_ssm.ops"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, interface.__name__, interface)


def arguments(given: bool = True, S: int = 4) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(0)
    N, T, D = 4, 9, 5
    sizes = {"u": (N, T, D), "delta": (N, T, D), "A": (D, S), "B": (N, T, S), "C": (N, T, S)}
    sizes |= {"D": (D,), "z": (N, T, D), "delta_bias": (D,)} if given else {}
    tensors = {k: torch.randn(size, generator=generator) for k, size in sizes.items()}
    tensors["A"] = -tensors["A"].exp()
    return {**dict.fromkeys(("D", "z", "delta_bias")), **tensors}


def relative(found: Tensor, expected: Tensor) -> float:
    return float((found.float() - expected).norm() / expected.norm().clamp(min=1e-30))


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize("lengths", [None, (9, 4, 1, 0)], ids=["all frames", "lengths"])
@pytest.mark.parametrize("given", [True, False], ids=["all", "bare"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_output_and_gradients_are_those_of_plain_steps(
    dtype: torch.dtype, given: bool, lengths: tuple[int, ...] | None, reverse: bool
) -> None:
    valid = None if lengths is None else torch.tensor(lengths)
    options = {"delta_softplus": True, "lengths": valid, "reverse": reverse}
    tensors = arguments(given)
    for k in ("u", "delta", "B", "C", "z"):
        tensors[k] = None if tensors[k] is None else tensors[k].to(dtype)
    tensors["B"] = tensors["B"].float()  # is brought to u's type
    outcomes = []
    for scan, also in ((scan_mamba_ssm, {}), (selective_scan, {"backend": "eager"})):
        own = {k: None if v is None else v.clone().requires_grad_() for k, v in tensors.items()}
        y = scan(**own, **options, **also)
        assert y.dtype == dtype
        (y.float() * torch.arange(5.0)).sum().backward()
        outcomes.append([y.detach(), *(v.grad for v in own.values() if v is not None)])
    limit = 1e-5 if dtype == torch.float32 else 1e-2
    for one, other in zip(*outcomes, strict=True):
        assert one.dtype == other.dtype
        assert relative(one, other.float()) <= limit


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "backward"])
def test_what_lies_beyond_a_line_is_zero_and_changes_nothing(reverse: bool) -> None:
    lengths = torch.tensor([9, 4, 1, 0])
    beyond = torch.arange(9) >= lengths[:, None]
    outcomes = []
    for filler in (0.0, 1e3):
        own = arguments()
        for k in ("u", "delta", "B", "C", "z"):
            own[k][beyond] = filler
        own = {k: v.requires_grad_() for k, v in own.items()}
        y = scan_mamba_ssm(**own, delta_softplus=True, lengths=lengths, reverse=reverse)
        y.sum().backward()
        assert not y[beyond].any() and not own["u"].grad[beyond].any() and not own["z"].grad[beyond].any()
        outcomes.append([y.detach(), *(v.grad for v in own.values())])
    for one, other in zip(*outcomes, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-7)


def test_more_states_than_the_kernel_holds_are_refused() -> None:
    with pytest.raises(InputError, match=r"backend=mamba_ssm: .*256 states, not 257"):
        scan_mamba_ssm(**arguments(S=257), delta_softplus=True, lengths=None, reverse=False)
