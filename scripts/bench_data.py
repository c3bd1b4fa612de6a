"""How fast lines are made: python scripts/bench_data.py drawing [--lines N] [--trdg PYTHON]

Prints one table: presets of `synthesis`, as they are and with every effect on every line. Warm-up first, in
which the letters of the fonts get drawn; then the median of the runs, in lines per second of CPU time and of
wall time, which are the same on an idle machine. The words are random strings of 3 to 10 characters, and, for
some presets, sentences of 40 to 60.

--trdg names the Python of an environment with TextRecognitionDataGenerator 1.8.0 and Pillow below 10: it
draws the same strings in the same fonts at the same height, turned by up to 5 degrees, blurred by up to 1
pixel, on its noisy background, in turns with ocrtrain.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hydra

from ocrtrain.command_line.presets import built_in
from ocrtrain.synthesis import LineGenerator

TRDG = """
import json, sys, time
from trdg.generators import GeneratorFromStrings
job = json.load(open(sys.argv[1]))
lines = GeneratorFromStrings(
    job["texts"], fonts=job["fonts"], size=32, skewing_angle=5, random_skew=True, blur=1, random_blur=True,
    background_type=0,
)
for _ in range(job["lines"]):
    next(lines)
print("ready", flush=True)
for _ in sys.stdin:
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(job["lines"]):
        next(lines)
    print(time.process_time() - cpu, time.perf_counter() - wall, flush=True)
"""

Rates = tuple[float, float]


def generator(preset: str, *settings: str) -> LineGenerator:
    """Build the generator of a preset, in grey and of height 32 unless `settings` say otherwise."""
    with hydra.initialize_config_dir(str(built_in()), version_base="1.3"):
        words = [f"synthesis={preset}", "output=none", "synthesis.channels=1", "synthesis.height=32"]
        # The same letters on every machine, and script fonts or none.
        config = hydra.compose("generate", [*words, "synthesis.only_fonts=null", *settings])
    built: LineGenerator = hydra.utils.instantiate(config.synthesis, _convert_="all")
    return built


def all_on(preset: str) -> list[str]:
    """Set every share of a preset to one."""
    names = generator(preset).effects.steps
    return [f"synthesis.effects.{name}.share=1" for name in names] + ["synthesis.rotation_share=1"]


def rate(draw: Callable[[int], object], first: int, lines: int) -> Rates:
    """Measure lines per second of CPU time and of wall time."""
    cpu, wall = time.process_time(), time.perf_counter()
    for i in range(first, first + lines):
        draw(i)
    return lines / (time.process_time() - cpu), lines / (time.perf_counter() - wall)


def measure(lines_of: LineGenerator, lines: int, runs: int) -> Rates:
    """Give the medians over `runs`; every run draws other lines."""

    def draw(index: int) -> object:
        return lines_of.line(0, 0, index)

    rate(draw, 10**6, 8 * lines)
    return medians([rate(draw, run * lines, lines) for run in range(runs)])


def medians(rates: list[Rates]) -> Rates:
    """Take the median of each of the two."""
    cpu, wall = zip(*rates, strict=True)
    return statistics.median(cpu), statistics.median(wall)


def row(name: str, rates: Rates) -> None:
    print(f"{name:<62}{rates[0]:>12,.0f}{rates[1]:>10,.0f}", flush=True)


def sentences(folder: Path) -> Path:
    """Write a file of sentences of 40 to 60 characters."""
    draws, texts = random.Random(0), []
    for _ in range(500):
        text = ""
        while len(text) < 40:
            text += "".join(draws.choices("etaoinshrdlucmfwypvbgkqjxz", k=draws.randint(1, 9))) + " "
        texts.append(text.strip().capitalize() + ".")
    path = folder / "sentences.txt"
    path.write_text("\n".join(texts), encoding="utf-8")
    return path


def compare_with_trdg(python: str, folder: Path, lines: int, runs: int) -> None:
    """Draw in turns with TRDG, all effects of the original recipe on every line."""
    # TRDG's lines are in colour.
    ours = generator("original", *all_on("original"), "synthesis.channels=3")
    count = max(50, lines // 10)
    job = {
        "texts": [ours.text(0, 0, i) for i in range(1000)],
        "fonts": sorted({font.path for font in ours.fonts}),
        "lines": count,
    }
    (folder / "job.json").write_text(json.dumps(job))
    (folder / "peer.py").write_text(TRDG)
    command = [python, str(folder / "peer.py"), str(folder / "job.json")]
    rate(lambda i: ours.line(1, 0, i), 10**6, 8 * lines)
    mine: list[Rates] = []
    theirs: list[Rates] = []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as peer:
        assert peer.stdin is not None and peer.stdout is not None
        for said in peer.stdout:  # TRDG says how many fonts it misses, and the like
            if said == "ready\n":
                break
        else:
            sys.exit(f"{python} cannot draw with TRDG: see above")
        for run in range(runs):
            mine.append(rate(lambda i: ours.line(0, 0, i), run * lines, lines))
            print(file=peer.stdin, flush=True)
            cpu, wall = map(float, peer.stdout.readline().split())
            theirs.append((count / cpu, count / wall))
        peer.stdin.close()
    row("original, all effects on every line, RGB", medians(mine))
    row("TRDG 1.8.0, turned, blurred, on noise", medians(theirs))
    ratios = [(a / b, c / d) for (a, c), (b, d) in zip(mine, theirs, strict=True)]
    print(f"{'times as many, median of the runs':<62}{medians(ratios)[0]:>12.1f}{medians(ratios)[1]:>10.1f}")


def drawing(arguments: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(f"{'grey, height 32 unless it says otherwise':<62}{'lines/CPU s':>12}{'lines/s':>10}")
        long = [f"synthesis.words={sentences(folder)}", "synthesis.charset=null"]
        rows: list[tuple[str, str, list[str]]] = [
            ("original", "original", []),
            ("original, RGB", "original", ["synthesis.channels=3"]),
            ("original, all effects on every line", "original", all_on("original")),
        ]
        for preset in ("clean", "scan", "typewriter", "photo", "handwriting"):
            rows.append((preset, preset, []))
            if preset != "clean":
                rows.append((f"{preset}, all effects on every line", preset, all_on(preset)))
        rows += [("scan, height 40, all effects", "scan", [*all_on("scan"), "synthesis.height=40"])]
        rows += [
            (f"{preset}, 40 to 60 characters", preset, long) for preset in ("original", "scan", "typewriter")
        ]
        rows += [("scan, 40 to 60 characters, all effects", "scan", [*long, *all_on("scan")])]
        for title, preset, settings in rows:
            if not arguments.only or any(word in title for word in arguments.only):
                row(title, measure(generator(preset, *settings), arguments.lines, arguments.runs))
        if arguments.trdg:
            compare_with_trdg(arguments.trdg, folder, arguments.lines, arguments.runs)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands: Any = parser.add_subparsers(required=True)
    command = commands.add_parser("drawing", help="generated lines")
    command.add_argument("--lines", type=int, default=1000, help="in a run")
    command.add_argument("--runs", type=int, default=5)
    command.add_argument("--trdg", metavar="PYTHON", help="of an environment with TRDG 1.8.0 and Pillow < 10")
    command.add_argument("--only", nargs="*", metavar="WORD", help="rows with one of these in their names")
    command.set_defaults(run=drawing)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
