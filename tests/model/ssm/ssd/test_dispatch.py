"""Mamba-2's recurrence, compiled and in chunks, against the recurrence written out in double precision."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ocrtrain.model.ssm import state_space_duality
from ocrtrain.model.ssm.ssd.dispatch import chunk_size

# N, T, H, P, G, S, chunk, lengths
CASES = {
    "one frame": (2, 1, 2, 3, 1, 4, 64, None),
    "one chunk": (2, 9, 4, 3, 1, 5, 64, None),
    "chunks that divide": (2, 24, 4, 3, 1, 5, 8, (24, 7)),
    "a prime number of frames": (3, 37, 2, 5, 1, 3, 8, (37, 8, 1)),
    "groups": (2, 20, 6, 2, 3, 4, 8, (13, 20)),
    "a head of one channel": (1, 12, 3, 1, 1, 2, 4, None),
    "chunks of one frame": (2, 5, 2, 2, 2, 2, 1, (5, 3)),
    "an empty line": (2, 10, 2, 3, 1, 4, 4, (10, 0)),
}
both_ways = pytest.mark.parametrize("reverse", [False, True], ids=["forward", "backward"])
both_forms = pytest.mark.parametrize("backend", ["numba", "eager"], ids=["compiled", "in chunks"])
Given = dict[str, Tensor]


def arguments(name: str, dtype: torch.dtype = torch.float32) -> tuple[Given, Tensor | None, int]:
    """Draw a case's tensors, as a Mamba-2 layer would give them; its lengths; its chunk."""
    N, T, H, P, G, S, chunk, lengths = CASES[name]
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    given = {
        "x": normal(N, T, H, P).to(dtype),
        "dt": torch.rand(N, T, H, generator=generator) * 0.3,
        "A": -1 - 15 * torch.rand(H, generator=generator),
        "B": normal(N, T, G, S).to(dtype),
        "C": normal(N, T, G, S).to(dtype),
        "D": normal(H),
    }
    return given, None if lengths is None else torch.tensor(lengths), chunk


def by_definition(
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    lengths: Tensor | None,
    reverse: bool,
) -> Tensor:
    """h_t = exp(dt_t A) h_{t-1} + dt_t B_t x_t^T; y_t = C_t h_t + D x_t, line by line and head by head."""
    lines = []
    for n in range(len(x)):
        length = x.shape[1] if lengths is None else int(lengths[n])
        frames = [torch.zeros_like(x[n, 0])] * x.shape[1]
        h = [torch.zeros(B.shape[3], x.shape[3], dtype=x.dtype) for _ in A]
        for t in reversed(range(length)) if reverse else range(length):
            heads = []
            for i in range(len(A)):
                group = i * B.shape[2] // len(A)
                h[i] = torch.exp(dt[n, t, i] * A[i]) * h[i]
                h[i] = h[i] + dt[n, t, i] * torch.outer(B[n, t, group], x[n, t, i])
                heads.append(C[n, t, group] @ h[i] + D[i] * x[n, t, i])
            frames[t] = torch.stack(heads)
        lines.append(torch.stack(frames))
    return torch.stack(lines)


def relative(found: Tensor, expected: Tensor) -> float:
    found, expected = found.detach().double(), expected.detach()
    return float((found - expected).norm() / expected.norm().clamp(min=1e-30))


@both_forms
@both_ways
@pytest.mark.parametrize(
    ("dtype", "limit"), [(torch.float32, 1e-5), (torch.bfloat16, 1e-2), (torch.float16, 1e-2)], ids=str
)
@pytest.mark.parametrize("name", CASES)
def test_output_and_gradients_are_those_of_the_recurrence(
    name: str, dtype: torch.dtype, limit: float, reverse: bool, backend: str
) -> None:
    given, lengths, chunk = arguments(name, dtype)
    single = {k: v.requires_grad_() for k, v in given.items()}
    double = {k: v.detach().double().requires_grad_() for k, v in single.items()}
    y = state_space_duality(**single, lengths=lengths, reverse=reverse, chunk=chunk, backend=backend)
    expected = by_definition(**double, lengths=lengths, reverse=reverse)
    assert y.shape == expected.shape and y.dtype == dtype
    assert relative(y, expected) <= limit
    dy = torch.randn(y.shape, generator=torch.Generator().manual_seed(1))
    found = torch.autograd.grad(y, list(single.values()), dy.to(dtype))
    right = torch.autograd.grad(expected, list(double.values()), dy.double(), allow_unused=True)
    for argument, one, other in zip(single, found, right, strict=True):
        if other is None:  # one frame forgets nothing, whatever A says
            assert not one.any(), argument
        else:
            assert one.shape == other.shape and relative(one, other) <= limit, argument


@both_forms
@both_ways
def test_what_lies_beyond_a_line_is_zero_and_changes_nothing(reverse: bool, backend: str) -> None:
    given, lengths, chunk = arguments("a prime number of frames")
    assert lengths is not None
    beyond = torch.arange(given["x"].shape[1]) >= lengths[:, None]
    dirty = {k: v.clone() for k, v in given.items()}
    per_frame = ("x", "dt", "B", "C")
    for k in per_frame:
        dirty[k][beyond] = 1e3
    outcomes = []
    for tensors in (given, dirty):
        tensors = {k: v.requires_grad_() for k, v in tensors.items()}
        y = state_space_duality(**tensors, lengths=lengths, reverse=reverse, chunk=chunk, backend=backend)
        assert not y[beyond].any()
        gradients = torch.autograd.grad(y, list(tensors.values()), torch.ones_like(y))
        for k, gradient in zip(tensors, gradients, strict=True):
            assert k not in per_frame or not gradient[beyond].any(), k
        outcomes.append([y, *gradients])
    for one, other in zip(*outcomes, strict=True):
        assert torch.equal(one, other)


@both_forms
@both_ways
def test_a_line_alone_equals_itself_in_a_batch(reverse: bool, backend: str) -> None:
    given, lengths, chunk = arguments("a prime number of frames")
    assert lengths is not None
    settings = {"reverse": reverse, "chunk": chunk, "backend": backend}
    together = state_space_duality(**given, lengths=lengths, **settings)
    for n, length in enumerate(lengths.tolist()):
        own = {k: v[n : n + 1, :length] if v.dim() >= 3 else v for k, v in given.items()}
        alone = state_space_duality(**own, **settings)
        torch.testing.assert_close(alone[0], together[n, :length], rtol=1e-5, atol=1e-6)


def test_the_size_of_a_chunk_changes_nothing() -> None:
    given, lengths, _ = arguments("a prime number of frames")
    one, *others = (
        state_space_duality(**given, lengths=lengths, chunk=c, backend="eager") for c in (64, 1, 5, 16)
    )
    for other in others:
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@both_forms
def test_no_skip_is_a_skip_of_zero(backend: str) -> None:
    given, _, _ = arguments("one chunk")
    zero = state_space_duality(**{**given, "D": torch.zeros(4)}, backend=backend)
    none = state_space_duality(**{k: v for k, v in given.items() if k != "D"}, backend=backend)
    assert torch.equal(zero, none)


@pytest.mark.parametrize(("frames", "size"), [(1, 1), (64, 64), (80, 80), (304, 76), (300, 60), (10_000, 50)])
def test_a_chunk_divides_the_frames_where_it_can(frames: int, size: int) -> None:
    assert chunk_size(frames, 64) == size


def test_a_chunk_of_frames_that_nothing_divides_pads_little() -> None:
    size = chunk_size(1009, 64)  # a prime
    assert 32 <= size <= 128 and -(-1009 // size) * size - 1009 < size / 2


@both_ways
def test_in_float16_only_the_result_has_to_be_in_its_range(reverse: bool) -> None:
    # C B^T is 128 * 30 * 30, beyond 65504; a state is up to 20 frames * 30 * 100 * 0.2.
    x, B = torch.full((1, 40, 1, 2), 100.0).half(), torch.full((1, 40, 1, 128), 30.0).half()
    C = torch.where(torch.arange(128) % 2 == 0, 30.0, -29.75).expand(1, 40, 1, 128).half()
    given = {"x": x, "dt": torch.full((1, 40, 1), 0.01), "A": torch.tensor([-0.1]), "B": B, "C": C}
    given["D"] = torch.ones(1)
    y = state_space_duality(**given, reverse=reverse, chunk=8, backend="eager")
    double = {k: v.double() for k, v in given.items()}
    assert y.dtype == torch.float16
    assert relative(y, by_definition(**double, lengths=None, reverse=reverse)) <= 1e-2
