"""The report on disk and the figures in it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jiwer
import pytest

import ocrtrain
from ocrtrain.decoding import Transcript
from ocrtrain.errors import InputError
from ocrtrain.evaluation import Evaluation, cer_interval, evaluate_lines, write_report

TRUTHS = ["der Weg", "die Zeit", "cafe\u0301", "ein langer Satz", ""]
READS = ["der Weg", "dei Zeit", "café", "en lagner", "ß"]
CONFIDENCES = [0.9, 0.5, 0.8, 0.1, 0.2]
SOURCES = ["a.png", "b.png", "c.png", "d/ü\udcff.png", "e.png"]


@pytest.fixture
def evaluation() -> Evaluation:
    transcripts = [
        Transcript(text, confidence, ()) for text, confidence in zip(READS, CONFIDENCES, strict=True)
    ]
    return evaluate_lines(SOURCES, TRUTHS, transcripts)


def test_the_report_comes_back_as_it_was_meant(evaluation: Evaluation, tmp_path: Path) -> None:
    path = write_report(evaluation, tmp_path / "new" / "folder")
    report = json.loads(path.read_text(encoding="utf-8"))
    truths, reads = [*TRUTHS[:2], "café", *TRUTHS[3:]], READS
    assert report["cer"] == pytest.approx(jiwer.cer(truths, reads))
    assert report["wer"] == pytest.approx(jiwer.wer(truths, reads))
    assert report["line_accuracy"] == 2 / 5
    assert (report["lines"], report["exact_lines"], report["characters"]) == (5, 2, 7 + 8 + 4 + 15)
    assert report["words"] == 2 + 2 + 1 + 3
    assert report["cer_interval"] == list(cer_interval([0, 2, 0, 8, 1], [7, 8, 4, 15, 0]))
    edits = report["substitutions"] + report["deletions"] + report["insertions"]
    assert edits == 11 and report["word_edits"] == 1 + 3 + 1
    assert report["mean_confidence"] == pytest.approx(0.5)
    assert report["version"] == ocrtrain.__version__
    # Errors only, most edits first; a file name that is no UTF-8 survives.
    assert [line["source"] for line in report["worst"]] == ["d/ü\udcff.png", "b.png", "e.png"]
    assert report["worst"][0] == {
        "source": SOURCES[3],
        "truth": TRUTHS[3],
        "prediction": READS[3],
        "confidence": 0.1,
        "edits": 8,
    }


def test_a_new_report_takes_the_place_of_the_old_one(evaluation: Evaluation, tmp_path: Path) -> None:
    write_report(evaluation, tmp_path)
    write_report(evaluate_lines(["x"], ["a"], [Transcript("a", 1.0, ())]), tmp_path)
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["lines"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_a_folder_that_cannot_be_made_is_said(evaluation: Evaluation, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here")
    with pytest.raises(InputError, match=r"report\.json: cannot be written"):
        write_report(evaluation, tmp_path / "file")


def test_judging_texts_needs_no_torch() -> None:
    check = "import ocrtrain.evaluation, sys; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True)


def test_no_lines_are_no_evaluation() -> None:
    with pytest.raises(InputError, match="no lines to judge"):
        evaluate_lines([], [], [])
