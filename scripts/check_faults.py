"""Inject faults into real trainings and see whether each ends as promised.

python scripts/check_faults.py           a run of about two minutes, killed 20 times, also with 2 workers
python scripts/check_faults.py --quick   a model of 20,000 parameters, a run of seconds, killed 4 times
python scripts/check_faults.py --only kill-0 disk-full

Prints one table: the fault, what came of it, whether that is what was promised. Exit code 1 if any is not.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

TINY = ["backbone.channels=[8,8,16]", "backbone.out_channels=32", "encoder.width=32", "encoder.layers=1"]
HUNG = 600.0  # seconds after which a process is taken to hang


@dataclass
class Site:
    """Where the trainings of one check take place, and what they have in common."""

    folder: Path
    words: list[str]
    steps: int

    def command(self, run: str, *words: str) -> list[str]:
        common = [*self.words, f"trainer.max_steps={self.steps}", f"run={run}", "data.workers=0"]
        keys = {word.partition("=")[0] for word in words}
        common = [word for word in common if word.partition("=")[0] not in keys]
        return [sys.executable, "-m", "ocrtrain", "fit", *common, *words]

    def start(self, run: str, *words: str, **popen: Any) -> subprocess.Popen[str]:
        # The first run compiles, as on a new machine; those that follow read from the cache.
        caches = {"OCRTRAIN_CACHE": self.folder / "cache", "NUMBA_CACHE_DIR": self.folder / "numba"}
        own = {**os.environ, **{name: str(path) for name, path in caches.items()}}
        command, pipe = self.command(run, *words), subprocess.PIPE
        return subprocess.Popen(command, cwd=self.folder, env=own, stderr=pipe, text=True, **popen)

    def fit(self, run: str, *words: str, **popen: Any) -> tuple[int, str]:
        """Train to the end; returns exit code and what was said."""
        return ended(self.start(run, *words, **popen))

    def checkpoint(self, run: str, name: str = "last") -> Path:
        return self.folder / "runs" / run / "checkpoints" / f"{name}.ckpt"

    def rows(self, run: str) -> list[dict[str, str]]:
        try:
            with open(self.folder / "runs" / run / "metrics.csv", newline="") as file:
                return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]
        except OSError:
            return []

    def same(self, run: str, other: str = "whole") -> str:
        """Compare two runs bit for bit: "" or what differs."""
        parts = ("global_step", "state_dict", "optimizer_states", "random")
        for name in ("last", "best"):
            try:
                files = [torch.load(self.checkpoint(r, name), weights_only=True) for r in (run, other)]
            except Exception as error:
                return f"{name}.ckpt cannot be read: {str(error)[:80]}"
            for part in parts:
                if where := differing(files[0][part], files[1][part], part):
                    return f"{name}.ckpt differs in {where[0]}"
        return "" if self.rows(run) == self.rows(other) else "metrics.csv differs"


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for a process; one that hangs is killed and counts as exit code 999."""
    try:
        _, said = process.communicate(timeout=HUNG)
        return process.returncode, said
    except subprocess.TimeoutExpired:
        process.kill()
        return 999, process.communicate()[1]


def differing(one: Any, other: Any, where: str) -> list[str]:
    """The places at which two nested values differ in the least."""
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return [] if one.dtype == other.dtype and torch.equal(one, other) else [where]
    if isinstance(one, dict) and isinstance(other, dict):
        keys = sorted(one.keys() | other.keys(), key=str)
        return [d for key in keys for d in differing(one.get(key), other.get(key), f"{where}.{key}")]
    if isinstance(one, list | tuple) and isinstance(other, list | tuple) and len(one) == len(other):
        return [d for i in range(len(one)) for d in differing(one[i], other[i], f"{where}.{i}")]
    return [] if one == other else [where]


def children(parent: int) -> list[int]:
    """The child processes of `parent`, oldest first."""
    asked = subprocess.run(["ps", "-o", "pid=", "--ppid", str(parent)], capture_output=True, text=True)
    return sorted(int(word) for word in asked.stdout.split())


def wait_for(process: subprocess.Popen[str], ready: Callable[[], bool]) -> bool:
    """Wait until `ready`, or the process has ended; tells whether it still runs."""
    since = time.monotonic()
    while process.poll() is None and not ready() and time.monotonic() - since < HUNG:
        time.sleep(0.02)
    return process.poll() is None


def kills(site: Site, count: int, workers: int) -> Iterator[str]:
    """Kill at random moments, of starting and saving too, and resume, until `count` kills are spent."""
    draws = random.Random(workers)
    begun = time.monotonic()
    code, said = site.fit(f"timed-{workers}", f"data.workers={workers}")
    assert code == 0, said
    whole = time.monotonic() - begun
    spent = runs = 0
    while spent < count:
        run = f"killed-{workers}-{runs}"
        runs += 1
        in_this_run = 0
        while spent < count:
            begun = time.monotonic()
            process = site.start(run, f"data.workers={workers}", "resume=auto")
            try:
                process.wait(timeout=draws.uniform(0.0, whole))
                if not in_this_run:  # the machine has become faster, and kills must not come too late
                    whole = min(whole, time.monotonic() - begun)
                break  # it came to its end first
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                spent, in_this_run = spent + 1, in_this_run + 1
        code, said = site.fit(run, f"data.workers={workers}", "resume=auto")
        verdict = site.same(run) if code == 0 else f"exit code {code}: {said[-300:]}"
        if verdict:
            yield f"after {in_this_run} kills: {verdict}"
    yield f"={count} of {count} kills: final weights, best.ckpt and metrics.csv identical, in {runs} runs"


def worker_killed(site: Site) -> Iterator[str]:
    process = site.start("worker", "data.workers=2", f"trainer.max_steps={site.steps * 50}")
    if wait_for(process, lambda: site.checkpoint("worker").is_file()):
        os.kill(children(process.pid)[0], signal.SIGKILL)
    code, said = ended(process)
    if code != 2 or not re.search(
        r"error: a loader worker \(process \d+\): (was ended by a signal|died)", said
    ):
        yield f"exit code {code}: {said[-300:]}"
    yield (
        "=exit code 2, the worker named, last.ckpt there"
        if site.checkpoint("worker").is_file()
        else "no last.ckpt"
    )


def rank_killed(site: Site) -> Iterator[str]:
    process = site.start("rank", "trainer.devices=2", f"trainer.max_steps={site.steps * 50}")
    if wait_for(process, lambda: site.checkpoint("rank").is_file()):
        os.kill(children(process.pid)[1], signal.SIGKILL)
    code, said = ended(process)
    errors = re.findall(r"^error: .*", said, re.MULTILINE)
    if code != 1 or len(errors) != 1 or "process 1 of this run" not in errors[0]:
        yield f"exit code {code}: {said[-300:]}"
    step = torch.load(site.checkpoint("rank"), weights_only=True)["global_step"]
    code, said = site.fit("rank", "trainer.devices=2", "resume=auto", f"trainer.max_steps={step + 1}")
    yield (
        f"resumed: exit code {code}: {said[-300:]}" if code else "=exit code 1, its death told first; resumed"
    )


def disk_full(site: Site) -> Iterator[str]:
    import resource

    last = site.checkpoint("disk")
    process = site.start("disk", "resume=auto")
    if wait_for(process, last.is_file):
        process.send_signal(signal.SIGTERM)
    ended(process)
    before, limit = hashlib.sha256(last.read_bytes()).hexdigest(), last.stat().st_size // 2

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    code, said = site.fit("disk", "resume=auto", preexec_fn=limited)
    if code != 2 or "cannot be written" not in said or "Traceback" in said:
        yield f"exit code {code}: {said[-300:]}"
    if hashlib.sha256(last.read_bytes()).hexdigest() != before:
        yield "last.ckpt is another"
    code, said = site.fit("disk", "resume=auto")
    verdict = site.same("disk") if code == 0 else f"exit code {code}: {said[-300:]}"
    yield verdict or "=exit code 2, last.ckpt intact; resumed, final weights identical"


def truncated(site: Site) -> Iterator[str]:
    last = site.checkpoint("cut")

    def saved_twice() -> bool:
        # Just before a save replaces last.ckpt, it has an older one's name as well: one file under two names.
        with suppress(FileNotFoundError):
            return any(not old.samefile(last) for old in last.parent.glob("step-*.ckpt"))
        return False

    process = site.start("cut", "resume=auto")
    if wait_for(process, saved_twice):
        process.kill()
    process.communicate()
    last.write_bytes(last.read_bytes()[: -last.stat().st_size // 3])
    code, said = site.fit("cut", "resume=auto")
    if code or "is damaged" not in said:
        yield f"exit code {code}: {said[-600:]}"
    yield site.same("cut") or "=fell back to the one before, with a message; final weights identical"


def read_only(site: Site) -> Iterator[str]:
    closed = site.folder / "closed"
    closed.mkdir(mode=0o500)
    place = "/proc/closed" if os.geteuid() == 0 else str(closed)  # root may write anywhere but there
    code, said = site.fit("closed", f"runs={place}")
    fine = code == 2 and "cannot be written" in said and "Traceback" not in said
    yield "=exit code 2, one message" if fine else f"exit code {code}: {said[-300:]}"


def not_finite(site: Site) -> Iterator[str]:
    words = ["optimizer=adamw", "optimizer.lr=1e38", "optimizer.weight_decay=0", "schedule.warmup=0"]
    code, said = site.fit("nan", *words)
    saved = site.folder / "runs/nan/bad_batch.pt"
    fine = code == 2 and "not finite in 3 steps in a row" in said and saved.is_file()
    texts = torch.load(saved, weights_only=True)["texts"] if saved.is_file() else []
    yield (
        f"=exit code 2 after 3 skipped steps, batch of {len(texts)} lines saved"
        if fine
        else f"{code}: {said[-300:]}"
    )


def unreadable(site: Site) -> Iterator[str]:
    lines = site.folder / "damaged"
    shutil.copytree(site.folder / "lines", lines)
    images = sorted(lines.rglob("*.png"))
    for image in images[::20]:
        image.write_bytes(image.read_bytes()[:-40])
    count = len(images[::20])
    code, said = site.fit("few", f"data.train={lines}", f"data.max_skipped={count}")
    if code or f"{count} lines were left out because they could not be read" not in said:
        yield f"exit code {code}: {said[-300:]}"
    code, said = site.fit("many", f"data.train={lines}", "data.max_skipped=0")
    if code != 2 or "lines could not be read" not in said:
        yield f"exit code {code}: {said[-300:]}"
    yield f"=all {count} of {len(images)} named and left out; exit code 2 where fewer are allowed"


def in_validation(site: Site) -> Iterator[str]:
    words = [
        "trainer.validate_every_steps=1",
        "data.val=lines",
        f"trainer.max_steps={max(4, site.steps // 20)}",
    ]
    code, said = site.fit("calm", *words)
    assert code == 0, said
    process = site.start("term", *words, "resume=auto")
    if wait_for(process, lambda: len(site.rows("term")) >= 2):
        process.send_signal(signal.SIGTERM)  # there is hardly anything but validation
    code, said = ended(process)
    if code not in (0, 143) or "Traceback" in said:
        yield f"exit code {code}: {said[-300:]}"
    code, said = site.fit("term", *words, "resume=auto")
    yield (site.same("term", "calm") if code == 0 else said[-300:]) or "=exit code 143; resumed, identical"


@contextmanager
def site(quick: bool) -> Iterator[Site]:
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        folder = Path(name)
        for part, count in (("lines", 200), ("val", 20)):
            drawn = [
                "generate",
                f"output={part}",
                f"count={count}",
                f"seed={count}",
                "synthesis.fonts=[bundled]",
            ]
            command = [sys.executable, "-m", "ocrtrain", *drawn]
            subprocess.run(command, cwd=folder, check=True, capture_output=True)
        words = ["data.train=lines", "data.val=val", "checkpoint.every_n_steps=5", "data.batch_size=8"]
        if quick:
            yield Site(folder, [*words, *TINY, "trainer.validate_every_steps=10"], 30)
        else:
            yield Site(folder, [*words, "trainer.validate_every_steps=50"], 250)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small model, few steps, few kills")
    parser.add_argument("--kills", type=int, help="of each of the two killed runs (default 20, quick 4)")
    parser.add_argument("--only", nargs="*", help="names of the checks to run")
    options = parser.parse_args()
    count = options.kills or (4 if options.quick else 20)
    checks: dict[str, Callable[[Site], Iterator[str]]] = {
        "kill-0": lambda s: kills(s, count, 0),
        "kill-2": lambda s: kills(s, count, 2),
        "worker-killed": worker_killed,
        "rank-killed": rank_killed,
        "disk-full": disk_full,
        "truncated": truncated,
        "read-only": read_only,
        "nan-batch": not_finite,
        "unreadable": unreadable,
        "sigterm-in-validation": in_validation,
    }
    chosen = options.only or list(checks)
    if unknown := [name for name in chosen if name not in checks]:
        parser.error(f"no such check: {', '.join(unknown)}; there are {', '.join(checks)}")
    failures = 0
    with site(options.quick) as place:
        begun = time.monotonic()
        code, said = place.fit("whole")
        assert code == 0, said
        print(f"torch {torch.__version__}, a run of {time.monotonic() - begun:.0f} s, {place.steps} steps")
        print(f"{'fault':<24}{'as promised':<14}{'s':>6}  what came of it", flush=True)
        for name in chosen:
            begun = time.monotonic()
            outcomes = list(checks[name](place))
            wrong = [outcome for outcome in outcomes if not outcome.startswith("=")]
            failures += bool(wrong)
            told = "; ".join(wrong or [outcome[1:] for outcome in outcomes])
            seconds = time.monotonic() - begun
            print(f"{name:<24}{'NO' if wrong else 'yes':<14}{seconds:>6.0f}  {told}", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
