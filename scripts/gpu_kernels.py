"""What `check_gpu.py` compares: kernels against references in float64, and steps in mixed precision."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ocrtrain.decoding import GreedyDecoder
from ocrtrain.model import LineRecognizer
from ocrtrain.model.backbones import CompactResNet
from ocrtrain.model.encoders import MambaEncoder
from ocrtrain.model.ssm import selective_scan, state_space_duality
from ocrtrain.model.ssm.backend import mamba_ssm_missing
from ocrtrain.model.ssm.convolution.dispatch import causal_convolution
from ocrtrain.model.ssm.gated_norm.norm import GatedRMSNorm
from ocrtrain.text import Charset

TYPES = {torch.float32: 1e-5, torch.bfloat16: 1e-2, torch.float16: 1e-2}
WAYS = {False: "forward in time", True: "backward in time"}


@dataclass(frozen=True)
class Setting:
    """Where a part runs, in how many seconds it must end, and the folder that all parts share.

    tiny: only whether all of it runs, on a CPU, by Triton's interpreter.
    """

    device: torch.device
    tiny: bool
    seconds: float
    folder: Path


@dataclass(frozen=True)
class Row:
    """One line of the table; a limit of None is not checked."""

    check: str
    dtype: str
    shape: str
    value: float
    unit: str = "relative error"
    limit: float | None = None

    @property
    def ok(self) -> bool:
        return self.limit is None or self.value <= self.limit

    def __str__(self) -> str:
        limit, ok = ("-", "-") if self.limit is None else (f"{self.limit:g}", "yes" if self.ok else "NO")
        value = f"{self.value:.4g} {self.unit}"
        return f"{self.check:44} {self.dtype:8} {self.shape:22} {value:24} {limit:>8}  {ok}"


class SkipError(Exception):
    """Says why a part has nothing to do."""


def name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def draw(
    N: int, T: int, D: int, S: int, dtype: torch.dtype, device: torch.device
) -> tuple[dict[str, Tensor], Tensor]:
    """Draw a scan's tensors as a layer gives them, parts of wider ones; lengths of T to 0, with both."""

    def normal(*size: int) -> Tensor:
        return torch.randn(*size, device=device)

    u, delta, z, B, C = normal(N, T, 3 * D + 2 * S).to(dtype).split([D, D, D, S, S], dim=-1)
    tensors = {"u": u, "delta": delta, "z": z, "B": B, "C": C}
    tensors |= {"A": -normal(D, S).exp(), "D": normal(D), "delta_bias": normal(D)}
    return tensors, torch.linspace(T, 0, N, device=device).long()


def worst(
    function: Callable[..., Tensor],
    reference: Callable[..., Tensor],
    tensors: dict[str, Tensor],
    poisoned: bool = False,
) -> float:
    """The largest relative error of the output and of all gradients; NaN if anything is.

    poisoned: sums add up in a fixed order, and memory that a kernel should fill holds NaN before.
    """
    own = {k: v.detach().requires_grad_() for k, v in tensors.items()}
    double = {k: v.detach().double().requires_grad_() for k, v in tensors.items()}
    torch.use_deterministic_algorithms(poisoned, warn_only=True)
    found = function(**own)
    dy = torch.randn_like(found)
    pairs = [found, *torch.autograd.grad(found, list(own.values()), dy)]
    torch.use_deterministic_algorithms(False)
    expected = reference(**double)
    others = [expected, *torch.autograd.grad(expected, list(double.values()), dy.double())]
    errors = [(a.double() - b).norm() / b.norm().clamp(min=1e-30) for a, b in zip(pairs, others, strict=True)]
    return torch.stack(errors).max().item()  # Python's own max may pass over NaN


def scan_by_definition(lengths: Tensor, reverse: bool, **given: Tensor) -> Tensor:
    """The recurrence in float64, all lines at once: a state changes only within its line."""
    u, delta, A, B, C, D, z = (given[k].double() for k in ("u", "delta", "A", "B", "C", "D", "z"))
    step = F.softplus(delta + given["delta_bias"].double())
    h = torch.zeros(len(u), *A.shape, dtype=torch.float64, device=u.device)
    frames = [torch.zeros_like(u[:, 0])] * u.shape[1]
    for t in reversed(range(u.shape[1])) if reverse else range(u.shape[1]):
        inside = (t < lengths)[:, None]
        decay = torch.exp(step[:, t, :, None] * A)
        inflow = (step[:, t] * u[:, t])[..., None] * B[:, t, None]
        h = torch.where(inside[..., None], decay * h + inflow, h)
        y = ((h * C[:, t, None]).sum(-1) + D * u[:, t]) * F.silu(z[:, t])
        frames[t] = torch.where(inside, y, 0)
    return torch.stack(frames, 1)


def check_scan(setting: Setting) -> Iterator[Row]:
    shapes = ((2, 5, 3, 2),) if setting.tiny else ((5, 100, 70, 16), (3, 33, 257, 5), (2, 1, 9, 64))
    backends = ["triton"] if mamba_ssm_missing(setting.device.type) else ["triton", "mamba_ssm"]
    for backend in backends:
        for dtype, limit in TYPES.items():
            for shape in shapes:
                for reverse in WAYS:
                    tensors, lengths = draw(*shape, dtype, setting.device)
                    options: dict[str, Any] = {"lengths": lengths, "reverse": reverse}
                    error = worst(
                        lambda o=options, b=backend, **x: selective_scan(
                            **x, **o, delta_softplus=True, backend=b
                        ),
                        lambda o=options, **x: scan_by_definition(**o, **x),
                        tensors,
                        poisoned=reverse,
                    )
                    yield Row(f"{backend} scan, {WAYS[reverse]}", name(dtype), str(shape), error, limit=limit)


def check_convolution(setting: Setting) -> Iterator[Row]:
    N, T, D = shape = (2, 5, 3) if setting.tiny else (5, 100, 70)
    lengths = torch.linspace(T, 0, N, device=setting.device).long()
    for dtype, limit in TYPES.items():
        for reverse in WAYS:
            x, weight, bias = (torch.randn(*s, device=setting.device) for s in (shape, (D, 1, 4), (D,)))
            tensors = {"x": x.to(dtype), "weight": weight, "bias": bias}
            options: dict[str, Any] = {"lengths": lengths, "reverse": reverse}
            error = worst(
                lambda o=options, **x: causal_convolution(**x, **o, backend="triton"),
                lambda o=options, **x: causal_convolution(**x, **o, backend="eager"),
                tensors,
                poisoned=reverse,
            )
            yield Row(f"triton convolution, {WAYS[reverse]}", name(dtype), str(shape), error, limit=limit)


def check_norm(setting: Setting) -> Iterator[Row]:
    norm = GatedRMSNorm(96, groups=3).to(setting.device)
    for dtype, limit in TYPES.items():
        x, gate = (torch.randn(4, 50, 96, device=setting.device).to(dtype) for _ in range(2))

        def by_definition(x: Tensor, gate: Tensor) -> Tensor:
            gated = (x * F.silu(gate)).unflatten(-1, (3, -1))
            return (gated / (gated.square().mean(-1, keepdim=True) + norm.eps).sqrt()).flatten(-2)

        error = worst(lambda **x: norm(**x), by_definition, {"x": x, "gate": gate})
        yield Row("gated norm", name(dtype), "(4, 50, 96)", error, limit=limit)


def duality_by_definition(lengths: Tensor, reverse: bool, **given: Tensor) -> Tensor:
    """Mamba-2's recurrence in float64, all lines and heads at once, with one group."""
    x, dt, A, B, C, D = (given[k].double() for k in ("x", "dt", "A", "B", "C", "D"))
    N, T, heads, channels = x.shape
    h = torch.zeros(N, heads, B.shape[3], channels, dtype=torch.float64, device=x.device)
    frames = [torch.zeros_like(x[:, 0])] * T
    for t in reversed(range(T)) if reverse else range(T):
        inside = (t < lengths)[:, None, None]
        inflow = (dt[:, t, :, None] * x[:, t])[:, :, None] * B[:, t, 0, None, :, None]
        h = torch.where(inside[..., None], torch.exp(dt[:, t] * A)[..., None, None] * h + inflow, h)
        y = torch.einsum("nhsp,ns->nhp", h, C[:, t, 0]) + D[:, None] * x[:, t]
        frames[t] = torch.where(inside, y, 0)
    return torch.stack(frames, 1)


def check_duality(setting: Setting) -> Iterator[Row]:
    N, T, heads, channels, S = shape = (2, 5, 2, 4, 4) if setting.tiny else (5, 150, 4, 32, 16)
    device = setting.device
    lengths = torch.linspace(T, 0, N, device=device).long()
    # Its matrix products round to the inputs' type in between.
    for dtype, limit in {**TYPES, torch.bfloat16: 3e-2}.items():
        for reverse in WAYS:
            sizes = {"x": (heads, channels), "B": (1, S), "C": (1, S)}
            tensors = {k: torch.randn(N, T, *size, device=device).to(dtype) for k, size in sizes.items()}
            tensors |= {
                "dt": 0.2 * torch.rand(N, T, heads, device=device),
                "A": -torch.arange(1.0, heads + 1, device=device),
                "D": torch.randn(heads, device=device),
            }
            options: dict[str, Any] = {"lengths": lengths, "reverse": reverse}
            error = worst(
                lambda o=options, **x: state_space_duality(**x, **o, backend="eager"),
                lambda o=options, **x: duality_by_definition(**o, **x),
                tensors,
            )
            yield Row(f"Mamba-2 in chunks, {WAYS[reverse]}", name(dtype), str(shape), error, limit=limit)


def check_one_line(setting: Setting) -> Iterator[Row]:
    """A line alone must equal itself in a batch."""
    shape = (4, 6, 3, 2) if setting.tiny else (4, 90, 64, 16)
    for dtype, limit in TYPES.items():
        tensors, lengths = draw(*shape, dtype, setting.device)
        options: dict[str, Any] = {"delta_softplus": True, "reverse": True, "backend": "triton"}
        together = selective_scan(**tensors, lengths=lengths, **options)
        length = int(lengths[1])
        own = {k: v[1:2, :length] if v.dim() == 3 else v for k, v in tensors.items()}
        alone = selective_scan(**own, **options)
        apart = (alone[0] - together[1, :length]).double().norm() / alone.double().norm()
        yield Row("a line alone, and in a batch", name(dtype), str(shape), float(apart), limit=limit)


def check_others(setting: Setting) -> Iterator[Row]:
    for check in (check_convolution, check_norm, check_duality, check_one_line, check_greedy):
        yield from check(setting)


def check_greedy(setting: Setting) -> Iterator[Row]:
    """Decoding on the GPU must read what the CPU reads."""
    charset = Charset("abcdefgh")
    log_probs = (3 * torch.randn(16, 200, len(charset))).log_softmax(-1)
    lengths = torch.linspace(200, 1, 16).long()
    decoder = GreedyDecoder(charset)
    here, there = decoder(log_probs, lengths), decoder(log_probs.to(setting.device), lengths)
    wrong = sum(a.text != b.text for a, b in zip(here, there, strict=True))
    apart = max(abs(a.confidence - b.confidence) for a, b in zip(here, there, strict=True))
    yield Row("greedy decoding, lines read otherwise", "float32", "(16, 200)", wrong, "lines", 0)
    yield Row("greedy decoding, confidences", "float32", "(16, 200)", apart, "apart", 1e-5)


def check_steps(setting: Setting) -> Iterator[Row]:
    """Steps in mixed precision on one batch must stay finite, and bring the loss down."""
    device = setting.device
    lines, widest, steps = (1, 32, 2) if setting.tiny else (8, 320, 40)
    for dtype in (torch.bfloat16, torch.float16):
        torch.manual_seed(0)
        backbone = CompactResNet(1, 32, (4, 4, 8), 8) if setting.tiny else CompactResNet(1, 32, (16, 32, 64))
        width = 8 if setting.tiny else 64
        model = LineRecognizer(backbone, MambaEncoder(width, 1, backend="triton"), 20, dropout=0.0).to(device)
        optimizer = torch.optim.AdamW(model.parameters(), lr=2e-2 if setting.tiny else 2e-3)
        scaler = torch.amp.GradScaler(device.type, 1024.0, enabled=dtype == torch.float16)
        pixels = torch.randint(256, (lines, 1, 32, widest), dtype=torch.uint8, device=device)
        widths = torch.linspace(widest, widest // 2, lines, device=device).long()
        targets = torch.randint(1, 20, (lines, 2), device=device)
        losses = []
        for _ in range(steps):
            with torch.autocast(device.type, dtype):
                log_probs, lengths = model(pixels, widths)
            sizes = torch.full((lines,), 2, device=device)
            loss = F.ctc_loss(log_probs.transpose(0, 1), targets, lengths, sizes)
            optimizer.zero_grad()
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            losses.append(float(loss.detach()))
        share, shape = losses[-1] / losses[0], f"{lines} x {widest} pixels"
        yield Row(f"{steps} training steps, last loss to first", name(dtype), shape, share, "x", 0.9)
