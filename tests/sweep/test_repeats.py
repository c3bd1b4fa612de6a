"""Which trials are trained again with other seeds, and what comes of it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from optuna.pruners import NopPruner
from optuna.samplers import RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState, create_trial

from ocrtrain.sweep import repeats
from ocrtrain.sweep.search import Search
from ocrtrain.sweep.study import open_study

# A training with one validation.
JUDGED = """
import pathlib, sys
pathlib.Path(sys.argv[2], "metrics.csv").write_text("step,seconds,val_cer\\n1,1.0," + sys.argv[1] + "\\n")
"""
# The CERs that each trial has with each seed; trial 3 fails with one of them.
CERS = {(0, 1): 0.5, (0, 2): 0.25, (2, 1): 0.375, (2, 2): 0.25, (3, 1): 0.125, (3, 2): None, (4, 1): 0.1}


def trials(*values: float) -> list[FrozenTrial]:
    made = [create_trial(value=value, state=TrialState.COMPLETE) for value in values]
    for number, trial in enumerate(made):
        trial.number = number
    return made


def command(values: Mapping[str, Any], folder: Path, checkpoint: Path | None) -> list[str]:
    cer = CERS[values["trial"], values["seed"]]
    return [sys.executable, "-c", JUDGED if cer else "raise SystemExit(1)", str(cer), str(folder)]


def opened(folder: Path) -> Study:
    return open_study(
        "test-repeats", str(folder / "study.journal"), RandomSampler, NopPruner(), 0, {"a": "{}"}
    )


def search(study: Study, folder: Path) -> None:
    names = {"name": repeats.repeat_folder, "word": "repeat"}
    Search(study, repeats.REPEATS, folder, command, lambda step, seconds: 1.0, None, **names).run()


def test_the_best_and_what_they_have_to_beat() -> None:
    ranked = sorted(trials(0.5, 0.4, 0.3, 0.2), key=lambda trial: trial.value)
    given: dict[str, Any] = {}

    def chosen(count: int, start: dict[str, Any] | None) -> list[int]:
        return [trial.number for trial in repeats.finalists_of(ranked, count, start)]

    for trial in ranked:
        trial.params = {} if trial.number == 0 else {"x": trial.number}
    assert chosen(2, given) == [3, 2, 0]
    assert chosen(4, given) == [3, 2, 1, 0]
    assert chosen(2, None) == [3, 2]
    assert chosen(1, None) == []  # nothing to compare it with
    assert chosen(0, given) == []
    for trial in ranked[:3]:
        trial.params = {"x": 1}
    assert chosen(3, given) == [3, 0]  # the same settings again are no other finalist


def test_the_mean_of_other_seeds_decides(tmp_path: Path) -> None:
    study, made = opened(tmp_path), trials(0.4, 0.4, 0.3, 0.2)
    finalists = [made[3], made[2], made[0]]
    repeats.enqueue(study, finalists, [1, 2])
    assert repeats.standings(study, finalists, [1, 2]) == []
    search(study, tmp_path)
    judged = repeats.standings(study, finalists, [1, 2])
    # The best of the search failed once; whether it is better cannot be told.
    assert [(one.trial.number, one.cers) for one in judged] == [
        (2, {1: 0.375, 2: 0.25}),
        (0, {1: 0.5, 2: 0.25}),
    ]
    assert judged[0].cer == pytest.approx((0.375 + 0.25) / 2)
    assert sorted(place.name for place in tmp_path.glob("trial-*")) == [
        f"trial-000{trial}-seed-{seed}" for trial in (0, 2, 3) for seed in (1, 2)
    ]


def test_no_training_is_repeated_twice(tmp_path: Path) -> None:
    made = trials(0.4, 0.4, 0.3, 0.2, 0.1)
    study = opened(tmp_path)
    repeats.enqueue(study, [made[2]], [1])
    repeats.enqueue(study, [made[2]], [1])  # by another machine, before it began
    search(study, tmp_path)
    again = opened(tmp_path)  # the search goes on with more trials, and with other finalists
    repeats.enqueue(again, [made[4], made[2]], [1])
    search(again, tmp_path)
    assert [trial.params for trial in again.trials] == [{"trial": 2, "seed": 1}, {"trial": 4, "seed": 1}]
    assert [one.trial.number for one in repeats.standings(again, [made[4], made[2]], [1])] == [4, 2]


def test_a_training_that_was_completed_counts_whatever_became_of_another_try(tmp_path: Path) -> None:
    study, made = opened(tmp_path), trials(0.4, 0.4, 0.3)
    for _ in range(2):  # two machines at the same moment
        for number in (0, 2):
            study.enqueue_trial({"trial": number, "seed": 1})
    for state, value in ((TrialState.COMPLETE, 0.5), (TrialState.COMPLETE, 0.25), (TrialState.FAIL, None)):
        study.tell(study.ask(repeats.REPEATS.distributions()), value, state=state)
    assert [one.trial.number for one in repeats.standings(study, [made[2], made[0]], [1])] == [2, 0]


def test_one_that_is_left_is_compared_with_nothing(tmp_path: Path) -> None:
    study, made = opened(tmp_path), trials(0.4, 0.4, 0.3, 0.2)
    repeats.enqueue(study, [made[3], made[2]], [1, 2])
    search(study, tmp_path)
    assert repeats.standings(study, [made[3], made[2]], [1, 2]) == []  # 3 failed with seed 2


def test_a_training_that_another_machine_took_is_not_made_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = opened(tmp_path)
    # The queue was not empty when it was looked at.
    answers = iter([True, False])
    monkeypatch.setattr(Search, "_wants_more", lambda self: next(answers))
    search(study, tmp_path)
    assert not list(tmp_path.glob("trial-*")) and repeats.standings(study, [], []) == []
    assert [trial.state for trial in study.trials] == [TrialState.FAIL]
