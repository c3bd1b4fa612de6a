"""Every check that needs a GPU, in one table: python scripts/check_gpu.py [--tune]

Triton's scan and convolution against float64 references, training steps in mixed precision, memory, decoding,
and the time of both directions beside mamba-ssm's kernel with the copies that it needs, where that is
installed. With --tune, the scan's time under several tilings instead. Exits with 1 if a check fails, with 2
where there is no CUDA device.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ocrtrain.decoding import GreedyDecoder
from ocrtrain.model import LineRecognizer
from ocrtrain.model.backbones import CompactResNet
from ocrtrain.model.encoders import MambaEncoder
from ocrtrain.model.ssm import Mamba, selective_scan
from ocrtrain.model.ssm.backend import mamba_ssm_missing, triton_missing
from ocrtrain.model.ssm.convolution import causal_convolution
from ocrtrain.text import Charset

TYPES = {torch.float32: 1e-5, torch.bfloat16: 1e-2, torch.float16: 1e-2}


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


def name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


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


def worst(
    function: Callable[..., Tensor], reference: Callable[..., Tensor], tensors: dict[str, Tensor]
) -> float:
    """The largest relative error of the output and of all gradients."""
    own = {k: v.detach().requires_grad_() for k, v in tensors.items()}
    double = {k: v.detach().double().requires_grad_() for k, v in tensors.items()}
    found, expected = function(**own), reference(**double)
    dy = torch.randn_like(found)
    pairs = [(found, expected)]
    one = torch.autograd.grad(found, list(own.values()), dy)
    other = torch.autograd.grad(expected, list(double.values()), dy.double())
    pairs += zip(one, other, strict=True)
    return max(((a.double() - b).norm() / b.norm().clamp(min=1e-30)).item() for a, b in pairs)


def check_scan(device: torch.device, backend: str) -> Iterator[Row]:
    for dtype, limit in TYPES.items():
        for shape in ((5, 100, 70, 16), (3, 33, 257, 5), (2, 1, 9, 64)):
            for reverse in (False, True):
                tensors, lengths = draw(*shape, dtype, device)
                error = worst(
                    lambda reverse=reverse, lengths=lengths, **x: selective_scan(
                        **x, delta_softplus=True, lengths=lengths, reverse=reverse, backend=backend
                    ),
                    lambda reverse=reverse, lengths=lengths, **x: scan_by_definition(lengths, reverse, **x),
                    tensors,
                )
                way = "backward" if reverse else "forward"
                yield Row(f"{backend} scan, {way} in time", name(dtype), str(shape), error, limit=limit)


def check_convolution(device: torch.device) -> Iterator[Row]:
    for dtype, limit in TYPES.items():
        for reverse in (False, True):
            shape = (5, 100, 70)
            lengths = torch.linspace(100, 0, 5, device=device).long()
            tensors = {"x": torch.randn(shape, device=device).to(dtype)}
            tensors |= {
                "weight": torch.randn(70, 1, 4, device=device),
                "bias": torch.randn(70, device=device),
            }
            options: dict[str, Any] = {"lengths": lengths, "reverse": reverse}
            error = worst(
                lambda options=options, **x: causal_convolution(**x, **options, backend="triton"),
                lambda options=options, **x: causal_convolution(**x, **options, backend="eager"),
                tensors,
            )
            way = "backward" if reverse else "forward"
            yield Row(f"triton convolution, {way} in time", name(dtype), str(shape), error, limit=limit)


def check_one_line(device: torch.device) -> Iterator[Row]:
    """A line alone must equal itself in a batch."""
    for dtype, limit in TYPES.items():
        tensors, lengths = draw(4, 90, 64, 16, dtype, device)
        options: dict[str, Any] = {"delta_softplus": True, "reverse": True, "backend": "triton"}
        together = selective_scan(**tensors, lengths=lengths, **options)
        length = int(lengths[1])
        own = {k: v[1:2, :length] if v.dim() == 3 else v for k, v in tensors.items()}
        alone = selective_scan(**own, **options)
        apart = (alone[0] - together[1, :length]).double().norm() / alone.double().norm()
        yield Row("a line alone, and in a batch", name(dtype), "(4, 90, 64, 16)", float(apart), limit=limit)


def check_training(device: torch.device) -> Iterator[Row]:
    """Steps on one batch must stay finite, and bring the loss down."""
    for dtype in (torch.bfloat16, torch.float16):
        torch.manual_seed(0)
        model = LineRecognizer(
            CompactResNet(1, 32, (16, 32, 64), 64), MambaEncoder(64, 2, backend="triton"), 20, dropout=0.0
        ).to(device)
        optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
        scaler = torch.amp.GradScaler(device.type, enabled=dtype == torch.float16)
        pixels = torch.randint(256, (8, 1, 32, 320), dtype=torch.uint8, device=device)
        widths = torch.linspace(320, 100, 8, device=device).long()
        targets = torch.randint(1, 20, (8, 6), device=device)
        losses = []
        for _ in range(40):
            with torch.autocast(device.type, dtype):
                log_probs, lengths = model(pixels, widths)
            sizes = torch.full((8,), 6, device=device)
            loss = F.ctc_loss(log_probs.transpose(0, 1), targets, lengths, sizes)
            optimizer.zero_grad()
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            losses.append(float(loss))
        share = losses[-1] / losses[0]
        yield Row("40 training steps, last loss to first", name(dtype), "8 x 320 pixels", share, "x", 0.9)


def check_decoding(device: torch.device) -> Iterator[Row]:
    """Decoding on the GPU must read what the CPU reads."""
    charset = Charset("abcdefgh")
    log_probs = (3 * torch.randn(16, 200, len(charset))).log_softmax(-1)
    lengths = torch.linspace(200, 1, 16).long()
    decoder = GreedyDecoder(charset)
    here, there = decoder(log_probs, lengths), decoder(log_probs.to(device), lengths.to(device))
    wrong = sum(a.text != b.text for a, b in zip(here, there, strict=True))
    apart = max(abs(a.confidence - b.confidence) for a, b in zip(here, there, strict=True))
    yield Row("greedy decoding, lines read otherwise", "float32", "(16, 200)", wrong, "lines", 0)
    yield Row("greedy decoding, confidences", "float32", "(16, 200)", apart, "apart", 1e-5)


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


def checks(device: torch.device) -> Iterator[Callable[[], Iterator[Row]]]:
    yield lambda: check_scan(device, "triton")
    if not mamba_ssm_missing("cuda"):
        yield lambda: check_scan(device, "mamba_ssm")
    yield lambda: check_convolution(device)
    yield lambda: check_one_line(device)
    yield lambda: check_training(device)
    yield lambda: check_decoding(device)
    yield check_speed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--tune", action="store_true", help="time the scan under several tilings")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("torch finds no CUDA device: nothing was checked", file=sys.stderr)
        return 2
    device = torch.device("cuda", torch.cuda.current_device())
    print(f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}")
    if missing := triton_missing(str(device)):
        print(f"Triton cannot run: {missing}", file=sys.stderr)
        return 1
    failed = 0
    print(f"{'check':44} {'type':8} {'shape':22} {'value':24} {'limit':>8}  ok")
    for check in [tune] if options.tune else checks(device):
        try:
            for row in check():
                failed += not row.ok
                print(row, flush=True)
        except Exception as error:  # the next check may still say something
            failed += 1
            print(f"failed: {type(error).__name__}: {error}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
