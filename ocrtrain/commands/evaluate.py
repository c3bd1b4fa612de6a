"""`evaluate`: judges checkpoints, or any engine's output, on lines whose texts are known."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from ocrtrain.checkpoint.calibration import Calibration
from ocrtrain.command_line.progress import Progress
from ocrtrain.commands.evaluation_lines import EvaluationLines, from_data, lines_to_judge, listed, short_names
from ocrtrain.commands.settings import Part, build, read_config
from ocrtrain.data.formats.several import as_typed
from ocrtrain.data.images.image import StoredImage
from ocrtrain.data.lines.rejections import check_skipped
from ocrtrain.errors import InputError
from ocrtrain.evaluation import (
    Evaluation,
    Fitted,
    compare,
    edit_table,
    evaluate_lines,
    format_comparison,
    format_table,
    write_comparison,
    write_report,
)
from ocrtrain.evaluation.judgement import Prediction, TranscriptLike
from ocrtrain.evaluation.predictions import PredictionFile, match, read_predictions
from ocrtrain.evaluation.reliability import judge_confidence
from ocrtrain.evaluation.report.page import write_page
from ocrtrain.settings import Count, PathName, PathNames, PositiveInt
from ocrtrain.text.normalization import Normalization

if TYPE_CHECKING:
    from ocrtrain.recognizer import Recognizer

log = logging.getLogger(__name__)

Outcomes = Sequence[TranscriptLike | InputError]


@dataclass(frozen=True, slots=True)
class EvaluateData:
    """The lines to judge by, and how many of them may be left out."""

    test: PathNames | None
    max_skipped: Count


@dataclass(frozen=True, slots=True)
class EvaluateSettings:
    """Settings of `evaluate`; conf/evaluate.yaml says what each is for."""

    checkpoint: PathNames | None
    adapter: PathName | None
    data: EvaluateData
    predictions: PathNames | None
    truth: PathNames | None
    calibrate: PathNames | None
    store: bool
    output: PathName | None
    gallery: Count
    batch_size: PositiveInt
    device: str | None
    decoder: Part


@dataclass(frozen=True, slots=True)
class Read:
    """What one checkpoint or engine made of all lines; `form` is the normal form that its model writes."""

    outcomes: Outcomes
    form: Normalization = "NFC"
    fitted: Fitted | None = None


NOT_READ = InputError("predictions", "no prediction of the line", "give each line one.")
FEW_LINES = 100  # a calibration that is fitted to fewer is mostly its prior


def run(config: DictConfig) -> list[Evaluation]:
    """Read the lines, print the figures, write the reports; return an evaluation for each reader."""
    settings = read_config(EvaluateSettings, config)
    checkpoints, files = listed(settings.checkpoint), listed(settings.predictions)
    check_settings(settings, checkpoints, files)
    allowed = settings.data.max_skipped
    opened = [read_predictions(path) for path in files]
    lines = lines_to_judge(settings.data.test, settings.truth, opened, allowed)
    readers = [read(path, lines, settings) for path in checkpoints]
    readers += [Read(look_up(file, lines, allowed)) for file in opened]

    lines, readings = leave_out_damaged(lines, [each.outcomes for each in readers], allowed)
    evaluations = [
        evaluate_lines(
            lines.names, lines.spelled(by.form), texts, name, lines.labels, lines.aspects, by.fitted
        )
        for name, texts, by in zip(short_names([*checkpoints, *files]), readings, readers, strict=True)
    ]
    report(evaluations, lines, settings, [*checkpoints, *files])
    if settings.store:
        store_calibration(checkpoints[0], readers[0].fitted)
    return evaluations


def check_settings(settings: EvaluateSettings, checkpoints: Sequence[str], files: Sequence[str]) -> None:
    """Raise `InputError` for settings that do not go together."""
    example = "For example: python -m ocrtrain evaluate checkpoint=best.ckpt data.test=DIR"
    if not checkpoints and not files:
        raise InputError("checkpoint", "must be given, or predictions", example)
    if checkpoints and settings.data.test is None:
        raise InputError("data.test", "must be given", example)
    if settings.truth is not None and settings.data.test is not None:
        raise InputError("truth", "is given beside data.test", "name the truths once.")
    if settings.adapter is not None and len(checkpoints) != 1:
        raise InputError("adapter", "belongs to one checkpoint", "give the one that it was made for.")
    if settings.calibrate is not None and len(checkpoints) != 1:
        raise InputError("calibrate", "is for one checkpoint at a time", "judge them one after the other.")
    if settings.store and (settings.calibrate is None or settings.adapter is not None):
        raise InputError(
            "store=true",
            "keeps what calibrate=DIR fits in the checkpoint, which an adapter would share with others",
            "give calibrate=DIR, and no adapter.",
        )


def read(path: str, lines: EvaluationLines, settings: EvaluateSettings) -> Read:
    """Read all lines with a checkpoint; with `calibrate`, fit its confidence to other lines first."""
    from ocrtrain.decoding import GreedyDecoder
    from ocrtrain.recognizer import Recognizer  # torch, which predictions of other engines do not need

    assert lines.images is not None
    recognizer = Recognizer.load(path, settings.device, settings.adapter)
    recognizer.decoder = build(settings.decoder)(recognizer.description.charset)
    if settings.store and not isinstance(recognizer.decoder, GreedyDecoder):
        raise InputError(
            "store=true",
            "keeps a calibration of greedy decoding, and decoder is another",
            "leave one of the two out.",
        )
    form = recognizer.description.charset.writing.normalization
    if settings.calibrate is None:
        return Read(read_all(recognizer, lines.images, settings.batch_size), form)
    recognizer.calibration = None
    where = f"calibrate={as_typed(settings.calibrate)}"
    others = from_data(settings.calibrate, "calibrate", settings.data.max_skipped)
    if others.images is not None and set(others.images) & set(lines.images):
        raise InputError(where, "has lines of data.test", "fit to lines that are not judged, as of data.val.")
    outcomes = read_all(recognizer, others.images or [], settings.batch_size)
    others, (fit_to,) = leave_out_damaged(others, [outcomes], settings.data.max_skipped)
    confidences, exact = judged(others.spelled(form), fit_to)
    if len(fit_to) < FEW_LINES:
        log.warning("%s: %d lines are few; the confidence is hardly changed", where, len(fit_to))
    calibration = Calibration.fit(confidences, exact)

    outcomes = read_all(recognizer, lines.images, settings.batch_size)
    good = [
        (t, o) for t, o in zip(lines.spelled(form), outcomes, strict=True) if not isinstance(o, InputError)
    ]
    before = judge_confidence(*judged([truth for truth, _ in good], [reading for _, reading in good]))
    fitted = Fitted(calibration, as_typed(settings.calibrate), before)
    return Read([calibrated(o, calibration) for o in outcomes], form, fitted)


def judged(truths: Sequence[str], readings: Sequence[TranscriptLike]) -> tuple[list[float], list[bool]]:
    """Give the confidence of each reading, and whether it is exact."""
    edits = edit_table(truths, [reading.text for reading in readings])[:, 6]
    return [reading.confidence or 0.0 for reading in readings], edits.astype(bool).tolist()


def calibrated(outcome: TranscriptLike | InputError, calibration: Calibration) -> TranscriptLike | InputError:
    """Map the confidence of a reading."""
    if isinstance(outcome, InputError):
        return outcome
    return Prediction(outcome.text, calibration(outcome.confidence or 0.0), tuple(outcome.characters))


def read_all(
    recognizer: Recognizer, images: Sequence[str | StoredImage], batch_size: int
) -> list[TranscriptLike | InputError]:
    """Read images, telling how far it has come; one that cannot be read gives its error in its place."""
    outcomes: list[TranscriptLike | InputError] = []
    with Progress("lines", len(images)) as progress:
        for outcome in recognizer.stream_outcomes(images, batch_size):
            outcomes.append(outcome)
            progress(1)
    return outcomes


def look_up(file: PredictionFile, lines: EvaluationLines, allowed: int) -> Outcomes:
    """Find the prediction of each line in a file."""
    rows, others = match(file.ids, lines.names, lines.root)
    missing = [name for name, row in zip(lines.names, rows, strict=True) if row is None]
    wrong = {f"line of {lines.where} without a prediction": missing, "prediction of no such line": others}
    if notice := check_skipped(wrong, allowed, file.what):
        log.warning("%s", notice)
    return [NOT_READ if row is None else file.readings[row] for row in rows]


def leave_out_damaged(
    lines: EvaluationLines, read: Sequence[Outcomes], allowed: int
) -> tuple[EvaluationLines, list[list[TranscriptLike]]]:
    """Keep the lines that every reader could read; raises `InputError` if too many are left out."""
    damaged: dict[str, list[str]] = {}
    kept = []
    for i, name in enumerate(lines.names):
        error = next((o[i] for o in read if isinstance(o[i], InputError)), None)
        if isinstance(error, InputError):
            damaged.setdefault(error.why, []).append(name)
        else:
            kept.append(i)
    told = damaged.pop(NOT_READ.why, [])  # already, where they were looked up
    if notice := check_skipped(damaged, allowed - lines.skipped - len(told), lines.where):
        log.warning("%s", notice)
    good = [[o for i in kept if not isinstance(o := outcomes[i], InputError)] for outcomes in read]
    return (lines if len(kept) == len(lines.names) else lines.only(kept)), good


def report(
    evaluations: list[Evaluation], lines: EvaluationLines, settings: EvaluateSettings, paths: Sequence[str]
) -> None:
    """Print the table and write the reports, the page last, since it takes longest."""
    folder = Path(settings.output or settings.adapter or Path(paths[0]).expanduser().parent)
    comparisons = compare(evaluations)
    if comparisons:
        print(format_comparison(evaluations, comparisons))
        written = write_comparison(evaluations, comparisons, folder)
    else:
        print(format_table(evaluations[0]))
        written = write_report(evaluations[0], folder)
    path = written.with_suffix(".html")
    page = write_page(evaluations, comparisons, path, lines.images, settings.gallery, f"of {lines.where}")
    log.info("report: %s", written)
    log.info("to look at: %s", page)


def store_calibration(path: str, fitted: Fitted | None) -> None:
    """Write a fitted calibration into its checkpoint, which is otherwise as it was."""
    import torch

    from ocrtrain.checkpoint.description import KEY, read_checkpoint
    from ocrtrain.files import atomic_path

    assert fitted is not None
    content = read_checkpoint(path)
    content[KEY]["calibration"] = fitted.calibration.as_dict()
    with atomic_path(Path(path).expanduser()) as temporary:
        torch.save(content, temporary)
    log.info("stored in %s: predict now gives calibrated confidences", path)
