"""The best trials trained again with other seeds: which of them comes first with one seed is partly luck."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from ocrtrain.sweep.space import Range, Space
from ocrtrain.sweep.study import NEVER_RAN

# What a study of repeats has on record: which trial was trained again, with which seed.
REPEATS = Space("repeats", {"trial": Range(0, 10**9), "seed": Range(0, 2**32 - 1)})


@dataclass(frozen=True, slots=True)
class Finalist:
    """A trial and its CERs with other seeds."""

    trial: FrozenTrial
    cers: dict[int, float]  # by seed

    @property
    def cer(self) -> float:
        """The mean CER, without that of the trial itself, for which it was chosen."""
        return statistics.fmean(self.cers.values())


def finalists_of(
    ranked: Sequence[FrozenTrial], count: int, given: Mapping[str, Any] | None
) -> list[FrozenTrial]:
    """The `count` best trials, and the one that they have to beat: that with the settings as `given`.

    ranked: the completed trials, the best first. Returns none where there is nothing to compare.
    """
    if count == 0:
        return []
    chosen = [trial for i, trial in enumerate(ranked) if i < count or trial.params == given]
    return chosen if len(chosen) > 1 else []


def enqueue(study: Study, finalists: Sequence[FrozenTrial], seeds: Sequence[int]) -> None:
    """Put the trainings in line that are not on record yet, seed by seed."""
    known = [_stored(trial) for trial in _repeats(study)]
    for seed in seeds:
        for trial in finalists:
            wanted = {"trial": trial.number, "seed": seed}
            if wanted not in known:
                study.enqueue_trial(wanted)


def standings(study: Study, finalists: Sequence[FrozenTrial], seeds: Sequence[int]) -> list[Finalist]:
    """The finalists by their mean CER, the best first, without those that failed with a seed.

    Returns none as long as a training is missing.
    """
    ended = {TrialState.COMPLETE, TrialState.FAIL}
    repeats = [trial for trial in _repeats(study) if trial.state in ended]
    value = {(t.params["trial"], t.params["seed"]): t.value for t in repeats}
    if any((trial.number, seed) not in value for trial in finalists for seed in seeds):
        return []
    judged = []
    for trial in finalists:
        cers = {seed: cer for seed in seeds if (cer := value[trial.number, seed]) is not None}
        if len(cers) == len(seeds):
            judged.append(Finalist(trial, cers))
    return sorted(judged, key=lambda finalist: (finalist.cer, finalist.trial.number))


def folder_of(number: int, repeat: Mapping[str, Any]) -> str:
    """The name of the folder of a training with another seed."""
    return f"trial-{repeat['trial']:04}-seed-{repeat['seed']}"


def _repeats(study: Study) -> list[FrozenTrial]:
    return [trial for trial in study.get_trials(deepcopy=False) if NEVER_RAN not in trial.user_attrs]


def _stored(trial: FrozenTrial) -> dict[str, Any]:
    """A trial's settings, also of one that waits for its turn."""
    return trial.params or dict(trial.system_attrs.get("fixed_params", {}))
