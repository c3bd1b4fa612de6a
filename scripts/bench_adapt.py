"""Adapters beside full training: what a step costs, and what is learned of few lines.

python scripts/bench_adapt.py step
python scripts/bench_adapt.py lines --base base.ckpt --data DIR [--minutes 3]

`step` times the original recipe's training step (16 RGB lines of 32x320; ResNet34 to an eighth of the width
with bottlenecks, 6 one-way Mamba layers of 768 with LoRA of rank 64) in this project, and as a straight
composition of torchvision, transformers and PEFT. `lines` trains on 50, 200 and 1,000 lines of
DIR/train: LoRA and everything, from a base checkpoint, and everything from random weights; each with the same
time, judged on DIR/test.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ocrtrain.data.formats.folder import FolderSource

COUNTS = (50, 200, 1000)
WAYS = ("LoRA", "everything", "from random weights")
CLASSES = 63


def bench_step(options: argparse.Namespace) -> None:
    torch.set_num_threads(options.threads)
    bf16 = torch.bfloat16 if options.bf16 else None
    print(f"torch {torch.__version__}, {options.threads} threads, {'bf16' if bf16 else 'fp32'}")
    print(f"{'step':<44}{'forward s':>12}{'backward s':>12}{'in all s':>12}{'trained':>14}")
    pixels = torch.randint(256, (16, 3, 32, 320), dtype=torch.uint8)
    models: dict[str, Callable[[], tuple[nn.Module, Callable[[nn.Module], Tensor]]]] = {
        "ocrtrain": lambda: (recipe(), lambda m: m(pixels, torch.full((16,), 320))[0]),
        "torchvision + transformers + PEFT": lambda: (composition(), lambda m: m(pixels)),
    }
    for name, make in models.items():
        model, run = make()
        forward, backward = [], []
        for _ in range(options.runs + 1):
            start = time.perf_counter()
            with torch.autocast("cpu", bf16, enabled=bf16 is not None):
                y = run(model)
            middle = time.perf_counter()
            y.float().sum().backward()
            forward.append(middle - start)
            backward.append(time.perf_counter() - middle)
        trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
        f, b = statistics.median(forward[1:]), statistics.median(backward[1:])
        print(f"{name:<44}{f:>12.2f}{b:>12.2f}{f + b:>12.2f}{trained:>14,}", flush=True)


def recipe() -> nn.Module:
    """The recognizer of experiment=mamba_ocr_130m, with random weights."""
    from ocrtrain.command_line.invocation import parse
    from ocrtrain.command_line.presets import compose
    from ocrtrain.commands.fit.settings import MODEL_KEYS
    from ocrtrain.commands.settings import plain
    from ocrtrain.model.build import build_recognizer

    words = ["experiment=mamba_ocr_130m", "backbone.weights=null", "encoder.pretrained=null"]
    config = compose(parse("fit", []), words)
    model = build_recognizer({key: plain(config[key]) for key in MODEL_KEYS}, CLASSES)
    return model.to(memory_format=torch.channels_last)


class Bottlenecked(nn.Module):
    """A convolution and a bottleneck after it."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv, channels = conv, conv.out_channels
        self.added = nn.Sequential(nn.Conv2d(channels, 64, 1), nn.ReLU(), nn.Conv2d(64, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return y + self.added(y)


class Composition(nn.Module):
    """The same recipe out of the parts that others offer, put together as their pages show."""

    def __init__(self) -> None:
        super().__init__()
        from peft import LoraConfig, get_peft_model
        from torchvision.models import resnet34
        from transformers import MambaConfig, MambaModel

        net: Any = resnet34().requires_grad_(False)
        for layer in (net.layer3, net.layer4):
            layer[0].conv1.stride = layer[0].downsample[0].stride = (2, 1)
        for layer in (net.layer1, net.layer2, net.layer3, net.layer4):
            for block in layer:
                block.conv1 = Bottlenecked(block.conv1)
        stem = (net.conv1, net.bn1, net.relu, net.maxpool)
        self.backbone = nn.Sequential(*stem, net.layer1, net.layer2, net.layer3, net.layer4)
        self.project_in = nn.Linear(512, 768)
        config = MambaConfig(hidden_size=768, num_hidden_layers=6, vocab_size=1, use_cache=False)
        lora: Any = LoraConfig(r=64, lora_alpha=64, target_modules=["in_proj", "x_proj", "dt_proj"])
        self.encoder = get_peft_model(MambaModel(config), lora)
        self.head = nn.Linear(768, CLASSES)

    def forward(self, pixels: Tensor) -> Tensor:
        x = self.backbone(pixels.float() / 255)[:, :, 0].transpose(1, 2)
        return self.head(self.encoder(inputs_embeds=self.project_in(x)).last_hidden_state).log_softmax(-1)


def composition() -> nn.Module:
    return Composition().train()


def bench_lines(options: argparse.Namespace) -> None:
    if options.base is None or options.data is None:
        sys.exit("lines needs --base and --data")
    start = [f"init={options.base}"]
    ways = dict(zip(WAYS, ([*start, "adapt=lora"], start, []), strict=True))
    header = (f"lines of {options.data.name}", "trained", "parameters", "share", "CER", "95% interval")
    print("{:<24}{:<22}{:>12}{:>8}{:>9}   {}".format(*header), flush=True)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        place = Path(name)
        source = FolderSource(options.data / "train")
        for count in options.counts:
            listed = place / f"{count}.list"
            step = max(1, len(source) // count)  # of all pages, not of the first alone
            chosen = [Path(source.root, image) for image in source.names[::step][:count]]
            listed.write_text("".join(f"{image}\n" for image in chosen), "utf-8")
            for way in options.ways:
                row = adapt(way, ways[way], listed, options, place / f"{count} {way}".replace(" ", "-"))
                print("{:<24}{:<22}{:>12}{:>8}{:>9}   {}".format(str(len(chosen)), way, *row), flush=True)


def adapt(way: str, settings: list[str], lines: Path, options: argparse.Namespace, folder: Path) -> list[str]:
    """Train on the lines of a list in one of the ways, and judge; returns the rest of the table's row."""
    limit = time.strftime("trainer.max_time=00:%H:%M:%S", time.gmtime(60 * options.minutes))
    command, run = [sys.executable, "-m", "ocrtrain"], [f"runs={folder.parent}", f"run={folder.name}"]
    data = [f"data.train={lines}", f"data.val={options.data}/val", "data.drop_unknown=true"]
    skips = ["data.max_skipped=1000000"]
    text = call(
        [*command, "fit", "experiment=lines", limit, *data, *skips, *run, *settings, *options.settings]
    )
    total = next(line for line in text.splitlines() if line.startswith("in all "))
    words = total.replace(",", "").split()
    best = f"checkpoint={folder}/checkpoints/best.ckpt"
    call([*command, "evaluate", best, f"data.test={options.data}/test", f"output={folder}"])
    report = json.loads((folder / "report.json").read_text("utf-8"))
    low, high = report["cer_interval"]
    trained, every = int(words[4]), int(words[2])
    return [f"{trained:,}", f"{trained / every:.1%}", f"{report['cer']:.2%}", f"{low:.2%} to {high:.2%}"]


def call(command: list[str]) -> str:
    """Run a command to its end and return what it said; stops if it fails."""
    with tempfile.TemporaryDirectory() as cache:
        environment = {"OCRTRAIN_CACHE": cache, **os.environ}
        ended = subprocess.run(command, capture_output=True, text=True, env=environment)
    if ended.returncode:
        sys.exit(f"{' '.join(command)}\n{ended.stdout[-2000:]}\n{ended.stderr[-3000:]}")
    return ended.stderr


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    benches = {"step": bench_step, "lines": bench_lines}
    parser.add_argument("what", choices=benches)
    parser.add_argument("--base", type=Path, help="a checkpoint to adapt")
    parser.add_argument("--data", type=Path, help="a folder with train, val and test")
    parser.add_argument("--counts", type=int, nargs="*", default=COUNTS)
    parser.add_argument("--ways", nargs="*", choices=WAYS, default=WAYS, help="of training")
    parser.add_argument("--minutes", type=float, default=3.0, help="of each training")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--bf16", action="store_true", help="autocast, where the CPU has it")
    parser.add_argument("--settings", nargs="*", default=[], help="more settings for all trainings")
    options = parser.parse_args()
    benches[options.what](options)


if __name__ == "__main__":
    main()
