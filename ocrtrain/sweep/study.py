"""The study of a search: where its trials are on record, for this process and for those of other machines."""

from __future__ import annotations

import json
import os
import platform
import time
import warnings
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from ocrtrain.errors import InputError
from ocrtrain.files import unwritable
from ocrtrain.run_mark import process_lives

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
# A process that has said nothing about its trial for so long does not work on it any more.
SILENCE = 600.0  # seconds
# SQLite waits 5 seconds for other processes by default; many trials may end at once.
PATIENCE = 60.0  # seconds
# Marks a trial that was on record before its settings were: it never ran.
NEVER_RAN = "never_ran"


def open_study(
    name: str,
    storage: str,
    make_sampler: Callable[..., BaseSampler],
    pruner: BasePruner,
    seed: int,
    about: dict[str, str],
) -> Study:
    """Open the study `name`, or begin it.

    storage: a file, or the URL of a database. about: what makes the trials comparable, as JSON objects.
    Raises InputError if the study was begun with something else, and for a storage that cannot be used.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    optuna.logging.disable_default_handler()
    optuna.logging.enable_propagation()
    warnings.simplefilter("ignore", ExperimentalWarning)
    try:
        study = optuna.create_study(
            storage=_storage(storage),
            study_name=name,
            pruner=pruner,
            direction="minimize",
            load_if_exists=True,
        )
        known = study.user_attrs
        trials = len(study.get_trials(deepcopy=False))
        if not known:
            for key, value in about.items():
                study.set_user_attr(key, value)
    except InputError:
        raise
    except OSError as error:
        raise unwritable(storage, error) from error
    except Exception as error:
        raise unusable(storage, error) from error
    for what, value in about.items():
        if known and (there := known.get(what)) != value:
            raise InputError(
                f"run={name}",
                f"is a search that was begun with {'; '.join(differences(str(there), value))}",
                "trials would not compare: choose another name with run=NAME.",
            )
    # A sampler with the same seed would draw the same settings again after each start.
    own = zlib.crc32(f"{platform.node()}:{os.getpid()}".encode()) if "://" in storage else 0
    study.sampler = make_sampler(seed=int(np.random.SeedSequence((seed, trials, own)).generate_state(1)[0]))
    return study


def _storage(storage: str) -> BaseStorage:
    if "://" in storage:
        wait = {"connect_args": {"timeout": PATIENCE}} if storage.startswith("sqlite") else {}
        return RDBStorage(storage, engine_kwargs=wait)
    Path(storage).parent.mkdir(parents=True, exist_ok=True)
    return JournalStorage(JournalFileBackend(storage))


def unusable(storage: str, error: Exception) -> InputError:
    """Say in a line why a storage cannot be used, without the password that a URL may have."""
    shown = str(error.__cause__ or error).strip() or type(error).__name__
    reason = next((line for line in shown.splitlines() if line.strip()), type(error).__name__)
    with suppress(Exception):
        from sqlalchemy.engine import make_url

        secret = make_url(storage).password
        storage = make_url(storage).render_as_string(hide_password=True) if "://" in storage else storage
        reason = reason.replace(str(secret), "***") if secret else reason
    kind = type(error).__name__
    if "locked" in reason:
        way_on = "another process holds it: wait until that has ended, or name another storage."
    elif isinstance(error, (ImportError, ModuleNotFoundError)):
        way_on = "install that database's driver for SQLAlchemy, with pip."
    elif "version" in reason or "schema" in reason:
        way_on = f"it is of another version of Optuna than {optuna.__version__}: name another storage."
    else:
        way_on = "name a file, or a database's URL such as postgresql://USER@HOST/NAME."
    return InputError(f"storage={storage}", f"cannot be used ({kind}): {reason}", way_on)


def differences(there: str, here: str) -> list[str]:
    """Say in which keys two JSON objects differ: `key=theirs, not ours`."""
    theirs, ours = (json.loads(text) for text in (there, here))
    keys = [key for key in {**theirs, **ours} if theirs.get(key) != ours.get(key)]
    return [f"{key}={theirs.get(key, 'nothing')}, not {ours.get(key, 'nothing')}" for key in keys]


def finished(study: Study) -> list[FrozenTrial]:
    """The trials that have ended, one way or another, in the order in which they began."""
    trials = study.get_trials(deepcopy=False, states=FINISHED)
    return [trial for trial in trials if NEVER_RAN not in trial.user_attrs]


def enqueued(study: Study, number: int) -> dict[str, Any]:
    """The settings with which a trial was enqueued; none for one whose settings the sampler drew."""
    return dict(study.get_trials(deepcopy=False)[number].system_attrs.get("fixed_params", {}))


def still_running(study: Study) -> int:
    """Count the trials that some process works on, or may go on with."""
    return len(study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)))


def abandoned(study: Study) -> list[FrozenTrial]:
    """The trials on record as running that no process works on any more."""
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    return [trial for trial in running if not _attended(trial.user_attrs)]


def sign_of_life() -> dict[str, Any]:
    """Give what a process notes about each of its trials, again and again."""
    return {"host": platform.node(), "pid": os.getpid(), "alive": round(time.time())}


def _attended(noted: dict[str, Any]) -> bool:
    if noted.get("host") == platform.node() and not process_lives(int(noted.get("pid", 0))):
        return False
    return time.time() - float(noted.get("alive", 0.0)) < SILENCE
