"""How many lines a second one core draws, by effect: python scripts/bench_synthesis.py [--lines N]

Warm-up first; then the median of the runs, in lines per second of CPU time and of wall time, which are the
same on an idle machine.
TextRecognitionDataGenerator (TRDG) is measured beside it where it is installed.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

from ocrtrain.synthesis import LineGenerator

PLAIN: dict[str, Any] = {"rotation_share": 0.0, "blur_share": 0.0, "noise_share": 0.0}
ALL: dict[str, Any] = {"rotation_share": 1.0, "blur_share": 1.0, "noise_share": 1.0}
SETS: dict[str, dict[str, Any]] = {
    "upright, sharp, clean": PLAIN,
    "rotation": {**PLAIN, "rotation_share": 1.0},
    "blur": {**PLAIN, "blur_share": 1.0},
    "noise": {**PLAIN, "noise_share": 1.0},
    "rotation, blur and noise on every line": ALL,
    "the same in grey": {**ALL, "channels": 1},
    "the same, 320 wide": {**ALL, "width": 320},
    "the same, height 48": {**ALL, "height": 48},
    "the defaults": {},
}


def measure(draw: Callable[[int], object], lines: int, runs: int) -> tuple[float, float]:
    """Return the median lines per second of CPU time and of wall time; every run draws other lines."""
    for i in range(lines):
        draw(i)
    rates = []
    for run in range(1, runs + 1):
        cpu, wall = time.process_time(), time.perf_counter()
        for i in range(run * lines, (run + 1) * lines):
            draw(i)
        rates.append((lines / (time.process_time() - cpu), lines / (time.perf_counter() - wall)))
    return statistics.median(rate for rate, _ in rates), statistics.median(rate for _, rate in rates)


def trdg_lines(texts: LineGenerator) -> Iterator[object] | None:
    """Draw the same texts with TRDG, turned and blurred as far as it goes; None where it is missing."""
    try:
        from trdg.generators import GeneratorFromStrings
    except ImportError:
        return None
    strings = [texts.text(0, 0, i) for i in range(1000)]
    options = {"skewing_angle": 5, "random_skew": True, "blur": 1, "random_blur": True, "size": 32}
    return iter(GeneratorFromStrings(strings, **options))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lines", type=int, default=2000)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()

    print(f"{'height 32, RGB, 3-10 characters':<42}{'lines/CPU s':>12}{'lines/s':>10}")
    for name, settings in SETS.items():
        generator = LineGenerator(**settings)
        rates = measure(lambda i, g=generator: g.line(0, 0, i), arguments.lines, arguments.runs)  # type: ignore[misc]
        print(f"{name:<42}{rates[0]:>12,.0f}{rates[1]:>10,.0f}", flush=True)
    generator = LineGenerator()
    for name, draw in {"the text alone": generator.text, "the width alone": generator.columns}.items():
        rates = measure(lambda i, d=draw: d(0, 0, i), arguments.lines, arguments.runs)  # type: ignore[misc]
        print(f"{name:<42}{rates[0]:>12,.0f}{rates[1]:>10,.0f}", flush=True)
    if (peer := trdg_lines(generator)) is not None:
        rates = measure(lambda _: next(peer), 100, arguments.runs)
        print(f"{'TRDG: rotation and blur':<42}{rates[0]:>12,.0f}{rates[1]:>10,.0f}")


if __name__ == "__main__":
    main()
