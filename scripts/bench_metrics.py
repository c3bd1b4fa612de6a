"""The time of CER and WER, beside jiwer's, and of the whole judgement of as many lines.

    python scripts/bench_metrics.py [--lines 1000000]

The lines are made from a fixed seed: 10 to 70 characters in words, half of them read with one to four errors.
Our figure is the median of the runs, the slower ones run once, all in one thread; on a busy machine only the
time of the CPU says something. jiwer counts characters and words as it does by default, except that it is
told not to strip the ends of lines, so that the figures can be compared.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable
from typing import Any

import jiwer
from jiwer.transforms import ReduceToListOfListOfChars

from ocrtrain.evaluation import EditCounts, Prediction, count_edits, evaluate_lines
from ocrtrain.evaluation.report.as_json import as_report

LETTERS = "etaoinsrhldcumfpgwybvkxjqzäöüſETAOINS"


def make_pairs(lines: int, seed: int = 0) -> tuple[list[str], list[str]]:
    """Draw truths, and readings of which half have errors."""
    draws = random.Random(seed)
    words = ["".join(draws.choices(LETTERS, k=draws.randint(1, 11))) for _ in range(20_000)]
    truths = [" ".join(draws.choices(words, k=draws.randint(2, 10))) for _ in range(lines)]
    return truths, [misread(truth, draws) if draws.random() < 0.5 else truth for truth in truths]


def misread(text: str, draws: random.Random) -> str:
    """Change, drop or add one to four characters."""
    characters = list(text)
    for _ in range(draws.randint(1, 4)):
        i, kind = draws.randrange(len(characters)), draws.random()
        other = draws.choice(LETTERS)
        characters[i] = other if kind < 0.6 else "" if kind < 0.8 else characters[i] + other
    return "".join(characters)


def ours(truths: list[str], reads: list[str]) -> tuple[float, float]:
    counts: EditCounts = count_edits(truths, reads)
    return counts.cer, counts.wer


def by_jiwer(truths: list[str], reads: list[str]) -> tuple[float, float]:
    characters = ReduceToListOfListOfChars()
    cer = jiwer.process_characters(truths, reads, characters, characters).cer
    return cer, jiwer.process_words(truths, reads).wer


def everything(truths: list[str], reads: list[str]) -> tuple[float, float]:
    """Judge as `evaluate predictions=` does, without reading and writing files."""
    names = [f"{i % 7}/{i}" for i in range(len(truths))]
    readings = [Prediction(text, (i % 1000) / 1000) for i, text in enumerate(reads)]
    report: dict[str, Any] = as_report(evaluate_lines(names, truths, readings))
    return report["cer"], report["wer"]


def timed(
    what: Callable[..., tuple[float, float]], runs: int, *sides: list[str]
) -> tuple[float, float, tuple[float, float]]:
    what(*(side[:5000] for side in sides))  # warm up
    walls, processor = [], []
    for _ in range(runs):
        wall, cpu = time.perf_counter(), time.process_time()
        found = what(*sides)
        walls.append(time.perf_counter() - wall)
        processor.append(time.process_time() - cpu)
    return statistics.median(walls), statistics.median(processor), found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    sides = make_pairs(options.lines)
    print(f"{options.lines:,} line pairs, {sum(map(len, sides[0])):,} characters")
    print(f"{'':<28}{'seconds':>9}{'of CPU':>9}{'CER':>10}{'WER':>10}")
    rows = {"CER and WER": ours, "CER and WER by jiwer": by_jiwer, "every figure of the report": everything}
    for name, what in rows.items():
        wall, cpu, (cer, wer) = timed(what, options.runs if what is ours else 1, *sides)
        print(f"{name:<28}{wall:>9.2f}{cpu:>9.2f}{cer:>10.4%}{wer:>10.4%}", flush=True)


if __name__ == "__main__":
    main()
