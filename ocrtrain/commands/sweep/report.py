"""Reports a search: tables, pictures, and the best settings as an experiment for `fit`."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.study import Study

from ocrtrain.command_line.presets import choices, settings
from ocrtrain.command_line.quoting import shell_word
from ocrtrain.commands.sweep.fit_settings import NOT_OF_TRIALS, compose_fit, preset_folders
from ocrtrain.sweep.pictures import plot_importance, plot_trials
from ocrtrain.sweep.repeats import Finalist
from ocrtrain.sweep.results import format_standings, format_table, ranked, write_experiment, write_trials
from ocrtrain.sweep.space import Space, as_override
from ocrtrain.sweep.study import finished


def report_search(
    study: Study,
    space: Space,
    words: Sequence[str],
    folder: Path,
    start: Mapping[str, Any] | None,
    finalists: Sequence[Finalist],
) -> float | None:
    """Write down what was found, and print it; returns the best CER, None if no trial was completed.

    words: settings of all trials, as they were typed; folder: the search's; start: the parameters of the
    trial with the settings as they are without the search; finalists: trials trained again, the best first.
    """
    trials, keys = finished(study), list(space.parameters)
    print(format_table(trials, keys, start))
    if finalists:
        print(format_standings(finalists, start))
    write_trials(trials, finalists, keys, folder / "trials.csv")
    plot_trials(trials, finalists, folder / "trials.png")
    best = ranked(trials)
    if not best:
        return None
    pictures = "trials.png"
    if len({trial.value for trial in best}) > 1:
        pictures += ", importance.png"
        shares = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
        plot_importance(shares, folder / "importance.png")
        print("importance: " + "  ".join(f"{key} {share:.0%}" for key, share in shares.items()))

    winner, cer, how = best[0], best[0].value, "one seed"
    if finalists:
        winner, cer = finalists[0].trial, finalists[0].cer
        how = f"mean of {len(finalists[0].cers)} other seeds"
    about = (
        f"The best of {len(trials)} trials of the search {folder.name}: CER {cer:.2%} in validation, {how}"
    )
    write_best(space.values(winner.params), words, folder / "conf", about)
    print(
        f"\nbest CER {cer:.2%} by trial {winner.number}, {how}\n"
        f"record      {folder}/trials.csv, {pictures}\n"
        f"next        python -m ocrtrain fit --config-dir {shell_word(str(folder / 'conf'))} experiment=best",
        file=sys.stderr,
    )
    return cer


def write_best(values: Mapping[str, Any], words: Sequence[str], conf: Path, about: str) -> None:
    """Write the best settings as the experiment `best` into the folder `conf`.

    values: those of the best trial, by their keys; words: those of all trials, as they were typed; about: the
    comment at the top. The user's own presets that it needs are copied, so that one folder is enough.
    """
    config = compose_fit([*words, *(as_override(key, value) for key, value in values.items())])
    usual = choices(compose_fit([]))
    chosen = {g: o for g, o in choices(config).items() if g != "experiment" and o != usual.get(g)}
    defaults = settings(compose_fit([f"{group}={option}" for group, option in chosen.items()]))
    for group, option in chosen.items():
        for folder in preset_folders()[1:]:
            file = folder / group / f"{option}.yaml"
            if file.is_file():
                (conf / group).mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, conf / group / file.name)
    found = {key: value for key, value in settings(config).items() if key not in NOT_OF_TRIALS}
    write_experiment(conf / "experiment" / "best.yaml", about, chosen, found, defaults)
