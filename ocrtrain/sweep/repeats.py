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

    ranked: the completed trials, the best first; of those with the same settings, the first one counts.
    Returns none where there is nothing to compare.
    """
    distinct: list[FrozenTrial] = []
    for trial in ranked:
        if all(trial.params != other.params for other in distinct):
            distinct.append(trial)
    chosen = [trial for i, trial in enumerate(distinct) if i < count or trial.params == given]
    return chosen if count and len(chosen) > 1 else []


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

    Returns none as long as a training is missing, or where fewer than two are left to compare.
    """
    value: dict[tuple[int, int], float | None] = {}
    for repeat in _repeats(study):
        key = (repeat.params.get("trial", -1), repeat.params.get("seed", -1))
        if repeat.state == TrialState.COMPLETE:  # it counts, whatever became of a second try
            value[key] = repeat.value
        elif repeat.state == TrialState.FAIL:
            value.setdefault(key, None)
    if any((trial.number, seed) not in value for trial in finalists for seed in seeds):
        return []
    judged = []
    for trial in finalists:
        cers = {seed: cer for seed in seeds if (cer := value[trial.number, seed]) is not None}
        if len(cers) == len(seeds):
            judged.append(Finalist(trial, cers))
    judged.sort(key=lambda finalist: (finalist.cer, finalist.trial.number))
    return judged if len(judged) > 1 else []


def repeat_folder(number: int, repeat: Mapping[str, Any]) -> str:
    """The name of the folder of a training with another seed, whatever its number in its own study."""
    return f"trial-{repeat['trial']:04}-seed-{repeat['seed']}"


def _repeats(study: Study) -> list[FrozenTrial]:
    return [trial for trial in study.get_trials(deepcopy=False) if NEVER_RAN not in trial.user_attrs]


def _stored(trial: FrozenTrial) -> dict[str, Any]:
    """A trial's settings, also of one that waits for its turn."""
    return trial.params or dict(trial.system_attrs.get("fixed_params", {}))
