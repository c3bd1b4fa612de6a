"""Encoders beside each other: what each has learned of the same lines after the same time on the same cores.

python scripts/bench_encoders.py --data DIR [--minutes 10] [--cores 1] [--encoders mamba mamba2 ...]

DIR has `train` and `test`, or `val` in its place; a twentieth of `train` chooses the best checkpoint. As many
trainings run side by side as there are cores for, each pinned to its own.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

# All but the first, which is the default, and the last have about the same size: 1.75 million parameters.
ENCODERS = {
    "mamba, 1 layer": ["encoder=mamba"],
    "mamba": ["encoder=mamba", "encoder.layers=2"],
    "mamba2": ["encoder=mamba2"],
    "bilstm": ["encoder=bilstm", "encoder.layers=4"],
    "transformer": ["encoder=transformer"],
    "none": ["encoder=none"],
}
ROW = "{:<14}{:>12}{:>8}{:>10}{:>10}{:>9}   {}"


def train(name: str, cores: list[int], options: argparse.Namespace, place: Path) -> list[object]:
    """Train and judge one encoder on some cores; returns its row of the table."""
    folder = place / name.replace(", ", "-").replace(" ", "-")
    limit = time.strftime("trainer.max_time=00:%H:%M:%S", time.gmtime(60 * options.minutes))
    settings = [
        limit,
        f"data.train={options.data}/train",
        f"runs={place}",
        f"run={folder.name}",
        "data.workers=1",
    ]
    command = [sys.executable, "-m", "ocrtrain"]
    fit = [*command, "fit", "experiment=lines", "trainer.accelerator=cpu", *ENCODERS[name], *settings]
    text, memory = run([*fit, *options.settings], cores, place)
    held_out = next(options.data / part for part in ("test", "val") if (options.data / part).is_dir())
    best = f"checkpoint={folder}/checkpoints/best.ckpt"
    judge = [*command, "evaluate", best, f"data.test={held_out}", "device=cpu", f"output={folder}"]
    run(judge, cores, place)
    *_, last = csv.DictReader((folder / "metrics.csv").read_text("utf-8").splitlines())
    report = json.loads((folder / "report.json").read_text("utf-8"))
    size = next((line.split()[1] for line in text.splitlines() if line.startswith("encoder ")), "0")
    low, high = report["cer_interval"]
    rate = int(last["lines"]) / (60 * options.minutes)
    interval = f"{low:.2%} to {high:.2%}"
    return [name, size, last["step"], f"{rate:.1f}", f"{memory:,.0f}", f"{report['cer']:.2%}", interval]


def run(command: list[str], cores: list[int], place: Path) -> tuple[str, float]:
    """Run a command on some cores; returns what it said and its peak memory in MiB."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(len(cores)), "OCRTRAIN_CACHE": f"{place}/cache"}
    with tempfile.TemporaryFile("w+") as said:
        pinned = ["taskset", "-c", ",".join(map(str, cores)), *command]
        process = subprocess.Popen(pinned, stdout=said, stderr=said, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        text = said.read()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{text[-3000:]}")
    return text, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--cores", type=int, default=1, help="for each training")
    parser.add_argument("--encoders", nargs="*", choices=ENCODERS, default=list(ENCODERS))
    parser.add_argument("--settings", nargs="*", default=[], help="more settings for all trainings")
    options = parser.parse_args()
    available = sorted(os.sched_getaffinity(0))
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    for name in options.encoders:
        waiting.put(name)

    def work(cores: list[int]) -> None:
        while not waiting.empty():
            row = train(waiting.get(), cores, options, Path(place))
            print(ROW.format(*row), flush=True)

    print(ROW.format("encoder", "parameters", "steps", "lines/s", "MiB", "CER", "95% interval"), flush=True)
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        lanes = [available[i : i + options.cores] for i in range(0, len(available), options.cores)]
        threads = [threading.Thread(target=work, args=(lane,)) for lane in lanes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


if __name__ == "__main__":
    main()
