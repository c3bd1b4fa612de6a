"""A search on generated lines: are its settings better than the default ones, at equal time, on other seeds?

python scripts/bench_sweep.py [--minutes 3] [--trials 20] [--parallel 1] [--space training] [--seeds 1 2 3]
    [--settings WORDS]

Searches with seed 0; then trains the default settings and the best found with each of the seeds, one after
the other, for the time of a trial, and judges both on lines that none of them saw. The lines are drawn with
matplotlib's own fonts, so that they are the same on every machine; --settings are for all trainings. With
--folder, a search that was stopped goes on, and its pictures stay.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LINES = ["experiment=quickstart", "synthesis=portable"]
ROW = "{:<8}{:>10}{:>10}"


def ocrtrain(*words: str, shows: bool = False) -> None:
    """Run a command of ocrtrain; raises RuntimeError with what it said if it fails."""
    out = None if shows else subprocess.PIPE
    ended = subprocess.run(
        [sys.executable, "-m", "ocrtrain", *words], stdout=out, stderr=None if shows else subprocess.STDOUT
    )
    if ended.returncode:
        raise RuntimeError(f"{' '.join(words)}\n{(ended.stdout or b'').decode()[-3000:]}")


def cer_of(place: Path, name: str, seed: int, limit: str, *words: str) -> float:
    """Train with `words` and give the CER of the best checkpoint on the test lines."""
    run = place / f"{name}-{seed}"
    given = [limit, f"seed={seed}", f"runs={place}", f"run={run.name}", "overwrite=true"]
    ocrtrain("fit", *words, *given)
    ocrtrain(
        "evaluate", f"checkpoint={run}/checkpoints/best.ckpt", f"data.test={place}/test", f"output={run}"
    )
    return float(json.loads((run / "report.json").read_text("utf-8"))["cer"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", type=float, default=3.0, help="of each training")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--parallel", type=int, default=1)
    parser.add_argument("--space", default="training")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
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
        print(ROW.format("seed", "default", "found"), flush=True)
        rows = []
        for seed in options.seeds:
            rows.append(
                (cer_of(place, "default", seed, limit, *lines), cer_of(place, "found", seed, limit, *best))
            )
            print(ROW.format(seed, *(f"{cer:.2%}" for cer in rows[-1])), flush=True)
        means = [statistics.mean(cers) for cers in zip(*rows, strict=True)]
        print(ROW.format("mean", *(f"{mean:.2%}" for mean in means)))


if __name__ == "__main__":
    main()
