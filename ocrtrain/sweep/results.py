"""Results of a search: a table for the terminal, one for programs, and the best settings as a preset."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from optuna.trial import FrozenTrial, TrialState

from ocrtrain.files import atomic_path, write_text_atomically
from ocrtrain.sweep.repeats import Finalist
from ocrtrain.sweep.search import shown

ROWS = 10
STATES = {TrialState.COMPLETE: "completed", TrialState.PRUNED: "stopped early", TrialState.FAIL: "failed"}


def ranked(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """The completed trials, the best first."""
    completed = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    return sorted(completed, key=lambda trial: (trial.value, trial.number))


def format_table(trials: Sequence[FrozenTrial], keys: Sequence[str], given: Mapping[str, Any] | None) -> str:
    """Show the best trials, the one with the settings that were `given`, and what became of the others."""
    best = ranked(trials)
    start = [trial for trial in best[ROWS:] if trial.params == given]
    rows = [["rank", "trial", "CER", "time", *keys]]
    for trial in [*best[:ROWS], *start]:
        mark = "*" if trial.params == given else ""
        cells = [str(best.index(trial) + 1), f"{trial.number}{mark}", f"{trial.value:.2%}", _time(trial)]
        rows.append(cells + [shown(trial.params.get(key, "")) for key in keys])
    lines = _aligned(rows)
    if any(trial.params == given for trial in best):
        lines.append("* the settings as they are without the search")
    counts = [f"{sum(t.state == state for t in trials)} {word}" for state, word in STATES.items()]
    lines.append(f"{len(trials)} {'trial' if len(trials) == 1 else 'trials'}: {', '.join(counts)}")
    for trial in trials:
        if trial.state == TrialState.FAIL:
            words = str(trial.user_attrs.get("failure", "")).splitlines()
            errors = [line for line in words if "rror" in line]
            lines.append(f"  trial {trial.number} failed: {(errors or words or [''])[0]}")
    return "\n".join(lines)


def format_standings(finalists: Sequence[Finalist], given: Mapping[str, Any] | None) -> str:
    """Show what the best trials gave with other seeds; `finalists` has the best first."""
    seeds = list(finalists[0].cers)
    rows = [["rank", "trial", "mean CER", *(f"seed {seed}" for seed in seeds)]]
    for rank, finalist in enumerate(finalists, 1):
        mark = "*" if finalist.trial.params == given else ""
        cells = [str(rank), f"{finalist.trial.number}{mark}", f"{finalist.cer:.2%}"]
        rows.append(cells + [f"{finalist.cers[seed]:.2%}" for seed in seeds])
    return "\n".join(["trained again with other seeds", *_aligned(rows)])


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows]


def _time(trial: FrozenTrial) -> str:
    whole = round(trial.user_attrs.get("seconds", 0.0))
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def write_trials(
    trials: Sequence[FrozenTrial], finalists: Sequence[Finalist], keys: Sequence[str], path: Path
) -> None:
    """Write a row for each trial: its number, how it ended, its CER (a fraction), seconds and settings.

    finalists: those whose mean CER with other seeds is known, too.
    """
    means = {finalist.trial.number: f"{finalist.cer:.6g}" for finalist in finalists}
    with atomic_path(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["trial", "state", "cer", "mean_cer_of_other_seeds", "seconds", *keys])
        for trial in trials:
            value = "" if trial.value is None else f"{trial.value:.6g}"
            mean = means.get(trial.number, "")
            row = [trial.number, STATES[trial.state], value, mean, trial.user_attrs.get("seconds", "")]
            writer.writerow(row + [trial.params.get(key, "") for key in keys])


def write_experiment(
    path: Path,
    about: str,
    chosen: Mapping[str, str],
    settings: Mapping[str, Any],
    defaults: Mapping[str, Any],
) -> None:
    """Write an experiment for `fit`: the presets `chosen` by group, and the settings that differ from theirs.

    settings, defaults: by dotted key, interpolations unresolved; `defaults` are those of the presets.
    """
    lines = ["# @package _global_", *(f"# {line}" for line in about.splitlines())]
    if chosen:
        lines += ["defaults:", *(f"  - override /{group}: {option}" for group, option in chosen.items())]
    lines.append(f"run: {path.stem}-${{now:%Y-%m-%d_%H-%M-%S}}")
    nested: dict[str, Any] = {}
    for key, value in settings.items():
        if key in defaults and defaults[key] == value:
            continue
        *parents, name = key.split(".")
        place = nested
        for parent in parents:
            place = place.setdefault(parent, {})
        place[name] = value
    text = "\n".join(lines) + "\n" + (OmegaConf.to_yaml(OmegaConf.create(nested)) if nested else "")
    write_text_atomically(path, text)
