"""What only the Triton kernels can get wrong; that they scan as they should is in test_scan.py."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from ocrtrain.model.ssm import selective_scan

SCRIPTS = Path(__file__).resolve().parents[4] / "scripts"


@pytest.fixture
def module() -> Any:
    return pytest.importorskip("ocrtrain.model.ssm.scan.triton")


def arguments(N: int, T: int, D: int, S: int) -> dict[str, Tensor]:
    """Draw a scan's tensors, each a part of a wider one, as projections give them."""
    generator = torch.Generator().manual_seed(0)
    wide = torch.randn(N, T, 3 * D + 2 * S + 1, generator=generator)
    _, u, delta, z, B, C = wide.split([1, D, D, D, S, S], dim=-1)
    A = -torch.rand(S, D, generator=generator).t()
    return {"u": u, "delta": delta, "z": z, "B": B, "C": C, "A": A, "D": torch.randn(D, generator=generator)}


def run(given: dict[str, Tensor], backend: str, **options: Any) -> list[Tensor]:
    """Give y and the gradients of all tensors."""
    own = {k: v.detach().requires_grad_() for k, v in given.items()}
    y = selective_scan(**own, delta_softplus=True, backend=backend, **options)
    dy = torch.randn(y.shape, generator=torch.Generator().manual_seed(1)).to(y.dtype)
    return [y.detach(), *torch.autograd.grad(y, list(own.values()), dy)]


def check(found: list[Tensor], expected: list[Tensor]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        assert (one - other).float().norm() <= 1e-5 * other.float().norm()


@pytest.mark.interpreted
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize(("channels", "frames"), [(2, 1), (4, 4), (16, 8)])
def test_any_tiling_gives_the_same(
    channels: int, frames: int, reverse: bool, module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 2 lines of 5 channels in blocks of 2: more tasks than the 4 programs that run at once.
    given, lengths = arguments(2, 11, 5, 3), torch.tensor([11, 3])
    monkeypatch.setattr(module, "CHUNK", 8)
    tiling = module.Tiling(channels, frames)
    monkeypatch.setattr(module, "forward_tiling", tiling)
    monkeypatch.setattr(module, "backward_tiling", tiling)
    options = {"lengths": lengths, "reverse": reverse}
    check(run(given, "triton", **options), run(given, "eager", **options))


@pytest.mark.interpreted
def test_where_sums_must_repeat_exactly_blocks_of_channels_add_apart(
    module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = arguments(2, 5, 9, 4)
    monkeypatch.setattr(module, "backward_tiling", module.Tiling(4, 4))
    monkeypatch.setattr(torch, "are_deterministic_algorithms_enabled", lambda: True)
    made = []
    zeros = torch.zeros
    monkeypatch.setattr(torch, "zeros", lambda *size, **kinds: made.append(size) or zeros(*size, **kinds))
    found = run(given, "triton")
    assert made == [(3, 2, 5, 4)] * 2
    check(found, run(given, "eager"))


@pytest.mark.interpreted
def test_parts_of_wider_tensors_are_read_where_they_lie(module: Any) -> None:
    given = arguments(2, 3, 4, 4)
    assert not any(given[k].is_contiguous() for k in ("u", "delta", "z", "B", "C"))
    assert all(module.in_rows(given[k]) is given[k] for k in ("u", "delta", "z", "B", "C"))


@pytest.mark.interpreted
def test_each_input_keeps_its_own_type(module: Any) -> None:
    given = arguments(2, 5, 4, 4)
    types = {"u": torch.bfloat16, "delta": torch.float32, "z": torch.float16, "B": torch.float16}
    mixed = {k: v.to(types.get(k, v.dtype)) for k, v in given.items()}
    y, *gradients = run(mixed, "triton")
    assert y.dtype == torch.bfloat16
    assert [v.dtype for v in gradients] == [v.dtype for v in mixed.values()]
    expected = run({k: v.float() for k, v in mixed.items()}, "eager")
    for one, other in zip([y, *gradients], expected, strict=True):
        assert (one.float() - other).norm() <= 1e-2 * other.norm()


@pytest.mark.interpreted
def test_small_and_large_steps_are_exact() -> None:
    raw = torch.linspace(-40, 40, 321)[None, None]
    one = torch.ones(1, 1, 1)
    u, A = torch.ones_like(raw), -torch.ones(321, 1)
    y = selective_scan(u, raw, A, one, one, delta_softplus=True, backend="triton")
    expected = F.softplus(raw.double(), threshold=100)
    torch.testing.assert_close(y.double(), expected, rtol=2e-6, atol=0)


@pytest.mark.interpreted
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "backward"])
def test_a_length_below_zero_is_that_of_an_empty_line(reverse: bool, module: Any) -> None:
    # The line before it must not be written to.
    given, options = arguments(2, 4, 3, 2), {"reverse": reverse}
    expected = run(given, "triton", lengths=torch.tensor([4, 0]), **options)
    found = run(given, "triton", lengths=torch.tensor([4, -2]), **options)
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


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


class Unlaunched:
    """A kernel that does nothing, so that only what is allocated for it is seen."""

    def __getitem__(self, grid: tuple[int, ...]) -> Any:
        return lambda *arguments, **constants: None


def test_no_tensor_holds_all_states_of_all_frames(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    given = arguments(4, 256, 64, 16)
    own = {k: v.detach().requires_grad_() for k, v in given.items()}
    for kernel in ("scan_forward", "scan_backward"):
        monkeypatch.setattr(module, kernel, Unlaunched())
    with Largest() as largest:
        rest = {"delta_bias": None, "delta_softplus": True, "lengths": None, "reverse": True}
        y = module.scan_triton(**own, **rest)
        y.backward(torch.ones_like(y))
    assert largest.elements == 4 * 256 * 64  # an input's own size, S times less


def test_every_kernel_compiles_for_a_gpu() -> None:
    # The interpreter runs plain Python, much of which the compiler refuses. Another process, because this
    # one may have imported triton to interpret.
    pytest.importorskip("triton")
    command = [sys.executable, SCRIPTS / "check_kernels.py", "--quick"]
    own = {**os.environ, "PYTHONPATH": str(SCRIPTS.parent)}
    ended = subprocess.run(command, capture_output=True, text=True, env=own)
    if ended.returncode == 2:
        pytest.skip(ended.stderr.strip())
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.count(" yes") == 12
