"""What `check_gpu.py` times, and what it shares with that: the rows of its table and the scans' inputs."""

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from ocrtrain.model.ssm import Mamba, selective_scan
from ocrtrain.model.ssm.backend import mamba_ssm_missing


@dataclass
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
        value = f"{self.value:.3g} {self.unit}"
        return f"{self.check:44} {self.dtype:8} {self.shape:22} {value:24} {limit:>8}  {ok}"


def draw(
    N: int, T: int, D: int, S: int, dtype: torch.dtype, device: torch.device
) -> tuple[dict[str, Tensor], Tensor]:
    """Draw a scan's tensors as a layer gives them, and lengths of 0 to T with T among them."""
    generator = torch.Generator(device).manual_seed(0)

    def normal(*size: int) -> Tensor:
        return torch.randn(*size, generator=generator, device=device)

    tensors = {k: normal(N, T, D).to(dtype) for k in ("u", "delta", "z")}
    tensors |= {k: normal(N, T, S).to(dtype) for k in ("B", "C")}
    tensors |= {"A": -normal(D, S).exp(), "D": normal(D), "delta_bias": normal(D)}
    lengths = torch.linspace(T, 0, N, device=device).long()
    return tensors, lengths


def measure(step: Callable[[], Any], repeats: int = 20) -> tuple[float, float]:
    """Median milliseconds of a step, and the MiB that it took at most."""
    for _ in range(3):
        step()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before, times = torch.cuda.memory_allocated(), []
    for _ in range(repeats):
        start = time.perf_counter()
        step()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return 1e3 * median(times), (torch.cuda.max_memory_allocated() - before) / 2**20


def scan_step(shape: tuple[int, int, int, int], backend: str, both: bool = True) -> Callable[[], None]:
    """Forward and backward of a scan in bf16 with lengths, in one direction of time or in both."""
    tensors, lengths = draw(*shape, torch.bfloat16, torch.device("cuda"))
    lengths = lengths.clamp(min=shape[1] // 2)
    own = {k: v.requires_grad_() for k, v in tensors.items()}
    dy = torch.randn_like(own["u"])

    def step() -> None:
        for reverse in (False, True)[: 1 + both]:
            options: dict[str, Any] = {"lengths": lengths, "reverse": reverse, "backend": backend}
            y = selective_scan(**own, delta_softplus=True, **options)
            torch.autograd.grad(y, list(own.values()), dy)

    return step


class Flipped(nn.Module):
    """mamba-ssm's own layer against time: each line is turned around in its own length, before and after."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        frames = torch.arange(x.shape[1], device=x.device)
        inside = frames < lengths[:, None]
        order = torch.where(inside, lengths[:, None] - 1 - frames, frames)[..., None].expand_as(x)
        return self.layer(x.gather(1, order)).gather(1, order)


def layer_step(shape: tuple[int, int, int], theirs: bool) -> Callable[[], None]:
    """Forward and backward of a layer in bf16 with lengths, in both directions of time."""
    N, T, width = shape
    if theirs:
        from mamba_ssm import Mamba as TheirMamba

        forth, back = TheirMamba(width).cuda(), Flipped(TheirMamba(width)).cuda()
    else:
        forth = Mamba(width, backend="triton").cuda()
        back = Mamba(width, reverse=True, backend="triton").cuda()
    x = torch.randn(N, T, width, device="cuda", requires_grad=True)
    lengths = torch.linspace(T // 2, T, N, device="cuda").long()

    def step() -> None:
        with torch.autocast("cuda", torch.bfloat16):
            one = forth(x) if theirs else forth(x, lengths)
            y = one + back(x, lengths)
        y.float().sum().backward()

    return step


def check_speed() -> Iterator[Row]:
    missing = mamba_ssm_missing("cuda")
    if missing:
        print(f"mamba-ssm is not there to compare with: {missing}", file=sys.stderr)
    for T in (80, 320, 1000, 2000):
        for what, shape in (("scan", (16, T, 1024, 16)), ("layer", (16, T, 512))):
            own = scan_step(shape, "triton") if what == "scan" else layer_step(shape, False)
            took, memory = measure(own)
            yield Row(f"triton {what}, both ways", "bfloat16", str(shape), took, "ms")
            yield Row(f"triton {what}, both ways, memory", "bfloat16", str(shape), memory, "MiB")
            if not missing:
                peer = scan_step(shape, "mamba_ssm") if what == "scan" else layer_step(shape, True)
                their_took, their_memory = measure(peer)
                label = f"triton {what} to mamba-ssm's"
                yield Row(f"{label}, time", "bfloat16", str(shape), took / their_took, "x", 1.0)
                yield Row(f"{label}, memory", "bfloat16", str(shape), memory / their_memory, "x", 1.0)
    N, T, D = 16, 2000, 1024
    _, memory = measure(scan_step((N, T, D, 16), "triton", both=False), repeats=3)
    units = memory * 2**20 / (2 * N * T * D)
    yield Row("scan's memory, to one input's", "bfloat16", str((N, T, D, 16)), units, "x", 8.0)


def check_recipe() -> Iterator[Row]:
    """The original recipe's training step at growing batches: lines a second, and where the time goes."""
    from torch.utils.flop_counter import FlopCounterMode

    from ocrtrain.command_line.invocation import parse
    from ocrtrain.command_line.presets import compose
    from ocrtrain.commands.fit import MODEL_KEYS, plain
    from ocrtrain.model.build import build_recognizer
    from ocrtrain.training.recognition import ctc_loss

    config = compose(parse("fit", []), ["experiment=mamba_ocr", "backbone.weights=null"])
    model = build_recognizer({key: plain(config[key]) for key in MODEL_KEYS}, 63).cuda()
    model = model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4, fused=True)
    for lines in (16, 64, 256, 512, 1024):
        pixels = torch.randint(256, (lines, 3, 32, 320), dtype=torch.uint8, device="cuda")
        widths, sizes = (torch.full((lines,), size, device="cuda") for size in (320, 8))
        targets = torch.randint(1, 63, (lines, 8), device="cuda")
        features = torch.randn(lines, 80, config.encoder.width, device="cuda", requires_grad=True)

        def step(given: tuple[Tensor, ...] = (pixels, widths, targets, sizes)) -> None:
            with torch.autocast("cuda", torch.bfloat16):
                log_probs, lengths = model(*given[:2])
            loss, _ = ctc_loss(log_probs, lengths, *given[2:])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

        def encode(x: Tensor = features) -> None:
            with torch.autocast("cuda", torch.bfloat16):
                y = model.encoder(x, torch.full((len(x),), 80, device="cuda"))
            y.float().sum().backward()

        with FlopCounterMode(display=False) as counter:
            step()
        (took, memory), (encoding, _) = measure(step), measure(encode)
        shape, rate = f"{lines} x 3 x 32 x 320", counter.get_total_flops() / took * 1e3
        yield Row("the recipe's training step", "bfloat16", shape, 1e3 * lines / took, "lines/s")
        yield Row("its peak memory", "bfloat16", shape, memory, "MiB")
        yield Row("its encoder's share, measured alone", "bfloat16", shape, encoding / took, "of the time")
        # 989 TFLOP/s without sparsity: NVIDIA's data sheets of H100 SXM and H200.
        yield Row("its matrix products to an H200's peak", "bfloat16", shape, rate / 989e12, "of the rate")


def tune() -> Iterator[Row]:
    from ocrtrain.model.ssm import scan_triton

    for shape in ((16, 80, 1024, 16), (16, 2000, 1024, 16), (128, 80, 1024, 16)):
        for channels in (8, 16, 32, 64):
            for frames in (2, 4, 8):
                scan_triton.forward_tiling = scan_triton.Tiling(channels, frames)
                scan_triton.backward_tiling = scan_triton.Tiling(channels, frames)
                with torch.no_grad():
                    tensors, lengths = draw(*shape, torch.bfloat16, torch.device("cuda"))
                    options: dict[str, Any] = {"lengths": lengths, "backend": "triton"}
                    forward, _ = measure(
                        lambda t=tensors, o=options: selective_scan(**t, delta_softplus=True, **o)
                    )
                both, _ = measure(scan_step(shape, "triton", both=False))
                said = f"channels={channels} frames={frames}"
                yield Row(f"forward, {said}", "bfloat16", str(shape), forward, "ms")
                yield Row(f"forward and backward, {said}", "bfloat16", str(shape), both, "ms")
