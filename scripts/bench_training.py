"""What training costs beside computing: a second process, waiting for data, saving.

python scripts/bench_training.py processes [--data DIR]   two gloo processes of one thread, one of two
python scripts/bench_training.py data --data DIR          the share of a step that waits for the next batch
python scripts/bench_training.py saving [--millions 30]   how long a save of such a model stops training

`processes` and `data` run `fit` itself with the settings of experiment=lines; without --data, on lines that
it draws.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import torch
from torch import nn

from ocrtrain.checkpoint.writer import BackgroundCheckpointIO


def bench_processes(options: argparse.Namespace) -> None:
    print(
        f"torch {torch.__version__}, {options.steps} steps of 16 lines, median of {options.runs} runs of each"
    )
    print(f"{'processes x threads':<24}{'s per step':>12}{'overhead':>12}")
    times: dict[str, list[float]] = {"1 x 2": [], "2 x 1": []}
    for _ in range(options.runs):  # in turn, so that a slow minute strikes both
        for way in times:
            processes, _, threads = way.split()
            words = [f"trainer.devices={processes}"]
            times[way].append(train(options, words, int(threads))[0])
    medians = {way: statistics.median(seconds) for way, seconds in times.items()}
    for way, seconds in medians.items():
        print(f"{way:<24}{seconds:>12.3f}{seconds / medians['1 x 2'] - 1:>12.1%}")


def bench_data(options: argparse.Namespace) -> None:
    print(f"torch {torch.__version__}, experiment=lines, {options.steps} steps of 16 lines of {options.data}")
    print(f"{'loader workers':<24}{'s per step':>12}{'data-wait':>12}")
    for workers in (0, 1, 2):
        seconds, said = train(options, [f"data.workers={workers}"], 2)
        waits = [int(share) for share in re.findall(r"data-wait (\d+)%", said)]
        wait = f"{statistics.median(waits):.0f}%" if waits else "none told"
        print(f"{workers:<24}{seconds:>12.3f}{wait:>12}", flush=True)


def train(options: argparse.Namespace, words: list[str], threads: int) -> tuple[float, str]:
    """Train and give the seconds of a step, the first fifth left out, and what was said."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        source = ["data=generated"] if options.data is None else [f"data.train={options.data}"]
        command = [sys.executable, "-m", "ocrtrain", "fit", "experiment=lines", *source, *words]
        command += ["data.batch_size=16", "trainer.max_time=null", f"trainer.max_steps={options.steps}"]
        command += [f"trainer.validate_every_steps={options.steps * 10}", f"runs={name}", "run=bench"]
        count = str(threads)
        own = {**os.environ, "OMP_NUM_THREADS": count}
        ended = subprocess.run(command, env=own, capture_output=True, text=True)
        if ended.returncode:
            sys.exit(ended.stderr[-3000:])
        with open(Path(name, "bench/metrics.csv"), newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["loss"] and not row["val_cer"]]
        first, last = rows[len(rows) // 5], rows[-1]
        steps = int(last["step"]) - int(first["step"])
        return (float(last["seconds"]) - float(first["seconds"])) / steps, ended.stderr


def bench_saving(options: argparse.Namespace) -> None:
    torch.set_num_threads(options.threads)
    width = 1024
    layers = max(1, round(options.millions * 1e6 / width**2))
    model = nn.Sequential(*(nn.Linear(width, width, bias=False) for _ in range(layers)))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    x = torch.randn(512, width)

    def step() -> float:
        begun = time.perf_counter()
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()
        return time.perf_counter() - begun

    for _ in range(3):
        step()
    alone = statistics.median(step() for _ in range(10))
    parameters = sum(p.numel() for p in model.parameters())
    print(
        f"torch {torch.__version__}, {options.threads} threads, {parameters:,} parameters with AdamW's state"
    )
    header = ("", "stall s", "of it busy s", "steps meanwhile s", "a step alone s", "written in s", "MB")
    print("{:<12}{:>10}{:>14}{:>20}{:>16}{:>14}{:>8}".format(*header))
    with tempfile.TemporaryDirectory(prefix="bench-", dir=options.folder) as name:
        writer, path = BackgroundCheckpointIO(), Path(name, "last.ckpt")
        for number in range(options.runs):
            content = {
                "global_step": number,
                "state_dict": model.state_dict(),
                "optimizer_states": [optimizer.state_dict()],
            }
            begun, busy = time.perf_counter(), time.thread_time()
            writer.save_checkpoint(content, path)
            stall, busy = time.perf_counter() - begun, time.thread_time() - busy
            meanwhile = []
            waiting = threading.Thread(target=writer.wait)
            waiting.start()
            while waiting.is_alive():
                meanwhile.append(step())
            written = time.perf_counter() - begun
            median = statistics.median(meanwhile) if meanwhile else 0.0
            size = path.stat().st_size / 1e6
            while_saving = f"{median:>20.3f}{alone:>16.3f}{written:>14.2f}{size:>8.0f}"
            print(f"save {number + 1:<7}{stall:>10.3f}{busy:>14.3f}{while_saving}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    benches = {"processes": bench_processes, "data": bench_data, "saving": bench_saving}
    parser.add_argument("what", choices=benches)
    parser.add_argument("--data", type=Path, help="a folder of lines")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--millions", type=float, default=30.0, help="of parameters")
    parser.add_argument("--folder", default=tempfile.gettempdir(), help="on the disk to write to")
    options = parser.parse_args()
    if options.what == "data" and options.data is None:
        parser.error("data needs --data DIR")
    options.data = None if options.data is None else options.data.resolve()
    benches[options.what](options)


if __name__ == "__main__":
    main()
