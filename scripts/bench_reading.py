"""How fast lines are read: python scripts/bench_reading.py [--data DIR] [--manifest LINES]

Reading: lines from stored files to batches on one core, without and with augmentation, from a folder of
pairs, an LMDB and tar shards; beside each, the limit: its images decoded, and nothing else. Lines per second
of CPU time, which on an idle machine is wall time; files are in the system's cache; the median of the runs.

Manifest: start-up and memory with so many lines (try 10000000), each in a process of its own: CPU and wall
seconds to import everything, to open it, to check its texts and plan an epoch, to make its first batch; and
the most memory of the process's own, that before it was opened, and that with what lies in mapped files.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ocrtrain.data.batches.buckets import EndlessBatches
from ocrtrain.data.batches.collate import Collate
from ocrtrain.data.batches.dataset import LineDataset
from ocrtrain.data.checks.screening import symbols_of
from ocrtrain.data.formats import open_lines
from ocrtrain.data.formats.writers import WrittenLine, writing
from ocrtrain.data.images.augment import Augment
from ocrtrain.data.images.preprocess import Preprocess
from ocrtrain.data.lines.stored import StoredLines
from ocrtrain.text import Charset, Writing


def rate(read: Callable[[int], int], runs: int) -> float:
    """Median lines per CPU second of `read`, which gets the run's number and tells its lines."""
    read(0)
    rates = []
    for run in range(1, runs + 1):
        began = time.process_time()
        lines = read(run)
        rates.append(lines / (time.process_time() - began))
    return statistics.median(rates)


def limit(source: StoredLines, count: int, runs: int) -> float:
    """Decode images, in the order in which an epoch reads them."""
    orders = [np.random.default_rng(run).permutation(len(source))[:count] for run in range(runs + 1)]

    def read(run: int) -> int:
        for i in orders[run].tolist():
            source.images.pixels(i, "any")
        return len(orders[run])

    return rate(read, runs)


def batches(source: StoredLines, augment: Augment | None, count: int, runs: int) -> float:
    """Read batches as training does, with the defaults of data=lines, in this process."""
    preprocess = Preprocess()
    dataset = LineDataset(
        source, preprocess, Charset(sorted(symbols_of(source.originals, Writing()))), augment
    )
    collate = Collate(preprocess)

    def read(run: int) -> int:
        lines = 0
        for keys in EndlessBatches(dataset, 16, seed=run):
            lines += len(collate([dataset[key] for key in keys]))
            if lines >= count:
                break
        return lines

    return rate(read, runs)


def reading(data: str, count: int, runs: int) -> None:
    """Print the table of formats."""
    folder = open_lines(data, "any")
    print(f"{data}: {len(folder):,} lines, median aspect ratio {np.median(folder.widths(0)):.1f}")
    print(f"{'lines/s of one core':<24}{'decode':>10}{'batches':>10}{'':>7}{'augmented':>11}{'':>7}")
    with tempfile.TemporaryDirectory() as place:
        sources = {"folder of pairs": folder}
        for form, name in (("lmdb", "LMDB"), ("shards", "tar shards")):
            output = Path(place) / form
            with writing(form, output) as writer:
                for i, text in enumerate(folder.originals):
                    writer.write(WrittenLine(folder.images.encoded(i), text, folder.names[i]))
            sources[name] = open_lines(output, "any")
        for name, source in sources.items():
            most = limit(source, count, runs)
            plain, changed = (batches(source, augment, count, runs) for augment in (None, Augment()))
            row = f"{name:<24}{most:>10,.0f}{plain:>10,.0f}{plain / most:>7.0%}{changed:>11,.0f}"
            print(f"{row}{changed / most:>7.0%}", flush=True)


_WORDS = [
    "the",
    "quick",
    "brown",
    "fox",
    "jumps",
    "over",
    "lazy",
    "dog",
    "während",
    "größe",
    "naïve",
    "1887",
    "Amt",
]


def make_manifest(file: Path, lines: int, sizes: bool) -> None:
    """Write a manifest of lines of about 40 characters; no image is there, which only reading them needs."""
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(_WORDS, 8)) for _ in range(10_000)]
    with open(file, "w", encoding="utf-8") as out:
        if file.suffix == ".jsonl":
            for i in range(lines):
                row: dict[str, Any] = {"file_name": f"{i // 10_000:04}/{i:08}.png", "text": texts[i % 10_000]}
                row |= {"width": 500 + i % 500, "height": 48} if sizes else {}
                out.write(json.dumps(row, ensure_ascii=False) + "\n")
        else:
            out.write("file_name\ttext\twidth\theight\n")
            for i in range(lines):
                out.write(f"{i // 10_000:04}/{i:08}.png\t{texts[i % 10_000]}\t{500 + i % 500}\t48\n")


def start(file: str, began: float) -> None:
    """Open the lines at `file` as `fit` does, plan an epoch, make its first batch; print what it cost.

    began: the time at which this process was started, in seconds since 1970.
    """
    from ocrtrain.data import build_line_sets

    memory = Memory()
    marks = [(0.0, began), (time.process_time(), time.time())]
    source = open_lines(file)
    marks.append((time.process_time(), time.time()))
    data = build_line_sets(train=file, batch_size=16, workers=0)
    data.open(4)
    marks.append((time.process_time(), time.time()))
    keys = next(iter(data.batches()))
    marks.append((time.process_time(), time.time()))
    for _, i in keys:  # the only images that there are
        image = Path(source.images.where(int(data.train_set.indices[i])))
        image.parent.mkdir(exist_ok=True)
        Image.new("L", (500 + i % 500, 48), 255).save(image)
    pause = time.process_time() - marks[-1][0], time.time() - marks[-1][1]
    batch = Collate(data.preprocess)([data.train_set[key] for key in keys])
    assert len(batch) == 16 and not batch.unreadable
    marks.append((time.process_time() - pause[0], time.time() - pause[1]))
    spent = [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(marks)]
    spent[3:] = [(spent[3][0] + spent[4][0], spent[3][1] + spent[4][1])]
    print(json.dumps({"base": memory.base, "own": memory.own, "all": memory.all, "spent": spent}))


class Memory:
    """The most memory that this process has had, in GiB: of its own, and with what it has of mapped files."""

    def __init__(self) -> None:
        self.base = self.own = self._own()
        threading.Thread(target=self._watch, daemon=True).start()

    @property
    def all(self) -> float:
        """Memory of its own and pages of mapped files together."""
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20

    def _own(self) -> float:
        _, resident, shared = Path("/proc/self/statm").read_text().split()[:3]
        return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE") / 2**30

    def _watch(self) -> None:
        while True:
            self.own = max(self.own, self._own())
            time.sleep(0.01)


def manifest(lines: int) -> None:
    """Print the table of start-ups."""
    columns = ("import", "open", "check and plan", "first batch", "together")
    head = "".join(f"{name:>15}" for name in columns)
    print(f"{lines:,} lines; CPU s (wall s){'':<8}{head}{'own GiB':>9}{'before':>8}{'with files':>12}")
    with tempfile.TemporaryDirectory() as place:
        for suffix in ("tsv", "jsonl"):
            file = Path(place) / f"lines.{suffix}"
            make_manifest(file, lines, sizes=True)
            for when in ("first start", "second start"):
                environment = {**os.environ, "OCRTRAIN_CACHE": f"{place}/cache"}
                command = [sys.executable, __file__, "--start", str(file), "--began", str(time.time())]
                ended = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
                found = json.loads(ended.stdout.splitlines()[-1])
                spent = [*found["spent"], [sum(column) for column in zip(*found["spent"], strict=True)]]
                cells = "".join(f"{f'{cpu:.1f} ({wall:.1f})':>15}" for cpu, wall in spent)
                name = f"{suffix.upper()}, {file.stat().st_size / 2**20:,.0f} MiB, {when}"
                memory = f"{found['own']:>9.2f}{found['base']:>8.2f}{found['all']:>12.2f}"
                print(f"{name:<33}{cells}{memory}", flush=True)
            file.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default="../shared/data/fraktur/train", help="lines in any format")
    parser.add_argument("--count", type=int, default=1000, help="lines of each run")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--manifest", type=int, help="measure a manifest of so many lines instead")
    parser.add_argument("--start", help=argparse.SUPPRESS)
    parser.add_argument("--began", type=float, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.start:
        start(arguments.start, arguments.began)
    elif arguments.manifest:
        manifest(arguments.manifest)
    else:
        reading(arguments.data, arguments.count, arguments.runs)


if __name__ == "__main__":
    main()
