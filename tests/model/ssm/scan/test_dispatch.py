"""The selective scan against its recurrence, written out in double precision."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from ocrtrain.errors import InputError
from ocrtrain.model.ssm import selective_scan
from ocrtrain.model.ssm.backend import mamba_ssm_missing, triton_missing

BACKENDS = ("eager", "numba", pytest.param("triton", marks=pytest.mark.interpreted))


@dataclass(frozen=True)
class Case:
    """Sizes of a scan and which of its optional arguments are given."""

    N: int
    T: int
    D: int
    S: int
    lengths: tuple[int, ...] | None = None
    D_given: bool = True
    z_given: bool = True
    bias_given: bool = True
    softplus: bool = True


CASES = {
    "all": Case(2, 9, 8, 16),
    "bare": Case(2, 9, 8, 16, None, False, False, False, False),
    "no skip": Case(2, 7, 6, 4, None, D_given=False),
    "no gate": Case(2, 7, 6, 4, (7, 3), z_given=False),
    "no bias": Case(2, 7, 6, 4, (3, 7), bias_given=False),
    "no softplus": Case(2, 7, 6, 4, (6, 2), softplus=False),
    "lengths": Case(5, 11, 5, 8, (11, 4, 1, 10, 0)),
    "one frame": Case(3, 1, 7, 16),
    "one of everything": Case(1, 1, 1, 1, (1,)),
    "odd channels": Case(2, 5, 13, 16, (5, 2)),
    "channels beyond a block": Case(2, 6, 131, 4, (6, 3)),
    "channels beyond two blocks": Case(1, 4, 257, 4),
    "frames beyond a chunk": Case(3, 75, 3, 4, (75, 33, 32)),
    "3 states": Case(2, 6, 5, 3, (6, 4)),
    "5 states": Case(2, 6, 5, 5),
    "12 states": Case(2, 6, 5, 12, (2, 6)),
}


def arguments(case: Case, seed: int = 0, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """Draw a scan's tensors, as a Mamba layer would give them."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator).to(dtype)

    N, T, D, S = case.N, case.T, case.D, case.S
    tensors = {
        "u": normal(N, T, D),
        "delta": normal(N, T, D),
        "A": -torch.arange(1, S + 1, dtype=torch.float32) * (1 + torch.rand(D, 1, generator=generator)),
        "B": normal(N, T, S),
        "C": normal(N, T, S),
    }
    if not case.softplus:
        tensors["delta"] = F.softplus(tensors["delta"])
    if case.D_given:
        tensors["D"] = normal(D).float()
    if case.z_given:
        tensors["z"] = normal(N, T, D)
    if case.bias_given:
        bias = normal(D).float()
        tensors["delta_bias"] = bias if case.softplus else bias.abs()
    return tensors


def scan_by_definition(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = False,
    lengths: Tensor | None = None,
    reverse: bool = False,
) -> Tensor:
    """h_t = exp(delta_t A) h_{t-1} + delta_t B_t u_t; y_t = (C_t h_t + D u_t) silu(z_t), line by line."""
    lines = []
    for n in range(len(u)):
        length = u.shape[1] if lengths is None else int(lengths[n])
        h = torch.zeros_like(A)
        frames = [torch.zeros_like(u[n, 0])] * u.shape[1]
        for t in reversed(range(length)) if reverse else range(length):
            step = delta[n, t] if delta_bias is None else delta[n, t] + delta_bias
            step = torch.log1p(torch.exp(step)) if delta_softplus else step
            h = torch.exp(step[:, None] * A) * h + step[:, None] * B[n, t] * u[n, t, :, None]
            y = (h * C[n, t]).sum(1)
            y = y if D is None else y + D * u[n, t]
            frames[t] = y if z is None else y * z[n, t] / (1 + torch.exp(-z[n, t]))
        lines.append(torch.stack(frames))
    return torch.stack(lines)


def relative(found: Tensor, expected: Tensor) -> float:
    """Norm of the difference over the norm of what is expected."""
    found, expected = found.detach().double(), expected.detach()
    return float((found - expected).norm() / expected.norm().clamp(min=1e-30))


def lengths_of(case: Case) -> Tensor | None:
    return None if case.lengths is None else torch.tensor(case.lengths)


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", CASES)
def test_output_and_gradients_are_those_of_the_recurrence(name: str, backend: str, reverse: bool) -> None:
    case = CASES[name]
    if backend == "triton" and name in ("channels beyond two blocks", "frames beyond a chunk"):
        pytest.skip("takes the interpreter long; test_scan_triton.py has blocks and chunks of other sizes")
    lengths = lengths_of(case)
    single = {k: v.requires_grad_() for k, v in arguments(case).items()}
    double = {k: v.detach().double().requires_grad_() for k, v in single.items()}
    options = {"delta_softplus": case.softplus, "lengths": lengths, "reverse": reverse}

    y = selective_scan(**single, **options, backend=backend)
    expected = scan_by_definition(**double, **options)
    assert y.shape == expected.shape and y.dtype == torch.float32
    assert relative(y, expected) <= 1e-5

    dy = torch.randn(y.shape, generator=torch.Generator().manual_seed(1))
    found = torch.autograd.grad(y, list(single.values()), dy)
    right = torch.autograd.grad(expected, list(double.values()), dy.double())
    for argument, one, other in zip(single, found, right, strict=True):
        assert one.shape == other.shape and one.dtype == torch.float32
        assert relative(one, other) <= 1e-5, argument


@pytest.mark.parametrize("backend", BACKENDS)
def test_states_that_fade_at_once_and_gates_that_are_shut_are_exact(backend: str) -> None:
    case = Case(2, 12, 6, 16)
    single = arguments(case)
    single["delta"] *= 40  # exp(delta A) from 1 down to what float32 cannot hold
    single["z"] *= 40
    single = {k: v.requires_grad_() for k, v in single.items()}
    double = {k: v.detach().double().requires_grad_() for k, v in single.items()}
    y = selective_scan(**single, delta_softplus=True, backend=backend)
    expected = scan_by_definition(**double, delta_softplus=True)
    assert relative(y, expected) <= 1e-5
    y.sum().backward()
    expected.sum().backward()
    for k, v in single.items():
        assert v.grad is not None and relative(v.grad, double[k].grad) <= 1e-5, k


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_what_lies_beyond_a_line_is_zero_and_changes_nothing(backend: str, reverse: bool) -> None:
    case = CASES["lengths"]
    lengths = lengths_of(case)
    assert lengths is not None
    beyond = torch.arange(case.T) >= lengths[:, None]
    clean = arguments(case)
    dirty = {k: v.clone() for k, v in clean.items()}
    per_frame = ("u", "delta", "B", "C", "z")
    for k in per_frame:
        dirty[k][beyond] = 1e3
    outcomes = []
    for given in (clean, dirty):
        given = {k: v.requires_grad_() for k, v in given.items()}
        y = selective_scan(**given, delta_softplus=True, lengths=lengths, reverse=reverse, backend=backend)
        assert not y[beyond].any()
        # The gradient that comes in beyond a line's end must not count either.
        gradients = torch.autograd.grad(y, list(given.values()), torch.ones_like(y))
        for k, gradient in zip(given, gradients, strict=True):
            if k in per_frame:
                assert not gradient[beyond].any(), k
        outcomes.append([y, *gradients])
    for one, other in zip(*outcomes, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_line_alone_equals_itself_in_a_batch(backend: str, reverse: bool) -> None:
    case = CASES["no gate" if backend == "triton" else "frames beyond a chunk"]
    lengths = lengths_of(case)
    assert lengths is not None
    given = arguments(case)
    together = selective_scan(**given, delta_softplus=True, lengths=lengths, reverse=reverse, backend=backend)
    for n, length in enumerate(lengths.tolist()):
        own = {k: v[n : n + 1, :length] if v.dim() == 3 else v for k, v in given.items()}
        alone = selective_scan(**own, delta_softplus=True, reverse=reverse, backend=backend)
        torch.testing.assert_close(alone[0], together[n, :length], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
def test_backward_in_time_is_forward_on_the_reversed_line(backend: str) -> None:
    given = arguments(CASES["all"])
    turned = {k: v.flip(1) if v.dim() == 3 else v for k, v in given.items()}
    there = selective_scan(**given, delta_softplus=True, reverse=True, backend=backend)
    here = selective_scan(**turned, delta_softplus=True, backend=backend).flip(1)
    torch.testing.assert_close(there, here, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_in_gives_half_precision_out(dtype: torch.dtype, backend: str, reverse: bool) -> None:
    case = CASES["lengths"]
    given = {k: v.requires_grad_() for k, v in arguments(case, dtype=dtype).items()}
    double = {k: v.detach().double().requires_grad_() for k, v in given.items()}
    options = {"delta_softplus": True, "lengths": lengths_of(case), "reverse": reverse}
    y = selective_scan(**given, **options, backend=backend)
    expected = scan_by_definition(**double, **options)
    assert y.dtype == dtype
    assert relative(y, expected) <= 1e-2
    y.float().sum().backward()
    expected.sum().backward()
    for k, v in given.items():
        assert v.grad is not None and v.grad.dtype == v.dtype
        assert relative(v.grad, double[k].grad) <= 1e-2, k


@pytest.mark.parametrize("backend", BACKENDS)
def test_autocast_changes_nothing(backend: str) -> None:
    given = arguments(CASES["all"])
    plain = selective_scan(**given, delta_softplus=True, backend=backend)
    with torch.autocast("cpu", torch.bfloat16):
        cast = selective_scan(**given, delta_softplus=True, backend=backend)
    assert torch.equal(plain, cast)


@pytest.mark.parametrize("backend", BACKENDS)
def test_inputs_need_not_lie_in_one_piece(backend: str) -> None:
    given = arguments(CASES["lengths"])
    lengths = lengths_of(CASES["lengths"])
    strided = {
        k: v.transpose(1, 2).contiguous().transpose(1, 2) if v.dim() == 3 else v for k, v in given.items()
    }
    assert not strided["u"].is_contiguous()
    one, other = (
        selective_scan(**tensors, delta_softplus=True, lengths=lengths, backend=backend)
        for tensors in (given, strided)
    )
    torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)


class Largest(TorchDispatchMode):
    """Notes the number of elements of the largest tensor that any operation gives."""

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, (tuple, list)) else [out]:
            if isinstance(tensor, Tensor):
                self.elements = max(self.elements, tensor.numel())
        return out


@pytest.mark.parametrize("backend", ["eager", "numba"])
def test_no_tensor_holds_all_states_of_all_frames(backend: str) -> None:
    case = Case(2, 128, 32, 16)
    given = {k: v.requires_grad_() for k, v in arguments(case).items()}
    with Largest() as largest:
        selective_scan(**given, delta_softplus=True, backend=backend).sum().backward()
    assert given["A"].grad is not None
    assert largest.elements == case.N * case.T * case.D  # an input's own size, S times less


def test_an_unknown_backend_is_named_with_the_choices() -> None:
    with pytest.raises(InputError, match=r"backend=cuda-graphs.*\n.*auto, torch, numba, eager, triton, mam"):
        selective_scan(**arguments(CASES["all"]), backend="cuda-graphs")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize("backend", ["auto", "eager", "triton", "mamba_ssm"])
def test_a_gpu_gives_the_same(backend: str, reverse: bool) -> None:
    missing = {"triton": triton_missing("cuda:0"), "mamba_ssm": mamba_ssm_missing("cuda")}.get(backend)
    if missing:
        pytest.skip(missing)
    case = CASES["lengths"]
    lengths = torch.tensor(case.lengths)
    options = {"delta_softplus": True, "reverse": reverse}
    single = {k: v.cuda().requires_grad_() for k, v in arguments(case).items()}
    double = {k: v.detach().cpu().double().requires_grad_() for k, v in single.items()}
    y = selective_scan(**single, **options, lengths=lengths.cuda(), backend=backend)
    expected = scan_by_definition(**double, **options, lengths=lengths)
    assert relative(y.cpu(), expected) <= 1e-5
    y.sum().backward()
    expected.sum().backward()
    for k, v in single.items():
        assert v.grad is not None and relative(v.grad.cpu(), double[k].grad) <= 1e-5, k
    with pytest.raises(InputError, match="backend=numba"):
        selective_scan(**single, **options, backend="numba")
