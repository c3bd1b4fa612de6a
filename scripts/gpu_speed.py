"""What `check_gpu.py` times: steps and their memory, trainings, reading, and the scan's tilings."""

from __future__ import annotations

import contextlib
import csv
import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import torch
from gpu_kernels import Row, Setting, SkipError, draw
from torch import Tensor

from ocrtrain.model.ssm import Mamba, selective_scan
from ocrtrain.model.ssm.backend import mamba_ssm_missing


def synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def measure(step: Callable[[], Any], setting: Setting, repeats: int = 20) -> tuple[float, float]:
    """Median milliseconds of a step, and the MiB of the GPU that it took at most."""
    for _ in range(0 if setting.tiny else 3):
        step()
    synchronize()
    torch.cuda.reset_peak_memory_stats() if torch.cuda.is_available() else None
    before, times = torch.cuda.memory_allocated(), []
    for _ in range(1 if setting.tiny else repeats):
        start = time.perf_counter()
        step()
        synchronize()
        times.append(time.perf_counter() - start)
    return 1e3 * median(times), (torch.cuda.max_memory_allocated() - before) / 2**20


def scan_step(
    shape: tuple[int, int, int, int], backend: str, device: torch.device, both: bool = True
) -> Callable[[], None]:
    """Forward and backward of a scan in bf16 with lengths, in one direction of time or in both."""
    tensors, lengths = draw(*shape, torch.bfloat16, device)
    lengths = lengths.clamp(min=shape[1] // 2)
    own = {k: v.detach().requires_grad_() for k, v in tensors.items()}
    dy = torch.randn(shape[:3], device=device).bfloat16()

    def step() -> None:
        for reverse in (False, True)[: 1 + both]:
            options: dict[str, Any] = {"lengths": lengths, "reverse": reverse, "backend": backend}
            y = selective_scan(**own, delta_softplus=True, **options)
            torch.autograd.grad(y, list(own.values()), dy)

    return step


def layer_step(shape: tuple[int, int, int], device: torch.device) -> Callable[[], None]:
    """Forward and backward of a layer in bf16 with lengths, in both directions of time."""
    N, T, width = shape
    forth, back = (Mamba(width, reverse=way, backend="triton").to(device) for way in (False, True))
    x = torch.randn(N, T, width, device=device, requires_grad=True)
    lengths = torch.linspace(T // 2, T, N, device=device).long()

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16):
            y = forth(x, lengths) + back(x, lengths)
        y.float().sum().backward()

    return step


def check_growth(setting: Setting) -> Iterator[Row]:
    """Time and memory of scans and layers, beside mamba-ssm's kernel where that is installed."""
    missing, device = mamba_ssm_missing(setting.device.type), setting.device
    N, D, width, lengths = (1, 4, 4, (3,)) if setting.tiny else (16, 1024, 512, (80, 320, 1000, 2000))
    for T in lengths:
        scan = N, T, D, 16
        for what, shape, step in (
            ("scan", scan, scan_step(scan, "triton", device)),
            ("layer", (N, T, width), layer_step((N, T, width), device)),
        ):
            took, memory = measure(step, setting)
            yield Row(f"triton {what}, both ways", "bfloat16", str(shape), took, "ms")
            yield Row(f"triton {what}, both ways, memory", "bfloat16", str(shape), memory, "MiB")
            if what == "scan" and not missing:
                other, more = measure(scan_step(scan, "mamba_ssm", device), setting)
                yield Row("scan to mamba-ssm's, time", "bfloat16", str(shape), took / other, "x", 1.0)
                yield Row("scan to mamba-ssm's, memory", "bfloat16", str(shape), memory / more, "x", 1.0)
    _, memory = measure(scan_step(scan, "triton", device, both=False), setting, repeats=3)
    units = memory * 2**20 / (2 * N * T * D)
    yield Row("scan's memory, to one input's", "bfloat16", str(scan), units, "x", 8.0)


def check_tilings(setting: Setting) -> Iterator[Row]:
    """The scan under other tilings than `choose_tiling` picks; nothing is kept."""
    from ocrtrain.model.ssm.scan import triton as scan_triton

    shapes = (
        ((1, 3, 4, 2),) if setting.tiny else ((16, 80, 1024, 16), (16, 2000, 1024, 16), (128, 80, 1024, 16))
    )
    for channels in (4,) if setting.tiny else (8, 16, 32, 64):
        for frames in (2,) if setting.tiny else (2, 4, 8):
            scan_triton.forward_tiling = scan_triton.Tiling(channels, frames)
            scan_triton.backward_tiling = scan_triton.Tiling(channels, frames)
            for shape in shapes:
                tensors, lengths = draw(*shape, torch.bfloat16, setting.device)
                options: dict[str, Any] = {"lengths": lengths, "backend": "triton", "delta_softplus": True}
                with torch.no_grad():
                    forward, _ = measure(lambda t=tensors, o=options: selective_scan(**t, **o), setting)
                both, _ = measure(scan_step(shape, "triton", setting.device, both=False), setting)
                said = f"channels={channels} frames={frames}"
                yield Row(f"forward, {said}", "bfloat16", str(shape), forward, "ms")
                yield Row(f"forward and backward, {said}", "bfloat16", str(shape), both, "ms")


TINY = ("encoder.width=8", "encoder.layers=1", "data.batch_size=2")
TINY_TRAINING = """
    backbone.channels=[4,4,8] backbone.out_channels=8 encoder.backend=eager data.workers=0 data.train.lines=40
    data.val.lines=4 trainer.max_time=null trainer.max_steps=20 trainer.validate_every_steps=20
    trainer.accelerator=cpu trainer.precision=bf16-mixed
"""


def check_recipe(setting: Setting) -> Iterator[Row]:
    """The original recipe's training step at growing batches: lines a second, and where the time goes."""
    from torch.utils.flop_counter import FlopCounterMode

    from ocrtrain.command_line.invocation import parse
    from ocrtrain.command_line.presets import compose
    from ocrtrain.commands.fit.settings import MODEL_KEYS
    from ocrtrain.commands.settings import plain
    from ocrtrain.model.build import build_recognizer
    from ocrtrain.training.recognizer_module import ctc_losses

    device, tiny = setting.device, [*TINY, "adapt.rank=2"] if setting.tiny else []
    words = ["experiment=mamba_ocr", "backbone.weights=null", "encoder.backend=triton", *tiny]
    config = compose(parse("fit", []), words)
    model = build_recognizer({key: plain(config[key]) for key in MODEL_KEYS}, 63).to(device)
    model = model.to(memory_format=torch.channels_last)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, fused=not setting.tiny)
    columns = 32 if setting.tiny else 320
    for lines in (1,) if setting.tiny else (16, 64, 256, 512, 1024):
        pixels = torch.randint(256, (lines, 3, 32, columns), dtype=torch.uint8, device=device)
        widths, sizes = (torch.full((lines,), size, device=device) for size in (columns, 8))
        targets = torch.randint(1, 63, (lines, 8), device=device)
        features = torch.randn(lines, columns // 4, config.encoder.width, device=device, requires_grad=True)

        def step(given: tuple[Tensor, ...] = (pixels, widths, targets, sizes)) -> None:
            with torch.autocast(device.type, torch.bfloat16):
                log_probs, lengths = model(*given[:2])
            losses, _ = ctc_losses(log_probs, lengths, *given[2:])
            loss = losses.sum() / given[3].sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

        def encode(x: Tensor = features) -> None:
            with torch.autocast(device.type, torch.bfloat16):
                y = model.encoder(x, torch.full((len(x),), x.shape[1], device=device))
            y.float().sum().backward()

        with FlopCounterMode(display=False) as counter:
            step()
        (took, memory), (encoding, _) = measure(step, setting), measure(encode, setting)
        shape, rate = f"{lines} x 3 x 32 x {columns}", counter.get_total_flops() / took * 1e3
        yield Row("the recipe's training step", "bfloat16", shape, took, "ms")
        yield Row("the recipe's training", "bfloat16", shape, 1e3 * lines / took, "lines/s")
        yield Row("its peak memory", "bfloat16", shape, memory, "MiB")
        yield Row("its encoder's share, measured alone", "bfloat16", shape, encoding / took, "of the time")
        # 989 TFLOP/s without sparsity: NVIDIA's data sheets of H100 SXM and H200.
        yield Row("its matrix products to an H100's peak", "bfloat16", shape, rate / 989e12, "of the rate")


def train(setting: Setting, experiment: str, seconds: float) -> Iterator[Row]:
    """Train as a user would, by the command line, and read the table that it leaves."""
    from ocrtrain.__main__ import main

    words = [f"experiment={experiment}", f"runs={setting.folder}", f"run={experiment}", "overwrite=true"]
    words += [f"trainer.max_time={seconds:.0f}"]
    words += [*TINY, *TINY_TRAINING.split()] if setting.tiny else []
    code = main(["fit", *words])
    if code:
        raise RuntimeError(f"fit ended with exit code {code}")
    with open(setting.folder / experiment / "metrics.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    losses = [row for row in rows if row["loss"]]
    # The first fifth is left out: kernels are compiled there.
    first, last = losses[min(len(losses) // 5, len(losses) - 2)], losses[-1]
    rate = (int(last["lines"]) - int(first["lines"])) / (float(last["seconds"]) - float(first["seconds"]))
    shape = f"{last['lines']} lines"
    loss = None if setting.tiny else 0.9
    yield Row(f"{experiment}, training, validations and all", "bfloat16", shape, rate, "lines/s")
    share = float(last["loss"]) / float(losses[0]["loss"])
    yield Row(f"{experiment}, last loss to first", "bfloat16", shape, share, "x", loss)
    cer = [float(row["val_cer"]) for row in rows if row["val_cer"]][-1]
    yield Row(f"{experiment}, CER of validation lines", "bfloat16", shape, 100 * cer, "%")
    peak = torch.cuda.max_memory_allocated() / 2**20
    yield Row(f"{experiment}, peak memory", "bfloat16", shape, peak, "MiB")


def check_quickstart(setting: Setting) -> Iterator[Row]:
    yield from train(setting, "quickstart", setting.seconds / 3)


def check_print(setting: Setting) -> Iterator[Row]:
    """What time is left goes to the training of print, where this version has that."""
    from ocrtrain.command_line.invocation import parse
    from ocrtrain.command_line.presets import options

    if "print" not in options(parse("fit", []), "experiment"):
        raise SkipError("there is no experiment=print")
    if setting.seconds < 60 and not setting.tiny:
        raise SkipError(f"{setting.seconds:.0f} seconds are too few")
    yield from train(setting, "print", setting.seconds - 40)


def check_reading(setting: Setting) -> Iterator[Row]:
    """`Recognizer.read` with both decoders, and that the GPU reads what the CPU reads."""
    from hydra.utils import instantiate

    from ocrtrain.command_line.invocation import parse
    from ocrtrain.command_line.presets import compose
    from ocrtrain.decoding import BeamDecoder, GreedyDecoder
    from ocrtrain.recognizer import Recognizer

    checkpoint = setting.folder / "quickstart/checkpoints/best.ckpt"
    if not checkpoint.exists():
        raise SkipError("quickstart left no checkpoint")
    generator = instantiate(compose(parse("fit", []), ["experiment=quickstart"]).synthesis, _convert_="all")
    images = [generator.line(7, 0, i).image for i in range(4 if setting.tiny else 1000)]
    recognizer = Recognizer.load(checkpoint, setting.device)
    charset, size = recognizer.description.charset, 4 if setting.tiny else 64
    for decoder in (GreedyDecoder(charset), BeamDecoder(charset)):
        recognizer.decoder = decoder
        said = type(decoder).__name__.removesuffix("Decoder").lower()
        for precision in ("float32", "bfloat16"):
            half = torch.autocast(setting.device.type, torch.bfloat16)
            with half if precision == "bfloat16" else contextlib.nullcontext():
                took, memory = measure(lambda: recognizer.read(images, size), setting, repeats=3)
            shape, rate = f"{len(images)} lines by {size}", 1e3 * len(images) / took
            yield Row(f"reading, {said}", precision, shape, rate, "lines/s")
            yield Row(f"reading, {said}, peak memory", precision, shape, memory, "MiB")
        few = images[:50]
        on_cpu = Recognizer.load(checkpoint, "cpu")
        on_cpu.decoder = decoder
        pairs = zip(recognizer.read(few), on_cpu.read(few), strict=True)
        wrong = sum(a.text != b.text for a, b in pairs)
        # Convolutions are in TF32 on the GPU: where two symbols are as likely, another may win.
        yield Row(
            f"{said}, lines that the CPU reads otherwise", "float32", f"{len(few)} lines", wrong, "lines", 5
        )
