"""An evaluation, or several, as JSON; docs/evaluation.md says what each key means."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ocrtrain.evaluation.breakdown import Group
from ocrtrain.evaluation.comparison import Comparison
from ocrtrain.evaluation.confusions import Confusions, Found
from ocrtrain.evaluation.edits import EditCounts
from ocrtrain.evaluation.judgement import Evaluation
from ocrtrain.files import write_text_atomically
from ocrtrain.version import __version__

SCHEMA = 1  # goes up when a key changes its meaning or goes; new keys may come without
WORST_LINES, CONFUSIONS, CHARACTERS = 100, 200, 500


def write_report(evaluation: Evaluation, folder: str | Path) -> Path:
    """Write `report.json` into `folder`, whole or not at all, and return its path.

    Raises `InputError` where it cannot be written.
    """
    return _write(Path(folder) / "report.json", as_report(evaluation))


def write_comparison(
    evaluations: Sequence[Evaluation], comparisons: Sequence[Comparison], folder: str | Path
) -> Path:
    """Write `comparison.json` into `folder`, whole or not at all, and return its path."""
    content = {
        "schema": SCHEMA,
        "version": __version__,
        "readers": [as_report(evaluation) for evaluation in evaluations],
        "comparisons": [asdict(comparison) for comparison in comparisons],
    }
    return _write(Path(folder) / "comparison.json", content)


def _write(path: Path, content: Mapping[str, Any]) -> Path:
    write_text_atomically(path, json.dumps(content, ensure_ascii=False, indent=2, allow_nan=False) + "\n")
    return path


def as_report(evaluation: Evaluation) -> dict[str, Any]:
    """Give an evaluation as plain types; rates are fractions, not percent."""
    counts = evaluation.counts
    return {
        "schema": SCHEMA,
        "version": __version__,
        "name": evaluation.name,
        "cer": counts.cer,
        "cer_interval": list(evaluation.interval),
        "wer": counts.wer,
        "wer_interval": list(evaluation.wer_interval),
        "line_accuracy": counts.line_accuracy,
        "line_accuracy_interval": list(evaluation.line_accuracy_interval),
        **asdict(counts),
        "mean_confidence": evaluation.mean_confidence,
        "variants": {
            figures.variant.name: {
                "rule": figures.variant.rule,
                **_rates(figures.counts, figures.interval, figures.variant.words),
            }
            for figures in evaluation.variants
        },
        "groups": {kind: [_group(g) for g in groups] for kind, groups in evaluation.groups.items()},
        **_characters(evaluation.confusions),
        "confidence": _confidence(evaluation),
        "worst": [asdict(line) for line in evaluation.worst(WORST_LINES)],
    }


def _rates(counts: EditCounts, interval: tuple[float, float], words: bool = True) -> dict[str, Any]:
    return {
        "cer": counts.cer,
        "cer_interval": list(interval),
        "wer": counts.wer if words else None,
        "line_accuracy": counts.line_accuracy,
        "edits": counts.edits,
        "characters": counts.characters,
    }


def _group(group: Group) -> dict[str, Any]:
    return {"name": group.name, "lines": group.counts.lines, **_rates(group.counts, group.interval)}


def _found(found: Found) -> dict[str, Any]:
    return {**asdict(found), "recall": found.recall, "precision": found.precision}


def _characters(confusions: Confusions) -> dict[str, Any]:
    def listed(counts: Mapping[tuple[str, str], int]) -> list[dict[str, Any]]:
        most = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:CONFUSIONS]
        return [{"truth": truth, "read": read, "count": count} for (truth, read), count in most]

    return {
        "spaces": _found(confusions.spaces()),
        "character_classes": [_found(found) for found in confusions.classes()],
        "each_character": [_found(found) for found in confusions.characters()[:CHARACTERS]],
        "confusions": listed(confusions.pairs),
        "string_confusions": listed(confusions.strings),
    }


def _confidence(evaluation: Evaluation) -> dict[str, Any] | None:
    if evaluation.reliability is None:
        return None
    fitted = evaluation.fitted
    calibration = (
        None
        if fitted is None
        else {
            **fitted.calibration.as_dict(),
            "data": fitted.data,
            "ece_before": fitted.before.ece,
            "bins_before": [asdict(each) for each in fitted.before.bins],
        }
    )
    return {
        **asdict(evaluation.reliability),
        "bins": [asdict(each) for each in evaluation.reliability.bins],
        "kept": [asdict(point) for point in evaluation.kept],
        "calibration": calibration,
    }
