"""A recognizer's judgement: every figure of what it made of some lines, and the lines behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ocrtrain.checkpoint.calibration import Calibration
from ocrtrain.errors import InputError
from ocrtrain.evaluation.breakdown import Group, break_down_all, folders
from ocrtrain.evaluation.character_classes import line_script
from ocrtrain.evaluation.confusions import Confusions, count_confusions
from ocrtrain.evaluation.edits import EditCounts, edit_table, normalize_all
from ocrtrain.evaluation.intervals import rate_interval
from ocrtrain.evaluation.reliability import Kept, Reliability, judge_confidence, reject_curve
from ocrtrain.evaluation.variants import VariantFigures, judge_variants

BLOCK = 20_000  # lines that are normalized together


class TranscriptLike(Protocol):
    """What was read in a line: a decoder's `Transcript`, or a `Prediction` from a file."""

    @property
    def text(self) -> str: ...

    @property
    def confidence(self) -> float | None: ...

    @property
    def characters(self) -> Sequence[Any]: ...  # each with text, x0 and x1, as `decoding.Character` has


@dataclass(frozen=True, slots=True)
class Prediction:
    """A text, and a confidence where there is one; where its characters stand is not known."""

    text: str
    confidence: float | None = None
    characters: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class JudgedLine:
    """One line: where it comes from, both texts in NFC, the reading's confidence and its edit distance."""

    source: str
    truth: str
    prediction: str
    confidence: float | None
    edits: int


@dataclass(frozen=True, slots=True)
class Fitted:
    """A calibration that was fitted for these figures: to which lines, and how it was without it."""

    calibration: Calibration
    data: str
    before: Reliability


@dataclass(frozen=True)
class Evaluation:
    """What a recognizer called `name` made of N lines.

    table: int64 [N, 8], the counts of each line, see `edit_table`. aspects: the width of each image as a
    multiple of its height; labels: names of groups to judge apart, N for each key. Figures beyond the counts
    are computed when they are first asked for.
    """

    name: str
    lines: tuple[JudgedLine, ...]
    table: NDArray[np.int64]
    readings: Sequence[TranscriptLike]
    labels: Mapping[str, Sequence[str]]
    aspects: Sequence[float] | None = None
    fitted: Fitted | None = None

    @cached_property
    def counts(self) -> EditCounts:
        """The counts of all lines."""
        return EditCounts.from_list(self.table.sum(axis=0))

    @cached_property
    def interval(self) -> tuple[float, float]:
        """The 95% interval of the CER."""
        return rate_interval(self.table[:, :3].sum(axis=1), self.table[:, 3])

    @cached_property
    def wer_interval(self) -> tuple[float, float]:
        """The 95% interval of the WER."""
        return rate_interval(self.table[:, 4], self.table[:, 5])

    @cached_property
    def line_accuracy_interval(self) -> tuple[float, float]:
        """The 95% interval of the share of exact lines."""
        return rate_interval(self.table[:, 6], self.table[:, 7])

    @cached_property
    def variants(self) -> list[VariantFigures]:
        """The figures under milder rulers."""
        return judge_variants([line.truth for line in self.lines], [line.prediction for line in self.lines])

    @cached_property
    def groups(self) -> dict[str, list[Group]]:
        """The figures of the groups of each kind: by source, script, length, and width where it is known."""
        labels = {**self.labels, "script": [line_script(line.truth) for line in self.lines]}
        return break_down_all(labels, self.table, self.aspects)

    @cached_property
    def confusions(self) -> Confusions:
        """What is read as what."""
        return count_confusions([line.truth for line in self.lines], [line.prediction for line in self.lines])

    @cached_property
    def confidences(self) -> list[float] | None:
        """The lines' confidences; None unless every line has one."""
        known = [line.confidence for line in self.lines if line.confidence is not None]
        return known if len(known) == len(self.lines) else None

    @cached_property
    def reliability(self) -> Reliability | None:
        """How well the confidences fit what happened; None where there are none."""
        return None if self.confidences is None else judge_confidence(self.confidences, self.table[:, 6])

    @cached_property
    def kept(self) -> list[Kept]:
        """What remains if only the surest lines are kept; empty without confidences."""
        return [] if self.confidences is None else reject_curve(self.confidences, self.table)

    @property
    def mean_confidence(self) -> float | None:
        """The lines' mean confidence, which comes close to the line accuracy if it is well calibrated."""
        return None if self.reliability is None else self.reliability.mean

    def worst(self, count: int) -> list[JudgedLine]:
        """List the lines with errors that cost the corpus most edits; of equals, the shorter truth first."""
        return [self.lines[i] for i in self.worst_indices(count)]

    def worst_indices(self, count: int) -> list[int]:
        """Say which lines `worst` lists."""
        edits, lengths = self.table[:, :3].sum(axis=1), self.table[:, 3]
        order = np.lexsort((lengths, -edits))[:count]
        return [i for i in order.tolist() if edits[i]]


def evaluate_lines(
    sources: Sequence[str],
    truths: Sequence[str],
    readings: Sequence[TranscriptLike],
    name: str = "",
    labels: Sequence[str] | None = None,
    aspects: Sequence[float] | None = None,
    fitted: Fitted | None = None,
) -> Evaluation:
    """Judge N readings by N truths; `sources` name the lines, and by default their folders are the groups.

    labels: another group for each line; aspects: the width of each image as a multiple of its height. Raises
    `InputError` if N is 0, since nothing can be said then.
    """
    if not sources:
        raise InputError(
            "evaluation", "there are no lines to judge", "name a folder or list that has images with texts."
        )
    truths = _normalized(truths)
    predictions = _normalized([reading.text for reading in readings])
    table = edit_table(truths, predictions)
    edits = table[:, :3].sum(axis=1).tolist()
    lines = tuple(
        JudgedLine(source, truth, prediction, reading.confidence, distance)
        for source, truth, prediction, reading, distance in zip(
            sources, truths, predictions, readings, edits, strict=True
        )
    )
    groups = {"source": folders(sources) if labels is None else labels}
    return Evaluation(name, lines, table, readings, groups, aspects, fitted)


def _normalized(texts: Sequence[str]) -> list[str]:
    blocks = range(0, len(texts), BLOCK)
    return [text for start in blocks for text in normalize_all(texts[start : start + BLOCK])]
