"""Judging a checkpoint from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import jiwer
import pytest

from ocrtrain import Recognizer
from ocrtrain.checkpoint.calibration import Calibration

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
    # A space at an end counts, which jiwer strips unless it is told not to.
    characters = jiwer.Compose([jiwer.ReduceToListOfListOfChars()])
    assert report["cer"] == pytest.approx(jiwer.cer(truths, read, characters, characters))
    assert report["line_accuracy"] == sum(a == b for a, b in zip(truths, read, strict=True)) / 12
    assert report["lines"] == 12 and report["characters"] == sum(map(len, truths))
    assert 0 <= report["cer_interval"][0] <= report["cer"] <= report["cer_interval"][1]
    assert {"wer", "worst", "version", "mean_confidence"} <= report.keys()
    for line in report["worst"]:
        i = [path.name for path in images].index(line["source"])
        assert (line["truth"], line["prediction"]) == (truths[i], read[i])
    assert "CER" in ended.stdout and "WER" in ended.stdout
    assert "report: judged/report.json" in ended.stderr and "judged/report.html" in ended.stderr
    page = Path("judged/report.html").read_text("utf-8")
    assert page.count("data:image/") == 12 and sorted(p.name for p in Path("judged").iterdir()) == [
        "report.html",
        "report.json",
    ]


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
        ([], "checkpoint: must be given, or predictions"),
        (["predictions=a.tsv"], "predictions=a.tsv: has no column truth"),
        (["predictions=nowhere.tsv"], "predictions=nowhere.tsv: does not exist"),
        (["predictions=a.tsv", "truth=test", "data.test=test"], "truth: is given beside data.test"),
        (["predictions=a.tsv", "truth=t.tsv"], "2 x line of truth=t.tsv without a prediction: 00, 01"),
        (["checkpoint=BEST,BEST", "data.test=test", "adapter=a"], "adapter: belongs to one checkpoint"),
        (["checkpoint=BEST", "data.test=test", "store=true"], "store=true: keeps what calibrate=DIR fits"),
        (["checkpoint=BEST", "data.test=test", "calibrate=test"], "calibrate=test: has lines of data.test"),
        (["checkpoint=BEST", "data.test=test", "calibrate=nowhere"], "nowhere: does not exist"),
        (["checkpoint=BEST", "data.test=test", "gallery=-1"], "gallery=-1: must be 0 or a positive integer"),
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
    (tmp_path / "a.tsv").write_text("id\tprediction\nx\ta\n")
    (tmp_path / "t.tsv").write_text("id\ttruth\n00\ta\n01\tb\n")
    ended = command("evaluate", *(word.replace("BEST", str(best)) for word in words), "output=judged")
    assert named in refused(ended)
    assert not (tmp_path / "judged").exists()


def test_two_checkpoints_are_compared_on_the_same_lines(
    command: Command, best: Path, trained: Path, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other/best.ckpt").write_bytes((trained / "runs/tiny/checkpoints/last.ckpt").read_bytes())
    words = [f"data.test={trained / 'lines'}", "output=judged"]
    plain = command("evaluate", f"checkpoint={best},other/best.ckpt", *words)
    assert plain.returncode == 0, plain.stderr
    found = json.loads(Path("judged/comparison.json").read_text("utf-8"))
    assert command("evaluate", f"checkpoint=[{best},other/best.ckpt]", *words).stdout == plain.stdout
    assert json.loads(Path("judged/comparison.json").read_text("utf-8")) == found
    for reader in found["readers"]:
        path = next(p for p in (best, Path("other/best.ckpt")) if str(p).startswith(reader["name"][:5]))
        assert command("evaluate", f"checkpoint={path}", *words).returncode == 0
        assert json.loads(Path("judged/report.json").read_text("utf-8"))["cer"] == reader["cer"]
    (pair,) = found["comparisons"]
    rates = {reader["name"]: reader["cer"] for reader in found["readers"]}
    assert pair["cer"]["difference"] == pytest.approx(rates[pair["second"]] - rates[pair["first"]])
    assert pair["cer"]["difference"] <= 0 <= pair["cer"]["probability"] <= 1
    assert "against" in plain.stdout and Path("judged/comparison.html").is_file()


def test_any_engine_is_judged_by_the_same_ruler(
    command: Command, best: Path, trained: Path, tmp_path: Path
) -> None:
    test = trained / "lines"
    assert command("evaluate", f"checkpoint={best}", f"data.test={test}", "output=own").returncode == 0
    assert command("predict", f"checkpoint={best}", f"input={test}", "output=read.tsv").returncode == 0
    ended = command("evaluate", "predictions=read.tsv", f"truth={test}", "output=engine")
    assert ended.returncode == 0, ended.stderr
    own, engine = (json.loads(Path(f, "report.json").read_text("utf-8")) for f in ("own", "engine"))
    for key in ("cer", "cer_interval", "wer", "line_accuracy", "variants", "groups", "confusions", "spaces"):
        assert engine[key] == own[key], key
    assert engine["mean_confidence"] == pytest.approx(own["mean_confidence"], abs=1e-4)
    assert Path("engine/report.html").read_text("utf-8").count("data:image/") == 12

    # A checkpoint beside an engine, on the lines of one data set.
    ended = command(
        "evaluate", f"checkpoint={best}", "predictions=read.tsv", f"data.test={test}", "output=both"
    )
    assert ended.returncode == 0 and "as good" in ended.stdout


def test_a_file_with_truths_is_all_it_takes(command: Command, tmp_path: Path) -> None:
    (tmp_path / "engine.tsv").write_text("id\ttruth\tprediction\n1\tein Weg\tein Wag\n2\tja\tja\n")
    ended = command("evaluate", "predictions=engine.tsv")
    assert ended.returncode == 0, ended.stderr
    report = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert (report["cer"], report["confidence"], report["name"]) == (pytest.approx(1 / 9), None, "engine.tsv")
    rows = [{"id": str(i), "truth": t, "prediction": t} for i, t in ((2, "ja"), (1, "ein Weg"))]
    (tmp_path / "other.jsonl").write_text("\n".join(map(json.dumps, rows)))
    ended = command("evaluate", "predictions=engine.tsv,other.jsonl")
    assert ended.returncode == 0 and "other.jsonl against engine.tsv: CER -11.11 points" in ended.stdout


def test_lines_without_a_prediction_are_left_out_only_when_allowed(command: Command, tmp_path: Path) -> None:
    (tmp_path / "truth.tsv").write_text("id\ttruth\n1\tab\n2\tcd\n3\tef\n")
    (tmp_path / "engine.tsv").write_text("id\tprediction\n1\tab\n4\txx\n3\tex\n")
    words = ["predictions=engine.tsv", "truth=truth.tsv", "output=judged"]
    said = refused(command("evaluate", *words))
    assert "1 x line of truth=truth.tsv without a prediction: 2" in said
    assert "1 x prediction of no such line: 4" in said and not (tmp_path / "judged").exists()
    ended = command("evaluate", *words, "data.max_skipped=2")
    assert ended.returncode == 0 and "left out" in ended.stderr
    report = json.loads((tmp_path / "judged/report.json").read_text("utf-8"))
    assert (report["lines"], report["cer"]) == (2, 0.25)


def test_a_calibration_is_fitted_to_other_lines_and_stored(
    command: Command, best: Path, draw_lines: Callable[..., Path], tmp_path: Path
) -> None:
    test, val = draw_lines(tmp_path / "test", count=20, seed=5), draw_lines(tmp_path / "val", 30, seed=6)
    (tmp_path / "own.ckpt").write_bytes(best.read_bytes())
    words = ["checkpoint=own.ckpt", f"data.test={test}"]
    assert command("evaluate", *words, "output=before").returncode == 0
    assert command("evaluate", *words, f"calibrate={val}", "output=fitted").returncode == 0
    assert (tmp_path / "own.ckpt").read_bytes() == best.read_bytes()
    ended = command("evaluate", *words, f"calibrate={val}", "store=true", "output=stored")
    assert ended.returncode == 0 and "30 lines are few" in ended.stderr
    assert command("evaluate", *words, "output=after").returncode == 0

    def judged(name: str) -> dict[str, Any]:
        report: dict[str, Any] = json.loads((tmp_path / name / "report.json").read_text("utf-8"))
        return report

    before, fitted, after = judged("before"), judged("fitted"), judged("after")
    assert judged("stored") == fitted
    found = fitted["confidence"]["calibration"]
    calibration = Calibration(found["scale"], found["shift"], found["lines"])
    assert calibration.lines == 30 and calibration == Recognizer.load("own.ckpt").calibration
    assert found["ece_before"] == before["confidence"]["ece"]
    assert after["confidence"]["ece"] == pytest.approx(fitted["confidence"]["ece"])
    assert fitted["cer"] == before["cer"] == after["cer"]
    # Where the confidence comes from: those of val, mapped so that their mean is nearer to what is right.
    images = sorted(val.glob("*.png"))
    raw, mapped = Recognizer.load(best).read(images), Recognizer.load("own.ckpt").read(images)
    assert [calibration(t.confidence) for t in raw] == [t.confidence for t in mapped]
    assert [t.text for t in raw] == [t.text for t in mapped]


def refused(ended: CompletedProcess[str]) -> str:
    assert ended.returncode == 2 and ended.stdout == "" and "Traceback" not in ended.stderr
    return ended.stderr
