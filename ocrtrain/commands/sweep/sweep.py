"""`sweep`: searches for settings of `fit` that read better, in trainings of their own. See docs/sweeps.md."""

from __future__ import annotations

import functools
import logging
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from ocrtrain.commands.fit.settings import TrainerSettings, trainer_settings
from ocrtrain.commands.settings import build, plain, read_config
from ocrtrain.commands.sweep.fit_settings import (
    check_keys,
    chosen_settings,
    compose_fit,
    identity,
    key_of,
    preset_folders,
    training_command,
    words_for_fit,
)
from ocrtrain.commands.sweep.settings import SweepSettings
from ocrtrain.errors import InputError
from ocrtrain.sweep.space import Space, find_space, read_space
from ocrtrain.training.budget import Budget

if TYPE_CHECKING:
    from ocrtrain.sweep.repeats import Finalist

log = logging.getLogger(__name__)


def run(config: DictConfig) -> float | None:
    """Search as `config` says; returns the best CER."""
    settings = read_config(SweepSettings, config)
    words = words_for_fit(config)
    space = open_space(settings, words)
    base = compose_fit(words)
    trainer = trainer_settings(plain(base.trainer))
    check_end(trainer)

    require_optuna()
    from optuna.exceptions import StorageInternalError
    from optuna.pruners import NopPruner
    from optuna.samplers import RandomSampler

    from ocrtrain.commands.sweep.report import report_search
    from ocrtrain.sweep import repeats
    from ocrtrain.sweep.results import ranked
    from ocrtrain.sweep.search import Search, environment_of
    from ocrtrain.sweep.study import finished, open_study, still_running, unusable

    # The study: begun, or gone on with if it was begun with the same space and settings.
    name = settings.run or f"sweep-{Path(settings.space).stem}"
    folder = Path(settings.runs) / name
    storage = settings.storage or str(folder / "study.journal")
    about = {"space": space.as_json(), "settings": identity(base)}
    sampler, pruner = build(settings.sampler), build(settings.pruner)
    study = open_study(name, storage, sampler, pruner, settings.seed, about)
    start = space.point(chosen_settings(base))
    if start is not None and not study.get_trials(deepcopy=False):
        study.enqueue_trial(start)  # what the search has to beat

    # The search.
    began = time.monotonic()
    searching = functools.partial(
        Search,
        folder=folder,
        share=functools.partial(share_of_budget, trainer),
        parallel=settings.parallel,
        environment=environment_of(settings.gpus, settings.parallel),
    )
    command = functools.partial(training_command, words)
    search = searching(study, space, command=command, trials=settings.trials, seconds=settings.max_time)
    log.info("search %s: %s, in %s", name, ", ".join(space.parameters), folder)
    finalists: list[Finalist] = []
    try:
        search.run()

        # The best trials again, with other seeds: which of them comes first is partly luck.
        chosen = repeats.finalists_of(ranked(finished(study)), settings.finalists, start)
        seeds = [settings.seed + i for i in range(1, settings.repeats + 1)]
        if chosen and seeds and not search.interrupted and still_running(study):
            log.info(
                "the best are not trained again yet: others still train trials, or were killed not long ago;"
                " the same command does so when they have ended"
            )
        elif chosen and seeds and not search.interrupted:
            again = open_study(f"{name}-repeats", storage, RandomSampler, NopPruner(), settings.seed, about)
            repeats.enqueue(again, chosen, seeds)

            def repeat(values: Mapping[str, Any], place: Path, checkpoint: Path | None) -> list[str]:
                trial = study.get_trials(deepcopy=False)[values["trial"]]
                return command({**space.values(trial.params), "seed": values["seed"]}, place, checkpoint)

            limit = settings.max_time
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

    # What came out.
    best = report_search(study, space, words, folder, start, finalists)
    if search.interrupted:
        why = "the time is used up" if search.out_of_time else "stopped on request"
        print(f"\n{why}; the same command goes on", file=sys.stderr)
    if search.stopped_by is not None:
        raise SystemExit(128 + search.stopped_by)
    return best


def open_space(settings: SweepSettings, words: list[str]) -> Space:
    """Read what is to be searched, without what is given; raises InputError where nothing is left."""
    if settings.resume is not None:
        raise InputError(f"resume={settings.resume}", "is for one training", "a search goes on by itself.")
    space = read_space(find_space(settings.space, preset_folders()))
    check_keys(space, words)
    given = {key_of(word) for word in words}
    if fixed := [key for key in space.parameters if key in given]:
        log.info("given, and not searched for: %s", ", ".join(fixed))
        return space.without(fixed)
    return space


def check_end(trainer: TrainerSettings) -> None:
    """Raise InputError unless the trials' trainings end by themselves."""
    if trainer.max_epochs is None and trainer.max_steps is None and trainer.max_time is None:
        raise InputError(
            "trainer",
            "has no end",
            "say how long each trial may train: trainer.max_time=30m, trainer.max_steps or"
            " trainer.max_epochs.",
        )


def share_of_budget(trainer: TrainerSettings, step: int, at: float) -> float | None:
    """Tell which share of the budget `step` steps and `at` seconds are; None if that is not known."""
    # How many steps an epoch has is known to the training alone.
    if trainer.max_epochs is not None:
        return None
    return Budget(trainer.max_steps, trainer.max_time).progress(step, at)


def require_optuna() -> None:
    """Raise InputError where Optuna is missing."""
    try:
        import optuna  # noqa: F401
    except ImportError as error:
        raise InputError(
            "sweep", "needs Optuna, which is not installed", 'Install it: pip install "ocrtrain[sweep]"'
        ) from error
