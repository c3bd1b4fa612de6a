"""A recognizer's judgement: its figures, and the lines behind them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ocrtrain
from ocrtrain.errors import InputError
from ocrtrain.evaluation.edits import EditCounts, edit_table
from ocrtrain.evaluation.intervals import cer_interval
from ocrtrain.files import write_text_atomically
from ocrtrain.text import normalize

if TYPE_CHECKING:
    # Judging texts must not import torch, which decoding needs.
    from ocrtrain.decoding.transcript import Transcript

WORST_LINES = 100


@dataclass(frozen=True, slots=True)
class JudgedLine:
    """One line: where it comes from, both texts in NFC, the reading's confidence and its edit distance."""

    source: str
    truth: str
    prediction: str
    confidence: float
    edits: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a recognizer made of some lines; `interval` is the 95% confidence interval of the CER."""

    counts: EditCounts
    interval: tuple[float, float]
    lines: tuple[JudgedLine, ...]

    @property
    def mean_confidence(self) -> float:
        """The lines' mean confidence, which comes close to the line accuracy if it is well calibrated."""
        return sum(line.confidence for line in self.lines) / max(len(self.lines), 1)

    def worst(self, count: int) -> list[JudgedLine]:
        """List the lines with errors that cost the corpus most edits; of equals, the shorter truth first."""
        wrong = (line for line in self.lines if line.edits)
        return sorted(wrong, key=lambda line: (-line.edits, len(line.truth)))[:count]


def evaluate_lines(
    sources: Sequence[str], truths: Sequence[str], transcripts: Sequence[Transcript]
) -> Evaluation:
    """Judge N transcripts by N truths; raises `InputError` if N is 0, since nothing can be said then."""
    if not sources:
        raise InputError(
            "evaluation", "there are no lines to judge", "name a folder or list that has images with texts."
        )
    predictions = [transcript.text for transcript in transcripts]
    table = edit_table(truths, predictions)
    counts = EditCounts.from_list(table.sum(axis=0))
    edits = table[:, :3].sum(axis=1)
    lines = tuple(
        JudgedLine(source, normalize(truth), normalize(transcript.text), transcript.confidence, distance)
        for source, truth, transcript, distance in zip(
            sources, truths, transcripts, edits.tolist(), strict=True
        )
    )
    return Evaluation(counts, cer_interval(edits, table[:, 3]), lines)


def write_report(evaluation: Evaluation, folder: str | Path) -> Path:
    """Write `report.json` into `folder`, whole or not at all, and return its path.

    The keys, rates being fractions, not percent:
    cer, wer, line_accuracy: the rates of `EditCounts`; cer_interval: [low, high], 95%, bootstrap over lines;
    lines, exact_lines, characters, words: counts of the truth; substitutions, deletions, insertions: of
    characters; word_edits; mean_confidence: 0..1; worst: the 100 lines with most edits, those with errors
    only, as {source, truth, prediction, confidence, edits}; version: the ocrtrain that wrote the report.
    Raises `InputError` where it cannot be written.
    """
    counts = evaluation.counts
    report: dict[str, Any] = {
        "cer": counts.cer,
        "cer_interval": list(evaluation.interval),
        "wer": counts.wer,
        "line_accuracy": counts.line_accuracy,
        **asdict(counts),
        "mean_confidence": evaluation.mean_confidence,
        "worst": [asdict(line) for line in evaluation.worst(WORST_LINES)],
        "version": ocrtrain.__version__,
    }
    path = Path(folder) / "report.json"
    write_text_atomically(path, json.dumps(report, ensure_ascii=False, indent=2, allow_nan=False) + "\n")
    return path
