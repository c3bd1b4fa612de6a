"""Judging a checkpoint from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import jiwer
import pytest

from ocrtrain import Recognizer

Command = Callable[..., CompletedProcess[str]]


@pytest.fixture
def best(trained: Path) -> Path:
    return trained / "runs/tiny/checkpoints/best.ckpt"


def test_the_figures_are_those_of_what_is_read(command: Command, best: Path, trained: Path) -> None:
    ended = command("evaluate", f"checkpoint={best}", f"data.test={trained / 'lines'}", "output=judged")
    assert ended.returncode == 0
    report = json.loads(Path("judged/report.json").read_text("utf-8"))

    images = sorted((trained / "lines").glob("*.png"))
    truths = [path.with_suffix(".gt.txt").read_text("utf-8").rstrip("\n") for path in images]
    read = [transcript.text for transcript in Recognizer.load(best).read(images)]
    assert report["cer"] == pytest.approx(jiwer.cer(truths, read))
    assert report["line_accuracy"] == sum(a == b for a, b in zip(truths, read, strict=True)) / 12
    assert report["lines"] == 12 and report["characters"] == sum(map(len, truths))
    assert 0 <= report["cer_interval"][0] <= report["cer"] <= report["cer_interval"][1]
    assert {"wer", "worst", "version", "mean_confidence"} <= report.keys()
    for line in report["worst"]:
        i = [path.name for path in images].index(line["source"])
        assert (line["truth"], line["prediction"]) == (truths[i], read[i])
    assert "CER" in ended.stdout and "WER" in ended.stdout
    assert "report: judged/report.json" in ended.stderr


def test_the_report_lies_beside_the_checkpoint(
    command: Command, best: Path, draw_lines: Callable[..., Path], tmp_path: Path
) -> None:
    draw_lines(tmp_path / "test", count=2, seed=9)
    (tmp_path / "best.ckpt").write_bytes(best.read_bytes())
    # A character that the recognizer has never seen is an error like any other.
    (tmp_path / "test/01.gt.txt").write_text("Ω")
    assert command("evaluate", "checkpoint=best.ckpt", "data.test=test").returncode == 0
    report = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert report["lines"] == 2 and "Ω" in [line["truth"] for line in report["worst"]]


def test_damaged_lines_are_left_out_only_when_allowed(
    command: Command, best: Path, draw_lines: Callable[..., Path], tmp_path: Path
) -> None:
    draw_lines(tmp_path / "test", count=4)
    image = tmp_path / "test/02.png"
    image.write_bytes(image.read_bytes()[:-40])
    (tmp_path / "test/03.gt.txt").unlink()
    words = [f"checkpoint={best}", "data.test=test", "output=judged"]
    assert "03.png" in refused(command("evaluate", *words))
    assert "02.png" in refused(command("evaluate", *words, "data.max_skipped=1"))
    assert not (tmp_path / "judged").exists()
    ended = command("evaluate", *words, "data.max_skipped=2")
    assert ended.returncode == 0 and "02.png" in ended.stderr and "03.png" in ended.stderr
    assert json.loads((tmp_path / "judged/report.json").read_text())["lines"] == 2


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["checkpoint=nowhere.ckpt", "data.test=test"], "checkpoint=nowhere.ckpt: does not exist"),
        (["checkpoint=test/00.png", "data.test=test"], "checkpoint=test/00.png: "),
        (["checkpoint=BEST", "data.test=nowhere"], "nowhere: does not exist"),
        (["checkpoint=BEST", "data.tset=test"], "data.tset: no such setting"),
        (["checkpoint=BEST"], "data.test: must be given"),
    ],
)
def test_what_is_wrong_is_named(
    words: list[str],
    named: str,
    command: Command,
    best: Path,
    draw_lines: Callable[..., Path],
    tmp_path: Path,
) -> None:
    draw_lines(tmp_path / "test", count=2)
    ended = command("evaluate", *(word.replace("BEST", str(best)) for word in words), "output=judged")
    assert named in refused(ended)
    assert not (tmp_path / "judged").exists()


def refused(ended: CompletedProcess[str]) -> str:
    assert ended.returncode == 2 and ended.stdout == "" and "Traceback" not in ended.stderr
    return ended.stderr
