"""Time and memory of the state-space layers beside their peers: scan, layer, growth with the line's length.

python scripts/bench_ssm.py [scan] [layer] [growth] [--slow]

Medians of several runs after warm-up, forward and backward apart, in float32 on the CPU. Memory is what the
process needed at its peak beyond what it had before. Peers: the scan left to autograd frame by frame,
`mambapy` if it is installed, and with --slow `transformers` (its slow path, which takes minutes).
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ocrtrain.model.encoders import BiLSTMEncoder, Mamba2Encoder, MambaEncoder
from ocrtrain.model.ssm import Mamba, Mamba2, selective_scan

SCANS = ((16, 80, 1024, 16), (4, 1000, 1024, 16))  # N, T, D, S
LAYERS = ((16, 80, 512), (16, 300, 256), (4, 1000, 512))  # N, T, d_model
GROWTH = (100, 300, 1000, 3000, 10_000)  # frames
Run = Callable[[], Tensor]


def measure(run: Run, seconds: float, runs: int) -> tuple[float, float, float]:
    """Milliseconds forward and backward, and MiB at the peak; at most `runs` runs or `seconds` seconds."""
    began, forward, backward, memory = time.perf_counter(), [], [], []
    while len(forward) < runs + 2 and (time.perf_counter() - began < seconds or not forward):
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)  # what is free goes back, so that using it again counts
        Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
        before, start = status("VmRSS"), time.perf_counter()
        y = run()
        middle = time.perf_counter()
        y.sum().backward()
        end = time.perf_counter()
        memory.append(status("VmHWM") - before)
        forward.append(middle - start)
        backward.append(end - middle)
        del y
    kept = slice(2, None) if len(forward) > 4 else slice(len(forward) - 1, None)
    return statistics.median(forward[kept]) * 1e3, statistics.median(backward[kept]) * 1e3, max(memory[kept])


def status(key: str) -> float:
    """A figure of this process in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key)) / 1024


def scan_inputs(N: int, T: int, D: int, S: int) -> dict[str, Tensor]:
    """What a layer would give its scan."""
    torch.manual_seed(0)
    u, delta = torch.randn(N, T, D), F.softplus(torch.randn(N, T, D) - 4)
    A = -torch.arange(1.0, S + 1).repeat(D, 1)
    given = {"u": u, "delta": delta, "A": A, "B": torch.randn(N, T, S), "C": torch.randn(N, T, S)}
    return {k: v.requires_grad_() for k, v in {**given, "D": torch.ones(D)}.items()}


def mambapy_scan(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor) -> Tensor:
    """The scan as a layer of mambapy would run it, around its parallel scan."""
    from mambapy.pscan import pscan

    states = pscan(torch.exp(delta[..., None] * A), (delta * u)[..., None] * B[:, :, None])
    return (states @ C[..., None])[..., 0] + D * u


def stepwise_scan(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor) -> Tensor:
    """The scan frame by frame, all of it left to autograd: a textbook's way."""
    h, frames = u.new_zeros(u.shape[0], *A.shape), []
    for t in range(u.shape[1]):
        h = torch.exp(delta[:, t, :, None] * A) * h + (delta[:, t] * u[:, t])[..., None] * B[:, t, None]
        frames.append((h * C[:, t, None]).sum(-1) + D * u[:, t])
    return torch.stack(frames, 1)


def bench_scan(options: argparse.Namespace) -> None:
    print_row("scan (N, T, D, S)", "by", "forward ms", "backward ms", "MiB")
    for shape in SCANS:
        given = scan_inputs(*shape)
        peers: dict[str, Run] = {
            "ocrtrain, compiled": lambda g=given: selective_scan(**g),  # type: ignore[misc]
            "ocrtrain, plain torch": lambda g=given: selective_scan(**g, backend="eager"),  # type: ignore[misc]
            "autograd, step by step": lambda g=given: stepwise_scan(**g),  # type: ignore[misc]
        }
        try:
            import mambapy.pscan  # noqa: F401

            peers["mambapy pscan"] = lambda g=given: mambapy_scan(**g)  # type: ignore[misc]
        except ImportError:
            print("mambapy is not installed: pip install mambapy")
        if options.slow:
            N, T, D, S = shape
            layer, x = transformers_layer(D // 2, S), torch.randn(N, T, D // 2)
            peers["transformers, whole layer"] = lambda m=layer, x=x: m(x)  # type: ignore[misc]
        for name, run in peers.items():
            print_row(str(shape), name, *measure(run, options.seconds, options.runs))


def transformers_layer(width: int, states: int) -> nn.Module:
    """The Mamba layer of `transformers`, which on a CPU takes its slow path."""
    from transformers import MambaConfig
    from transformers.models.mamba.modeling_mamba import MambaMixer

    return MambaMixer(MambaConfig(hidden_size=width, state_size=states, num_hidden_layers=1), layer_idx=0)


def bench_layer(options: argparse.Namespace) -> None:
    print_row("layer (N, T, width)", "", "forward ms", "backward ms", "MiB")
    for N, T, width in LAYERS:
        x = torch.randn(N, T, width, requires_grad=True)
        lengths = torch.full((N,), T) - torch.arange(N)
        torch.manual_seed(0)
        layers = {
            "Mamba (S6, 16 states)": Mamba(width),
            "Mamba, reverse": Mamba(width, reverse=True),
            "Mamba2 (SSD, 16 states)": Mamba2(width, d_state=16),
            "Mamba2 (SSD, 64 states)": Mamba2(width, d_state=64),
            "their projections alone": Products(width),
        }
        for name, layer in layers.items():
            times = measure(lambda m=layer, x=x, n=lengths: m(x, n), options.seconds, options.runs)  # type: ignore[misc]
            print_row(str((N, T, width)), name, *times)
    for name, encoder in {
        "mamba": MambaEncoder(256, 2),
        "mamba2": Mamba2Encoder(256, 2),
        "bilstm": BiLSTMEncoder(256, 2),
    }.items():
        x, lengths = torch.randn(16, 200, 256, requires_grad=True), torch.full((16,), 200)
        times = measure(lambda m=encoder, x=x, n=lengths: m(x, n), options.seconds, options.runs)  # type: ignore[misc]
        print_row("encoder (16, 200, 256)", name, *times)


class Products(nn.Module):
    """The matrix products of a Mamba layer's two large projections, and nothing else."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.in_proj, self.out_proj = nn.Linear(width, 4 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        return self.out_proj(self.in_proj(x).chunk(2, -1)[0])


def bench_growth(options: argparse.Namespace) -> None:
    print_row(
        "frames (N 2, width 256)", "layer", "forward ms", "backward ms", "MiB", "us a frame", "KiB a frame"
    )
    for name, layer in {"Mamba": Mamba(256), "Mamba2": Mamba2(256, d_state=64)}.items():
        for frames in GROWTH:
            x = torch.randn(2, frames, 256, requires_grad=True)
            f, b, memory = measure(lambda m=layer, x=x: m(x), options.seconds, options.runs)  # type: ignore[misc]
            per = (f + b) * 1e3 / (2 * frames), memory * 1024 / (2 * frames)
            print_row(str(frames), name, f, b, memory, *per)


def print_row(*cells: object) -> None:
    texts = [f"{c:,.1f}" if isinstance(c, float) else str(c) for c in cells]
    print(f"{texts[0]:<26}{texts[1]:<28}" + "".join(f"{text:>13}" for text in texts[2:]), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    benches = {"scan": bench_scan, "layer": bench_layer, "growth": bench_growth}
    parser.add_argument("what", nargs="*", choices=[[], *benches], help="by default all")
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=20.0, help="at most, for each row")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--slow", action="store_true", help="transformers as well, which takes minutes")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"torch {torch.__version__}, {options.threads} threads")
    for what in options.what or benches:
        benches[what](options)


if __name__ == "__main__":
    main()
