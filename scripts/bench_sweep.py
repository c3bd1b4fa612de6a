"""A search on generated lines: are its settings better than the default ones, at equal time, on other seeds?

python scripts/bench_sweep.py [--minutes 3] [--trials 20] [--parallel 1] [--space training] [--seeds 11 12 13]
    [--settings WORDS] [--folder DIR]

Searches with seed 0, repeats the best with seeds 1 and 2, as sweep does; then trains the default settings and
the best found with each of the seeds given, as many side by side as in the search, for the time of a trial,
and judges both on lines that none of them saw. The lines are drawn with matplotlib's own fonts, so that they
are the same on every machine; --settings are for all trainings. With --folder, a search that was stopped goes
on, and its pictures stay.
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
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ocrtrain.sweep.search import environment_of

LINES = ["experiment=quickstart", "synthesis=portable"]
ROW = "{:<8}{:>10}{:>10}"


def ocrtrain(*words: str, shows: bool = False, environment: Mapping[str, str] = {}) -> None:
    """Run a command of ocrtrain; raises RuntimeError with what it said if it fails."""
    out, errors = (None, None) if shows else (subprocess.PIPE, subprocess.STDOUT)
    command, own = [sys.executable, "-m", "ocrtrain", *words], {**os.environ, **environment}
    ended = subprocess.run(command, stdout=out, stderr=errors, env=own)
    if ended.returncode:
        raise RuntimeError(f"{' '.join(words)}\n{(ended.stdout or b'').decode()[-3000:]}")


def cer_of(run: Path, seed: int, environment: Mapping[str, str], *words: str) -> float:
    """Train with `words` and give the CER of the best checkpoint on the test lines beside its run."""
    given = [f"seed={seed}", f"runs={run.parent}", f"run={run.name}", "overwrite=true"]
    ocrtrain("fit", *words, *given, environment=environment)
    judged = [f"checkpoint={run}/checkpoints/best.ckpt", f"data.test={run.parent}/test", f"output={run}"]
    ocrtrain("evaluate", *judged, environment=environment)
    return float(json.loads((run / "report.json").read_text("utf-8"))["cer"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", type=float, default=3.0, help="of each training")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--parallel", type=int, default=1)
    parser.add_argument("--space", default="training")
    parser.add_argument("--seeds", type=int, nargs="+", default=[11, 12, 13], help="not 0, 1, 2")
    parser.add_argument("--test-lines", type=int, default=2000)
    parser.add_argument("--settings", nargs="*", default=[], help="more of them, for all trainings")
    parser.add_argument("--folder", type=Path, help="where to keep everything; else it is removed")
    options = parser.parse_args()
    limit = time.strftime("trainer.max_time=00:%H:%M:%S", time.gmtime(round(60 * options.minutes)))
    with tempfile.TemporaryDirectory(prefix="bench-") as temporary:
        place = (options.folder or Path(temporary)).absolute()
        search = [f"space={options.space}", f"trials={options.trials}", f"parallel={options.parallel}"]
        started = time.monotonic()
        lines = [*LINES, *options.settings]
        ocrtrain("sweep", *search, *lines, limit, f"runs={place}", "run=search", shows=True)
        print(f"\n{options.trials} trials in {(time.monotonic() - started) / 60:.0f} minutes\n")
        drawn = [f"output={place}/test", f"count={options.test_lines}", "seed=987654321"]
        drawing = [word for word in lines if word.startswith("synthesis")]
        ocrtrain("generate", *drawing, *drawn)
        best = ["--config-dir", f"{place}/search/conf", "experiment=best"]
        ways = {"default": lines, "found": best}
        runs = [(way, seed) for seed in options.seeds for way in ways]
        environment = environment_of(None, options.parallel)(0)
        print(ROW.format("seed", *ways), flush=True)
        with ThreadPoolExecutor(options.parallel) as pool:
            cers = list(
                pool.map(
                    lambda r: cer_of(place / f"{r[0]}-{r[1]}", r[1], environment, *ways[r[0]], limit), runs
                )
            )
        rows = list(zip(cers[::2], cers[1::2], strict=True))
        for seed, row in zip(options.seeds, rows, strict=True):
            print(ROW.format(seed, *(f"{cer:.2%}" for cer in row)), flush=True)
        means = [statistics.mean(cers) for cers in zip(*rows, strict=True)]
        print(ROW.format("mean", *(f"{mean:.2%}" for mean in means)))


if __name__ == "__main__":
    main()
