"""Every check that needs a GPU, in one table: python scripts/check_gpu.py [--tune]

Triton's scan and convolution and the chunked form of Mamba-2 against float64 references, training steps in
mixed precision, memory, decoding, the time of both directions beside mamba-ssm's kernel with the copies that
it needs, where that is installed, and the original recipe's lines per second. With --tune, the scan's time
under several tilings instead. Exits with 1 if a check fails, with 2 where there is no CUDA device.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from gpu_speed import Row, check_recipe, check_speed, draw, tune
from torch import Tensor

from ocrtrain.decoding import GreedyDecoder
from ocrtrain.model import LineRecognizer
from ocrtrain.model.backbones import CompactResNet
from ocrtrain.model.encoders import MambaEncoder
from ocrtrain.model.ssm import selective_scan, state_space_duality
from ocrtrain.model.ssm.backend import mamba_ssm_missing, triton_missing
from ocrtrain.model.ssm.convolution import causal_convolution
from ocrtrain.text import Charset

TYPES = {torch.float32: 1e-5, torch.bfloat16: 1e-2, torch.float16: 1e-2}


def name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


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


def check_duality(device: torch.device) -> Iterator[Row]:
    N, T, heads, channels, S = shape = (5, 100, 4, 32, 16)
    lengths = torch.linspace(T, 0, N, device=device).long()
    for dtype, limit in TYPES.items():
        for reverse in (False, True):
            x, B, C = (
                torch.randn(N, T, *size, device=device).to(dtype)
                for size in ((heads, channels), (1, S), (1, S))
            )
            tensors = {"x": x, "dt": 0.2 * torch.rand(N, T, heads, device=device), "B": B, "C": C}
            tensors |= {
                "A": -torch.arange(1.0, heads + 1, device=device),
                "D": torch.randn(heads, device=device),
            }
            error = worst(
                lambda reverse=reverse, **x: state_space_duality(**x, lengths=lengths, reverse=reverse),
                lambda reverse=reverse, **x: duality_by_definition(lengths, reverse, **x),
                tensors,
            )
            way = "backward" if reverse else "forward"
            yield Row(f"state-space duality, {way} in time", name(dtype), str(shape), error, limit=limit)


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


def checks(device: torch.device) -> Iterator[Callable[[], Iterator[Row]]]:
    yield lambda: check_scan(device, "triton")
    if not mamba_ssm_missing("cuda"):
        yield lambda: check_scan(device, "mamba_ssm")
    yield lambda: check_convolution(device)
    yield lambda: check_duality(device)
    yield lambda: check_one_line(device)
    yield lambda: check_training(device)
    yield lambda: check_decoding(device)
    yield check_speed
    yield check_recipe


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
