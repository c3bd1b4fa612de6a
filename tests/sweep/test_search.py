"""The search with trainings that are real processes but learn nothing: they write what they are told to."""

from __future__ import annotations

import json
import os
import platform
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.samplers import RandomSampler
from optuna.study import Study
from optuna.trial import TrialState

from ocrtrain.errors import InputError
from ocrtrain.sweep.search import Search, environment_of
from ocrtrain.sweep.space import Range, Space
from ocrtrain.sweep.study import finished, open_study
from ocrtrain.sweep.training import read_validations

SPACE = Space("test", {"x": Range(0.0, 1.0)})
ABOUT = {"space": SPACE.as_json(), "settings": "{}"}

# A training of ten validations whose CER approaches x, like a run's folder on disk.
LEARNS = """
import json, pathlib, sys, time
x, folder, pause, start = float(sys.argv[1]), pathlib.Path(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
(folder / "checkpoints").mkdir(exist_ok=True)
table = folder / "metrics.csv"
if start == 0:
    table.write_text("step,seconds,loss,val_cer\\n")
for step in range(start + 1, 11):
    with open(table, "a") as file:
        file.write(f"{step},{step}.5,0.1,{x + (1 - x) / step:.6g}\\n")
    (folder / "checkpoints/last.ckpt").write_text(str(step))
    time.sleep(pause)
print("done")
"""


def learns(pause: float = 0.0) -> Callable[[Mapping[str, Any], Path, Path | None], list[str]]:
    def command(values: Mapping[str, Any], folder: Path, checkpoint: Path | None) -> list[str]:
        start = "0" if checkpoint is None else checkpoint.read_text()
        return [sys.executable, "-c", LEARNS, str(values["x"]), str(folder), str(pause), start]

    return command


def ends_with(code: int) -> Callable[[Mapping[str, Any], Path, Path | None], list[str]]:
    def command(values: Mapping[str, Any], folder: Path, checkpoint: Path | None) -> list[str]:
        return [sys.executable, "-c", f"print('error: no such thing'); raise SystemExit({code})"]

    return command


def share(step: int, seconds: float) -> float:
    return step / 10


def opened(folder: Path, pruner: optuna.pruners.BasePruner | None = None, **others: Any) -> Study:
    pruner = optuna.pruners.NopPruner() if pruner is None else pruner
    words = {"storage": str(folder / "study.journal"), "seed": 0, "about": ABOUT, **others}
    return open_study("test", words["storage"], RandomSampler, pruner, words["seed"], words["about"])


def test_trials_run_side_by_side_and_are_on_record(tmp_path: Path) -> None:
    study = opened(tmp_path)
    Search(study, SPACE, tmp_path, learns(), share, trials=4, parallel=2).run()
    done = finished(opened(tmp_path))  # as another process reads it
    assert [trial.state for trial in done] == [TrialState.COMPLETE] * 4
    for trial in done:
        x = trial.params["x"]
        assert trial.value == pytest.approx(x + (1 - x) / 10, abs=1e-5)
        assert list(trial.intermediate_values) == list(range(1, 11))
        assert (tmp_path / f"trial-{trial.number:04}/log.txt").read_text().endswith("\ndone\n")
    # No more than were asked for; and more, when more are.
    Search(study, SPACE, tmp_path, learns(), share, trials=4).run()
    assert len(finished(study)) == 4
    again = opened(tmp_path)
    Search(again, SPACE, tmp_path, learns(), share, trials=5).run()
    values = [trial.params["x"] for trial in finished(again)]
    assert len(set(values)) == 5  # a resumed search draws new settings


def test_a_trial_that_falls_behind_is_stopped_early(tmp_path: Path) -> None:
    study = opened(tmp_path, optuna.pruners.MedianPruner(n_startup_trials=2, n_warmup_steps=2))
    for x in (0.1, 0.2, 0.9):
        study.enqueue_trial({"x": x})
    Search(study, SPACE, tmp_path, learns(pause=0.0), share, trials=2).run()
    Search(study, SPACE, tmp_path, learns(pause=1.0), share, trials=3).run()
    behind = study.trials[2]
    assert behind.state == TrialState.PRUNED
    assert 2 <= max(behind.intermediate_values) < 10  # not in the warm-up, and not at the end
    assert study.best_trial.params["x"] == 0.1


def test_trials_that_fail_are_passed_over(tmp_path: Path) -> None:
    def command(values: Mapping[str, Any], folder: Path, checkpoint: Path | None) -> list[str]:
        make = ends_with(2) if values["x"] > 0.5 else learns()
        return make(values, folder, checkpoint)

    study = opened(tmp_path)
    for x in (0.9, 0.1, 0.8, 0.7, 0.6):
        study.enqueue_trial({"x": x})
    Search(study, SPACE, tmp_path, command, share, trials=5).run()
    states = [trial.state for trial in study.trials]
    assert states == [TrialState.FAIL, TrialState.COMPLETE, *[TrialState.FAIL] * 3]
    assert study.trials[0].user_attrs["failure"] == "exit code 2\nerror: no such thing"


def test_a_training_without_a_number_has_failed(tmp_path: Path) -> None:
    table = "step,seconds,val_cer\\n1,1,nan\\n"
    script = f"import pathlib, sys; pathlib.Path(sys.argv[1], 'metrics.csv').write_text('{table}')"

    def command(values: Mapping[str, Any], folder: Path, checkpoint: Path | None) -> list[str]:
        return [sys.executable, "-c", script, str(folder)]

    study = opened(tmp_path)
    Search(study, SPACE, tmp_path, command, share, trials=1).run()
    assert study.trials[0].state == TrialState.FAIL
    assert study.trials[0].user_attrs["failure"].startswith("no CER that is a number")


def test_a_search_whose_first_trials_all_fail_stops(tmp_path: Path) -> None:
    study = opened(tmp_path)
    with pytest.raises(InputError, match="the first 3 trials: all failed"):
        Search(study, SPACE, tmp_path, ends_with(1), share, trials=20).run()
    assert len(finished(study)) == 3


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, None])
def test_what_was_interrupted_goes_on(tmp_path: Path, how: signal.Signals | None) -> None:
    study = opened(tmp_path)
    search = Search(study, SPACE, tmp_path, learns(pause=0.5), share, trials=2, parallel=2)

    def interrupt() -> None:
        while len(list(tmp_path.glob("trial-*/checkpoints/last.ckpt"))) < 2:
            time.sleep(0.1)
        if how is None:
            search.seconds = 0.0
        else:
            os.kill(os.getpid(), how)

    threading.Thread(target=interrupt, daemon=True).start()
    search.run()
    assert search.stopped_by == how and search.out_of_time == (how is None)
    assert [trial.state for trial in study.trials] == [TrialState.RUNNING] * 2
    steps = [int((tmp_path / f"trial-000{i}/checkpoints/last.ckpt").read_text()) for i in range(2)]
    assert all(1 <= step < 10 for step in steps)

    again = opened(tmp_path)
    Search(again, SPACE, tmp_path, learns(), share, trials=2).run()
    assert [trial.state for trial in again.trials] == [TrialState.COMPLETE] * 2
    for i in range(2):
        judged = read_validations(tmp_path / f"trial-000{i}/metrics.csv")
        assert [validation.step for validation in judged] == list(range(1, 11))  # none of them twice


def begun_by_another(study: Study, folder: Path, **noted: Any) -> None:
    """Put a running trial on record, as another search that was killed leaves it."""
    trial = study.ask(SPACE.distributions())
    for key, value in {"host": platform.node(), "pid": 2**22 + 1, "alive": time.time(), **noted}.items():
        trial.set_user_attr(key, value)


def test_trials_of_a_killed_search_are_taken_over(tmp_path: Path) -> None:
    study = opened(tmp_path)
    begun_by_another(study, tmp_path)  # no such process
    begun_by_another(study, tmp_path, host="elsewhere", alive=time.time() - 3600)  # silent for an hour
    study.ask()  # killed before its settings were on record
    Search(study, SPACE, tmp_path, learns(), share, trials=2).run()
    states = [trial.state for trial in study.trials]
    assert states == [TrialState.COMPLETE, TrialState.COMPLETE, TrialState.FAIL]
    assert [trial.number for trial in finished(study)] == [0, 1]


def test_what_was_enqueued_is_tried_although_a_search_was_killed_at_its_beginning(tmp_path: Path) -> None:
    study = opened(tmp_path)
    study.enqueue_trial({"x": 0.125})
    study.ask()  # killed before its settings were on record
    Search(study, SPACE, tmp_path, learns(), share, trials=1).run()
    assert [trial.params["x"] for trial in finished(study)] == [0.125]


def test_trials_of_a_search_that_lives_are_left_alone(tmp_path: Path) -> None:
    study = opened(tmp_path)
    begun_by_another(study, tmp_path, host="elsewhere")
    begun_by_another(study, tmp_path, pid=os.getpid())
    begun_by_another(study, tmp_path)
    # The last one's search is gone, but its training is not.
    left = tmp_path / "trial-0002"
    left.mkdir()
    (left / "log.txt").touch()
    (left / ".ocrtrain-run").write_text(json.dumps({"pid": os.getpid(), "host": platform.node()}))
    Search(study, SPACE, tmp_path, learns(), share, trials=4).run()
    assert [trial.state for trial in study.trials] == [*[TrialState.RUNNING] * 3, TrialState.COMPLETE]


def test_another_space_or_other_settings_need_another_name(tmp_path: Path) -> None:
    opened(tmp_path)
    with pytest.raises(InputError, match="run=test: is a search that was begun with seed=nothing, not 1\n"):
        opened(tmp_path, about={**ABOUT, "settings": '{"seed": 1}'})


@pytest.mark.parametrize(
    ("content", "complaint"),
    [("no journal\n", "cannot be used"), ('{"op_code": 99, "worker_id": "w"}\n', "cannot be used")],
)
def test_a_file_that_is_no_study(tmp_path: Path, content: str, complaint: str) -> None:
    (tmp_path / "study.journal").write_text(content)
    with pytest.raises(InputError, match=complaint):
        opened(tmp_path)


def test_a_database_serves_as_well(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path}/study.db"
    study = opened(tmp_path, storage=storage)
    Search(study, SPACE, tmp_path, learns(), share, trials=2).run()
    assert len(finished(opened(tmp_path, storage=storage))) == 2


def test_databases_that_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"storage=nosuch://me:\*\*\*@host/db: cannot be used") as refused:
        opened(tmp_path, storage="nosuch://me:secret@host/db")
    assert "secret" not in str(refused.value)
    opened(tmp_path, storage=f"sqlite:///{tmp_path}/old.db")
    with sqlite3.connect(tmp_path / "old.db") as database:
        database.execute("update version_info set schema_version = 1, library_version = '0.1'")
        database.execute("update alembic_version set version_num = 'v0.9.0.a'")
    with pytest.raises(InputError, match="is of another version of Optuna than"):
        opened(tmp_path, storage=f"sqlite:///{tmp_path}/old.db")
    monkeypatch.setattr("ocrtrain.sweep.study.PATIENCE", 0.1)
    holder = sqlite3.connect(tmp_path / "held.db", isolation_level=None)
    holder.execute("begin exclusive")
    with pytest.raises(InputError, match="another process holds it"):
        opened(tmp_path, storage=f"sqlite:///{tmp_path}/held.db")
    holder.close()


def test_each_slot_has_its_share_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert environment_of(None, 1)(0) == {}
    two = environment_of([3, 5], 2)
    assert [two(slot)["CUDA_VISIBLE_DEVICES"] for slot in range(2)] == ["3", "5"]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    assert int(two(0)["OMP_NUM_THREADS"]) == max(1, cores // 2)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")  # the user's choice stays
    assert "OMP_NUM_THREADS" not in environment_of(None, 2)(0)


def test_a_row_that_is_being_written_is_no_row(tmp_path: Path) -> None:
    table = tmp_path / "metrics.csv"
    assert read_validations(table) == []
    table.write_text("step,seconds,loss,val_cer\n10,1.5,0.3,\n20,3.0,0.2,0.25\n30,4.5,0.1,0.0")
    assert [(v.step, v.seconds, v.cer) for v in read_validations(table)] == [(20, 3.0, 0.25)]
