"""The report on disk and the figures in it."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jiwer
import pytest

import ocrtrain
from ocrtrain.checkpoint.calibration import Calibration
from ocrtrain.decoding import Transcript
from ocrtrain.errors import InputError
from ocrtrain.evaluation import (
    Evaluation,
    Fitted,
    Prediction,
    cer_interval,
    compare,
    evaluate_lines,
    write_report,
)
from ocrtrain.evaluation.reliability import judge_confidence
from ocrtrain.evaluation.report.as_json import SCHEMA, as_report

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "evaluation.md"

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
    assert report["schema"] == SCHEMA == 1
    # Errors only, most edits first; a file name that is no UTF-8 survives.
    assert [line["source"] for line in report["worst"]] == ["d/ü\udcff.png", "b.png", "e.png"]
    assert report["worst"][0] == {
        "source": SOURCES[3],
        "truth": TRUTHS[3],
        "prediction": READS[3],
        "confidence": 0.1,
        "edits": 8,
    }


def test_every_key_is_explained(evaluation: Evaluation) -> None:
    """docs/evaluation.md has a row for each key of the report, and none for what is not in it."""
    tables = GUIDE.read_text("utf-8").partition("## report.json")[2]
    explained = set(re.findall(r"^\| `([\w.\[\]]+)` \|", tables, re.MULTILINE))
    fitted = Fitted(Calibration(1.0, 0.0, 5), "val", judge_confidence([0.5], [True]))
    report = as_report(dataclasses.replace(evaluation, fitted=fitted, aspects=[1.0] * 5))
    comparison = {"readers": [], "comparisons": [dataclasses.asdict(compare([evaluation] * 2)[0])]}
    assert set(keys({**report, **comparison})) == explained


LIKE_OTHERS = (
    "character_classes",
    "each_character",
    "string_confusions",
    "bins_before",
    "wer",
    "line_errors",
)


def keys(node: Any, prefix: str = "") -> Iterator[str]:
    """Name each key of a report; what is the same for all entries of a list or a table is named once."""
    for key, value in node.items():
        name = f"{prefix}{key}"
        yield name
        if key in LIKE_OTHERS:
            continue
        if isinstance(value, list) and value and isinstance(value[0], dict):
            yield from keys(value[0], f"{name}[].")
        elif key in ("variants", "groups"):
            first = next(iter(value.values()))
            yield from keys(first[0] if isinstance(first, list) else first, f"{name}[].")
        elif isinstance(value, dict):
            yield from keys(value, f"{name}.")


def test_figures_of_groups_and_confusions_are_there(evaluation: Evaluation) -> None:
    report = as_report(evaluation)
    assert {g["name"]: g["lines"] for g in report["groups"]["source"]} == {".": 4, "d": 1}
    assert report["variants"]["no_white_space"]["wer"] is None
    assert sum(each["count"] for each in report["confusions"]) == 11
    assert report["confidence"]["kept"][0]["cer"] == report["cer"]
    assert report["spaces"]["truth"] == 4


def test_without_confidences_there_is_no_word_of_them() -> None:
    readings = [Prediction("ab", 0.5), Prediction("ab")]
    report = as_report(evaluate_lines(["1", "2"], ["ab", "ac"], readings))
    assert report["confidence"] is None and report["mean_confidence"] is None


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
