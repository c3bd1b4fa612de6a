"""Every check that needs a GPU, in one table and under eight minutes: python scripts/check_gpu.py

Parts, in order of worth: kernels against references in float64, steps in mixed precision, a training by
experiment=quickstart, the original recipe's step, reading, time and memory as lines grow, tilings, and
experiment=print for what time is left. Each runs in a process of its own with a time limit of its own, so
that one that fails or hangs costs no other, and each row is printed as it comes. Where $OUT is set, the
table is also in $OUT/check_gpu.txt, and what the parts print in $OUT/check_gpu.log. Exits with 1 if a check
fails, with 2 where there is no CUDA device. With --cpu, all parts run at toy sizes on a CPU, by Triton's
interpreter, to show that nothing in them is broken (that of Triton 3.6 needs NumPy below 2.4).

A machine without a network that has Python 3.12, torch 2.11, torchvision, lightning, peft, numba, matplotlib,
regex and what they need lacks 6 MB of wheels. Where there is a network:

    pip wheel --no-deps -w .wheels antlr4-python3-runtime==4.9.3
    pip download --no-deps --only-binary=:all: --python-version 3.12 --implementation cp \\
        --platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64 --platform manylinux2014_x86_64 \\
        -d .wheels hydra-core 'omegaconf<2.4' rapidfuzz uharfbuzz python-bidi jiwer

and on that machine, with files to be written under $OUT:

    pip install --no-index --no-deps --find-links .wheels --target /tmp/site hydra-core omegaconf \\
        antlr4-python3-runtime rapidfuzz uharfbuzz python-bidi jiwer
    PYTHONPATH=/tmp/site:$PWD python scripts/check_gpu.py
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

# Torch is imported once, before the forks; nothing here may touch the GPU.
FORK = multiprocessing.get_context("fork")

# Each part: its name, where it is, and the seconds that it may take.
PARTS = (
    ("scan", "gpu_kernels.check_scan", 110),
    ("other kernels", "gpu_kernels.check_others", 60),
    ("mixed precision", "gpu_kernels.check_steps", 45),
    ("quickstart", "gpu_speed.check_quickstart", 90),
    ("recipe", "gpu_speed.check_recipe", 60),
    ("reading", "gpu_speed.check_reading", 75),
    ("growth", "gpu_speed.check_growth", 45),
    ("tilings", "gpu_speed.check_tilings", 90),
    ("print", "gpu_speed.check_print", 3600),
)


class Table:
    """What is printed, and written to a file where there is one; each line at once."""

    def __init__(self, file: TextIO | None) -> None:
        self.file, self.failed = file, 0

    def say(self, line: str, failed: bool = False) -> None:
        self.failed += failed
        for place in (sys.stdout, self.file):
            if place is not None:
                print(line, file=place, flush=True)


def find(place: str) -> Callable[..., Any]:
    module, _, function = place.rpartition(".")
    found: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return found


def run_part(place: str, options: dict[str, Any], log: int, pipe: Any) -> None:
    """Run a part in this process, which is its own: rows go through the pipe, all else into the log."""
    os.setsid()  # what it starts ends with it
    for stream in (1, 2):
        os.dup2(log, stream)
    try:
        import torch
        from gpu_kernels import Setting, SkipError

        if not options["tiny"]:
            torch.cuda.set_device(0)
        torch.manual_seed(0)
        device = torch.device("cpu") if options["tiny"] else torch.device("cuda", 0)
        try:
            for row in find(place)(Setting(device=device, **options)):
                pipe.send((str(row), not row.ok))
        except SkipError as reason:
            pipe.send((f"skipped: {reason}", False))
    except BaseException as error:  # the parent goes on, and must know
        traceback.print_exc()
        pipe.send((f"failed: {type(error).__name__}: {str(error)[:300]}", True))
    pipe.send(None)
    sys.stdout.flush()
    os._exit(0)  # neither threads nor a broken GPU may hold up the next part


def watch(part: str, place: str, options: dict[str, Any], log: int, table: Table) -> None:
    """Run a part in a process of its own, and end it with all that it started when its time is up."""
    began, seconds = time.monotonic(), options["seconds"]
    ours, theirs = multiprocessing.Pipe(duplex=False)
    process = FORK.Process(target=run_part, args=(place, options, log, theirs))
    process.start()
    theirs.close()
    while True:
        left = began + seconds - time.monotonic()
        ready = multiprocessing.connection.wait([ours, process.sentinel], max(0.0, left))
        if ours in ready:
            with contextlib.suppress(EOFError):
                if (said := ours.recv()) is None:
                    break
                table.say(*said)
                continue
        if ready:
            process.join()
            table.say(f"{part}: failed: its process ended with code {process.exitcode}", failed=True)
        else:
            table.say(f"{part}: failed: stopped after its {seconds:.0f} seconds", failed=True)
        break
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid or 0, signal.SIGKILL)
    process.join(10)
    table.say(f"-- {part}: {time.monotonic() - began:.0f} s")


def device_name(pipe: Any) -> None:
    """Say what there is to run on; in a process of its own, since a fork must find the GPU untouched."""
    import torch

    pipe.send(torch.cuda.get_device_name() if torch.cuda.is_available() else None)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--cpu", action="store_true", help="toy sizes, on a CPU: whether all of it runs")
    parser.add_argument("--seconds", type=float, default=460.0, help="for all parts together")
    parser.add_argument("parts", nargs="*", help="only these: " + ", ".join(part for part, *_ in PARTS))
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - {part for part, *_ in PARTS}:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    if arguments.cpu:
        os.environ |= {"TRITON_INTERPRET": "1", "CUDA_VISIBLE_DEVICES": ""}
    end = time.monotonic() + arguments.seconds

    name: str | None = "a CPU, by Triton's interpreter"
    if not arguments.cpu:
        ours, theirs = multiprocessing.Pipe(duplex=False)
        FORK.Process(target=device_name, args=(theirs,)).start()
        name = ours.recv() if ours.poll(120) else None
    if name is None:
        print("torch finds no CUDA device: nothing was checked", file=sys.stderr)
        return 2

    import torch  # before the forks, with all that takes long to import

    for module in ("gpu_kernels", "gpu_speed", "ocrtrain.commands.fit.fit"):
        with contextlib.suppress(ImportError):  # the parts that need it will say so
            importlib.import_module(module)
    with contextlib.ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="check-gpu-")))
        out = Path(os.environ["OUT"]) if os.environ.get("OUT") else None
        log = opened.enter_context(open((out or folder) / "check_gpu.log", "w+"))
        table = Table(out and opened.enter_context(open(out / "check_gpu.txt", "w")))
        table.say(f"{name}, torch {torch.__version__}")
        table.say(f"{'check':44} {'type':8} {'shape':22} {'value':24} {'limit':>8}  ok")
        for part, place, limit in PARTS:
            seconds = min(limit, end - time.monotonic())
            if arguments.parts and part not in arguments.parts:
                continue
            if seconds < 5:
                table.say(f"-- {part}: skipped: no time is left")
                continue
            options = {"tiny": arguments.cpu, "seconds": seconds, "folder": folder}
            begun = log.seek(0, os.SEEK_END)
            failed = table.failed
            watch(part, place, options, log.fileno(), table)
            if table.failed > failed:
                log.seek(begun)
                table.say("".join(log.readlines()[-12:]).rstrip())
    return 1 if table.failed else 0


if __name__ == "__main__":
    sys.exit(main())
