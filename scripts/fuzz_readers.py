"""Feeds damaged and hostile files to every reader of the package, and tells what no user should ever see.

A case is one whole file of one kind (a checkpoint, a table, a page, a language model, ...), mutated: bits,
holes, cuts, hostile words, or fields that are changed and written with checksums that fit. Reading it must
end in an InputError, or in what the file says. Findings are: a process that dies, one that hangs, an error
of any other kind (the user would see a traceback), more memory than --memory, code that a file has run, and
damage to a file with a digest or checksum in it that is read as if the file were whole.

Prints a table with a row for each kind, then each finding with the command that repeats it. Exit code 1 if
there are any.

    python scripts/fuzz_readers.py                                  # 10,000 cases, 6 minutes of one core
    python scripts/fuzz_readers.py --count 500 --kinds 'lm npz' page
    python scripts/fuzz_readers.py --seed 7 --only 1234 --keep DIR  # one case; its file is left in DIR
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
WARM = 300.0  # seconds that the first reading of a kind may take: imports, compiled code


def main() -> int:
    options = arguments()
    if options.worker:
        from fuzz.worker import work

        work(options.worker)
        return 0
    from fuzz.cases import NAMES, available, draws, make

    if unknown := [name for name in options.kinds or () if name not in NAMES]:
        print(f"no such kind: {', '.join(unknown)}; there are {', '.join(NAMES)}", file=sys.stderr)
        return 2
    chosen = [name for name in options.kinds or NAMES if available(name)]
    lacking = [name for name in options.kinds or NAMES if name not in chosen]
    if options.only is not None:
        cases = options.only
    else:
        fitting = (i for i in itertools.count() if draws(options.seed, i)[0] in chosen)
        cases = list(itertools.islice(fitting, options.count)) if chosen else []
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as place:
        seeds = (options.seeds or Path(place, "seeds")).absolute()
        needed = sorted({draws(options.seed, i)[0] for i in cases}, key=NAMES.index)
        os.environ["OCRTRAIN_CACHE"] = str(Path(place, "cache"))
        for name in needed if options.jobs > 1 else ():  # one worker makes them itself
            make(seeds, name)
        results = list(run(options, Path(place), seeds, cases))
    took, computed = time.monotonic() - began, ""
    with contextlib.suppress(ImportError):
        import resource

        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        computed = f" ({used.ru_utime + used.ru_stime:.0f} s of computing)"
    print(f"seed {options.seed}: {len(results)} cases in {took:.0f} s{computed}, {options.jobs} at a time")
    if lacking:
        print(f"without {', '.join(lacking)}, whose packages are not installed")
    print_table(results)
    if options.json:
        found = [result for result in results if result["state"] == "finding"]
        options.json.write_text(json.dumps(found, indent=1))
    return print_findings(results, options.seed)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000, help="cases (default 10,000)")
    parser.add_argument("--seed", type=int, default=0, help="of the mutations (default 0)")
    parser.add_argument("--kinds", nargs="+", help="of files; by default all whose packages are there")
    parser.add_argument("--only", type=int, nargs="+", metavar="INDEX", help="these cases alone")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave the files of all cases in DIR/INDEX")
    parser.add_argument("--findings", type=Path, metavar="DIR", help="leave those of findings in DIR/INDEX")
    parser.add_argument("--seeds", type=Path, metavar="DIR", help="make the whole files there, or take them")
    parser.add_argument("--jobs", type=int, default=1, help="processes at a time (default 1)")
    parser.add_argument("--seconds", type=float, help="stop after so many")
    parser.add_argument("--limit", type=float, default=30.0, help="seconds for one case (default 30)")
    parser.add_argument("--memory", type=float, default=3.0, help="GiB for one case (default 3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every finding there")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


class Worker:
    """A process that does some cases, and another one after it where a case ends it."""

    def __init__(self, options: argparse.Namespace, place: Path, seeds: Path, cases: Sequence[int]) -> None:
        self.options, self.place, self.seeds = options, place, seeds
        self.left = list(cases)
        self.slow: set[int] = set()  # cases that hang, of which the second time counts
        self.last: dict[str, Any] = {}
        self.heard = time.monotonic()
        self.start()

    def start(self) -> None:
        self.place.mkdir(parents=True, exist_ok=True)
        self.journal, self.stderr = self.place / "journal", self.place / "stderr"
        for file in (self.journal, self.stderr):
            file.write_text("")
        absolute = {name: str(path.absolute()) if path else None for name, path in self._places().items()}
        given = {"seed": self.options.seed, "memory": self.options.memory, "parent": os.getpid()}
        order = {"cases": self.left, **given, **absolute}
        (self.place / "order").write_text(json.dumps(order))
        command = [sys.executable, __file__, "--worker", str(self.place / "order")]
        paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        own = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths, "HF_HUB_OFFLINE": "1"}
        with open(self.stderr, "a") as errors:
            self.process = subprocess.Popen(command, stdout=errors, stderr=errors, env=own, process_group=0)
        self.read = open(self.journal)  # noqa: SIM115 - read for as long as the process lives
        self.heard, self.last, self.begun = time.monotonic(), {"state": "warm", "kind": "none"}, ""

    def _places(self) -> dict[str, Path | None]:
        folder = self.place / "cases"
        names = {"seeds": self.seeds, "folder": folder, "journal": self.journal, "stderr": self.stderr}
        return {**names, "keep": self.options.keep, "findings": self.options.findings}

    def news(self) -> Iterator[dict[str, Any]]:
        """Give the cases that have ended since the last call; start again where one ended the process."""
        ended = self.process.poll()
        while line := self.read.readline():
            self.begun += line
            if not line.endswith("\n"):  # the rest of it is still being written
                break
            self.last, self.heard, self.begun = json.loads(self.begun), time.monotonic(), ""
            if self.last["state"] not in ("warm", "begin"):
                self.left.remove(self.last["case"])
                yield self.last
        limit = self.options.limit if self.last["state"] == "begin" else WARM
        hangs = ended is None and time.monotonic() - self.heard > limit
        if hangs:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        if not hangs and (ended is None or not self.left):
            return
        if self.last["state"] != "begin":
            what = "took too long" if hangs else f"ended with {ended}"
            raise SystemExit(f"a worker {what} at {self.last}:\n{self.stderr.read_text()[-4000:]}")
        if hangs and self.last["case"] not in self.slow:  # it may have compiled what no case did before
            self.slow.add(self.last["case"])
            self.start()
            return
        errors = self.stderr.read_text(errors="replace")
        said = f"hangs: more than {limit:.0f} s" if hangs else f"dies: {dying(ended or 0, errors)}"
        self.left.remove(self.last["case"])
        yield {**self.last, "state": "finding", "said": said, "trace": errors[-3000:], "seconds": limit}
        self.start()

    def stop(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def dying(code: int, errors: str) -> str:
    """Name a signal, and the package's innermost line, from what Python's fault handler wrote."""
    name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    own = [line.rpartition("/ocrtrain/")[2] for line in errors.splitlines() if "/ocrtrain/" in line]
    return f"{name} {own[0] if own else errors.strip()[-100:]}"


def run(
    options: argparse.Namespace, place: Path, seeds: Path, cases: Sequence[int]
) -> Iterator[dict[str, Any]]:
    """Do the cases; gives what came of each."""
    parts = [cases[number :: options.jobs] for number in range(options.jobs)]
    workers = [Worker(options, place / f"{n}", seeds, part) for n, part in enumerate(parts) if part]
    began, count, told = time.monotonic(), 0, time.monotonic()
    try:
        while any(worker.left for worker in workers):
            time.sleep(0.05)
            for worker in workers:
                for result in worker.news():
                    count += 1
                    yield result
            if time.monotonic() - told > 30:
                told = time.monotonic()
                print(f"  {count} of {len(cases)} after {told - began:.0f} s", file=sys.stderr, flush=True)
            if options.seconds is not None and time.monotonic() - began > options.seconds:
                return
    finally:
        for worker in workers:
            worker.stop()


def print_table(results: Sequence[dict[str, Any]]) -> None:
    from fuzz.cases import NAMES

    states = ("refused", "equal", "otherwise", "finding")
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    seconds: Counter[str] = Counter()
    for result in results:
        counts[result["kind"]][result["state"]] += 1
        seconds[result["kind"]] += result["seconds"]
    heads = ("cases", "refused", "as whole", "otherwise", "findings", "ms")
    print(f"\n{'kind':<20}" + "".join(f"{head:>11}" for head in heads))
    rows = {name: counts[name] for name in NAMES if name in counts}
    seconds["all"] = sum(seconds.values())
    for name, row in {**rows, "all": sum(rows.values(), Counter())}.items():
        cells = (row.total(), *(row[state] for state in states), round(1000 * seconds[name] / row.total()))
        print(f"{name:<20}" + "".join(f"{cell:>11}" for cell in cells))


def print_findings(results: Sequence[dict[str, Any]], seed: int) -> int:
    """Print each finding once, with the first case that shows it; returns the exit code."""
    alike: defaultdict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for result in results:
        if result["state"] == "finding":
            alike[result["kind"].split()[0], result["said"].partition(": ")[0]].append(result)
    for found in sorted(alike.values(), key=lambda found: found[0]["kind"]):
        one = min(found, key=lambda result: result["case"])
        print(f"\n{one['kind']} ({len(found)}): {one['said']}")
        print(f"    {one['file']}: {one['what']}")
        print(f"    python scripts/fuzz_readers.py --seed {seed} --only {one['case']} --keep DIR")
    return 1 if alike else 0


if __name__ == "__main__":
    sys.exit(main())
