"""`sweep`: searches for settings of `fit` that read better."""

from __future__ import annotations

import functools
import itertools
import json
import logging
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ocrtrain.command_line.mistakes import similar
from ocrtrain.command_line.presets import built_in, choices, settings
from ocrtrain.command_line.quoting import quoted, shell_word
from ocrtrain.errors import InputError
from ocrtrain.settings import Seconds, checked
from ocrtrain.sweep.space import Choices, Space, as_override, find_space, read_space

if TYPE_CHECKING:
    from optuna.study import Study

    from ocrtrain.sweep.repeats import Finalist

log = logging.getLogger(__name__)

# Settings of both commands that mean another thing here, or nothing at all.
OWN = ("run", "runs", "debug")


def run(config: DictConfig) -> float | None:
    """Search as `config` says; returns the best CER."""
    space, fit_words = prepare(config)
    require_optuna()
    from optuna.exceptions import StorageInternalError
    from optuna.pruners import NopPruner
    from optuna.samplers import RandomSampler

    from ocrtrain.sweep import repeats
    from ocrtrain.sweep.results import ranked
    from ocrtrain.sweep.search import Search, environment_of
    from ocrtrain.sweep.study import finished, open_study, still_running, unusable

    base = compose_fit(fit_words)
    seconds = checked(base.trainer.max_time, Seconds | None, "trainer.max_time")
    limit = checked(config.max_time, Seconds | None, "max_time")
    name = str(config.run or f"sweep-{Path(str(config.space)).stem}")
    folder = Path(config.runs) / name
    storage = str(config.storage or folder / "study.journal")
    about = {"space": space.as_json(), "settings": identity(base)}
    seed = int(config.seed)
    study = open_study(name, storage, instantiate(config.sampler), instantiate(config.pruner), seed, about)
    start = space.point(chosen_settings(base))
    if start is not None and not study.get_trials(deepcopy=False):
        study.enqueue_trial(start)  # what the search has to beat

    began = time.monotonic()
    searching = functools.partial(
        Search,
        folder=folder,
        share=functools.partial(share_of_budget, base.trainer, seconds),
        parallel=config.parallel,
        environment=environment_of(None if config.gpus is None else list(config.gpus), config.parallel),
    )
    command = functools.partial(fit_command, fit_words)
    search = searching(study, space, command=command, trials=config.trials, seconds=limit)
    log.info("search %s: %s, in %s", name, ", ".join(space.parameters), folder)
    finalists: list[Finalist] = []
    try:
        search.run()
        chosen = repeats.finalists_of(ranked(finished(study)), config.finalists, start)
        seeds = [seed + i for i in range(1, config.repeats + 1)]
        if chosen and seeds and not search.interrupted and still_running(study):
            log.info(
                "the best are not trained again yet: others still train trials, or were killed not long ago;"
                " the same command does so when they have ended"
            )
        elif chosen and seeds and not search.interrupted:
            again = open_study(f"{name}-repeats", storage, RandomSampler, NopPruner(), seed, about)
            repeats.enqueue(again, chosen, seeds)

            def repeat(values: Mapping[str, Any], place: Path, checkpoint: Path | None) -> list[str]:
                trial = study.get_trials(deepcopy=False)[values["trial"]]
                return command({**space.values(trial.params), "seed": values["seed"]}, place, checkpoint)

            search = searching(
                again,
                repeats.REPEATS,
                command=repeat,
                trials=None,
                seconds=None if limit is None else limit - (time.monotonic() - began),
                name=repeats.repeat_folder,
                word="repeat",
            )
            search.run()
            finalists = repeats.standings(again, chosen, seeds)
            if not finalists and not search.interrupted:
                log.warning(
                    "the best trials cannot be compared: some failed with other seeds, or go on elsewhere"
                )
    except StorageInternalError as error:
        raise unusable(storage, error) from error
    best = conclude(study, space, fit_words, folder, start, finalists)
    if search.interrupted:
        why = "the time is used up" if search.out_of_time else "stopped on request"
        print(f"\n{why}; the same command goes on", file=sys.stderr)
    if search.stopped_by is not None:
        raise SystemExit(128 + search.stopped_by)
    return best


def fit_command(
    fit_words: Sequence[str], values: Mapping[str, Any], place: Path, checkpoint: Path | None
) -> list[str]:
    """The command of one training: the settings of all, its own, its folder, where it goes on from."""
    own = [f"runs={_quoted(place.parent)}", f"run={place.name}"]
    own.append("overwrite=true" if checkpoint is None else f"resume={_quoted(checkpoint)}")
    flags = [f"--config-dir={folder}" for folder in preset_folders()[1:]]
    given = [word for word in fit_words if key_of(word) not in values]
    searched = [as_override(key, value) for key, value in values.items()]
    return [sys.executable, "-m", "ocrtrain", "fit", *flags, *given, *searched, *own]


def share_of_budget(trainer: DictConfig, seconds: float | None, step: int, at: float) -> float | None:
    """The share of a training's budget that `step` steps and `at` seconds are; None if it cannot be told."""
    from ocrtrain.training.budget import Budget

    # How many steps an epoch has is known to the training alone.
    return None if trainer.max_epochs is not None else Budget(trainer.max_steps, seconds).progress(step, at)


def prepare(config: DictConfig) -> tuple[Space, list[str]]:
    """Check what was asked for; return the space and the settings that every trial is given.

    Raises InputError before anything is begun or written.
    """
    for key, least in (("trials", 1), ("parallel", 1), ("finalists", 0), ("repeats", 0)):
        if isinstance(config[key], bool) or not isinstance(config[key], int) or config[key] < least:
            raise InputError(f"{key}={config[key]}", "is no number of trials", f"give {least} or more.")
    if config.resume is not None:
        raise InputError(f"resume={config.resume}", "is for one training", "a search goes on by itself.")
    typed = list(HydraConfig.get().overrides.task)
    fit = OmegaConf.to_container(hydra.compose("fit"), resolve=False)
    assert isinstance(fit, dict)
    own = {str(key) for key in config if key not in fit} | {*OWN, "sampler", "pruner"}
    fit_words = [word for word in typed if key_of(word).split(".")[0] not in own]

    space = read_space(find_space(str(config.space), preset_folders()))
    check_keys(space, fit_words)
    given = {key_of(word) for word in fit_words}
    if fixed := [key for key in space.parameters if key in given]:
        log.info("given, and not searched for: %s", ", ".join(fixed))
        space = space.without(fixed)
    trainer = compose_fit(fit_words).trainer
    if all(trainer[key] is None for key in ("max_epochs", "max_steps", "max_time")):
        raise InputError(
            "trainer",
            "has no end",
            "say how long each trial may train: trainer.max_time=DD:HH:MM:SS, trainer.max_steps"
            " or trainer.max_epochs.",
        )
    return space, fit_words


def check_keys(space: Space, fit_words: Sequence[str]) -> None:
    """Raise InputError for a key that is no setting of `fit`, whichever presets the search chooses."""
    base = compose_fit(fit_words)
    groups = {key: p for key, p in space.parameters.items() if key in choices_of(base)}
    for key, parameter in groups.items():
        if not isinstance(parameter, Choices):
            raise InputError(f"{space.source}: {key}", "is a choice of presets", "list their names: [a, b].")
    options = [[(key, option) for option in cast(Choices, p).values] for key, p in groups.items()]
    for picked in itertools.product(*options):
        words = [as_override(key, option) for key, option in picked]
        try:
            config = compose_fit([*fit_words, *words])
        except (HydraException, OmegaConfBaseException, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"{space.source}: {', '.join(words)}", reason, "name a preset.") from error
        known = settings(config)
        for key in space.parameters:
            if key in groups or key in known:
                continue
            with_ = f" with {', '.join(words)}" if words else ""
            close = similar(key, {*known, *choices_of(config)} - {key})
            within = [name for name in known if name.startswith(f"{key}.")]
            raise InputError(
                f"{space.source}: {key}",
                f"is {'no single setting' if within else 'no setting'} of fit{with_}",
                f"Did you mean {' or '.join(within[:3] or close)}?"
                if within or close
                else "All settings: python -m ocrtrain fit --cfg job",
            )


def compose_fit(words: Sequence[str]) -> DictConfig:
    """The configuration of `fit` with these settings, Hydra's own part included."""
    return hydra.compose("fit", list(words), return_hydra_config=True)


def choices_of(config: DictConfig) -> dict[str, Any]:
    """The preset of each group, by the group's name."""
    return choices(config)


def chosen_settings(config: DictConfig) -> dict[str, Any]:
    """Every setting by its key, and the presets of the groups by theirs."""
    return {**settings(config), **choices_of(config)}


def identity(config: DictConfig) -> str:
    """What the trainings of a search have in common, as text."""
    fixed = {key: value for key, value in settings(config).items() if key.split(".")[0] not in OWN}
    return json.dumps(fixed, sort_keys=True, default=str)


def key_of(word: str) -> str:
    """The key of a setting as it was typed."""
    return word.partition("=")[0].lstrip("+~").split("@")[0]


def preset_folders() -> list[Path]:
    """The folders of presets: the built-in one, and the user's if there is one."""
    sources = HydraConfig.get().runtime.config_sources
    others = [Path(source.path) for source in sources if source.provider == "command-line"]
    return [built_in(), *others]


def require_optuna() -> None:
    """Raise InputError where Optuna is missing."""
    try:
        import optuna  # noqa: F401
    except ImportError as error:
        raise InputError(
            "sweep", "needs Optuna, which is not installed", 'Install it: pip install "ocrtrain[sweep]"'
        ) from error


def conclude(
    study: Study,
    space: Space,
    fit_words: Sequence[str],
    folder: Path,
    start: Mapping[str, Any] | None,
    finalists: Sequence[Finalist],
) -> float | None:
    """Write what was found, and say it; returns the best CER, None if no trial was completed."""
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    from ocrtrain.sweep.pictures import plot_importance, plot_trials
    from ocrtrain.sweep.results import format_standings, format_table, ranked, write_experiment, write_trials
    from ocrtrain.sweep.study import finished

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
        winner, cer, how = (
            finalists[0].trial,
            finalists[0].cer,
            f"mean of {len(finalists[0].cers)} other seeds",
        )
    values = space.values(winner.params)
    config = compose_fit([*fit_words, *(as_override(key, value) for key, value in values.items())])
    plain = choices_of(compose_fit([]))
    chosen = {g: o for g, o in choices_of(config).items() if g != "experiment" and o != plain.get(g)}
    defaults = settings(compose_fit([f"{group}={option}" for group, option in chosen.items()]))
    own_presets(chosen, folder / "conf")
    found = {key: value for key, value in settings(config).items() if key not in OWN}
    path = folder / "conf" / "experiment" / "best.yaml"
    presets = shell_word(str(folder / "conf"))
    about = (
        f"The best of {len(trials)} trials of the search {folder.name}: CER {cer:.2%} in validation, {how}"
    )
    write_experiment(path, about, chosen, found, defaults)
    print(
        f"\nbest CER {cer:.2%} by trial {winner.number}, {how}\n"
        f"record      {folder}/trials.csv, {pictures}\n"
        f"next        python -m ocrtrain fit --config-dir {presets} experiment=best",
        file=sys.stderr,
    )
    return cer


def own_presets(chosen: Mapping[str, str], conf: Path) -> None:
    """Copy the user's own presets that the best trial has: one folder is then enough to train with them."""
    for group, option in chosen.items():
        for folder in preset_folders()[1:]:
            file = folder / group / f"{option}.yaml"
            if file.is_file():
                (conf / group).mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, conf / group / file.name)


def _quoted(path: Path) -> str:
    return quoted(str(path))
