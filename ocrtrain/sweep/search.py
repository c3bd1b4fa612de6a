"""The search itself: trials begun, watched, cut short when they fall behind, and put on record."""

from __future__ import annotations

import logging
import math
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from ocrtrain.cores import usable_cores
from ocrtrain.errors import InputError
from ocrtrain.sweep.space import Space
from ocrtrain.sweep.study import NEVER_RAN, abandoned, enqueued, finished, sign_of_life, still_running
from ocrtrain.sweep.training import Training, best_cer, still_at_work

log = logging.getLogger(__name__)

LOOK = 0.5  # seconds between two looks at the trainings
SIGN = 60.0  # seconds between two signs of life
PATIENCE = 120.0  # seconds that a training has to end after the step at hand
# So many failures, with no trial that went well, are no bad luck.
HOPELESS = 3

# Gives the command of a trial: its settings, its folder, the checkpoint to go on from.
Command = Callable[[Mapping[str, Any], Path, Path | None], list[str]]
# Gives the name of a trial's folder: its number, what the study has stored of its settings.
Name = Callable[[int, Mapping[str, Any]], str]


def folder_of(number: int, stored: Mapping[str, Any]) -> str:
    """The name of a trial's folder, and of its run."""
    return f"trial-{number:04}"


@dataclass(slots=True)
class Running:
    """A trial, its training and its place among those that run at the same time."""

    trial: Trial
    training: Training
    slot: int
    before: float = 0.0  # seconds that it ran before it was interrupted
    hopeless: bool = False
    asked: float | None = None  # when it was asked to stop
    told: set[int] = field(default_factory=set)


class Search:
    """Runs trials until there are `trials` of them in the study, `parallel` at a time.

    trials: None for those that wait in the study's queue. share: tells which share of its budget a training
    has used, by steps and seconds; None where that cannot be known. environment: variables of the training in
    a slot. seconds: after which to stop, trials and all. word: what the log calls a trial.
    """

    def __init__(
        self,
        study: Study,
        space: Space,
        folder: Path,
        command: Command,
        share: Callable[[int, float], float | None],
        trials: int | None,
        parallel: int = 1,
        seconds: float | None = None,
        environment: Callable[[int], Mapping[str, str]] = lambda slot: {},
        name: Name = folder_of,
        word: str = "trial",
    ) -> None:
        self.study, self.space, self.folder, self.command = study, space, folder, command
        self.share, self.trials, self.parallel = share, trials, parallel
        self.seconds, self.environment, self.name, self.word = seconds, environment, name, word
        self.stopped_by: int | None = None  # a signal's number
        self.out_of_time = False
        self.running: list[Running] = []
        self._orphans: set[int] = set()
        self._failures: int | None = 0  # in a row, from the first trial on; None once one went well
        self._began = self._signed = time.monotonic()

    @property
    def interrupted(self) -> bool:
        """Whether it ended before its trials did, by a signal or because its time was over."""
        return self.stopped_by is not None or self.out_of_time

    def run(self) -> None:
        """Search. A request to stop (Ctrl-C, SIGTERM) ends the trainings with checkpoints to go on from.

        Raises InputError where the first trials all fail.
        """
        numbers = (signal.SIGINT, signal.SIGTERM)
        handlers = [(number, signal.signal(number, self._on_signal)) for number in numbers]
        try:
            while self._goes_on():
                time.sleep(LOOK)
                for running in list(self.running):
                    self._look_at(running)
                self._give_signs()
        finally:
            self._stop_all()
            for number, handler in handlers:
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.stopped_by is not None:  # asked twice: now
            for running in self.running:
                running.asked = -math.inf
        self.stopped_by = number

    def _goes_on(self) -> bool:
        """Begin what there is room for, and tell whether anything is left to wait for."""
        if self.seconds is not None and time.monotonic() - self._began > self.seconds:
            self.out_of_time = True
        if self.interrupted:
            return False
        if self._failures == HOPELESS and self.trials is not None:
            raise InputError(
                f"the first {HOPELESS} trials",
                "all failed, for the reasons above",
                f"each has its log.txt, in {self.folder}/trial-*.",
            )
        while len(self.running) < self.parallel and self._begin():
            if self.stopped_by is not None:
                return False
        return bool(self.running)

    def _begin(self) -> bool:
        """Begin a trial: one that was interrupted, else a new one; False if there is none to begin."""
        mine = {running.trial.number for running in self.running}
        for left in abandoned(self.study):
            if left.number in mine:
                continue
            if set(left.params) != set(self.space.parameters):
                self._forget(left)
                continue
            if self._resume(left):
                return True
        if not self._wants_more():
            return False
        trial = self.study.ask(self.space.distributions())
        if self.trials is None and not enqueued(self.study, trial.number):
            # Another machine took the last one in the meantime, and these settings were drawn at random.
            trial.set_user_attr(NEVER_RAN, True)
            self.study.tell(trial, state=TrialState.FAIL)
            return False
        self._start(trial, trial.params, checkpoint=None)
        return True

    def _wants_more(self) -> bool:
        if self.trials is None:
            return bool(self.study.get_trials(deepcopy=False, states=(TrialState.WAITING,)))
        return len(finished(self.study)) + still_running(self.study) < self.trials

    def _forget(self, left: FrozenTrial) -> None:
        """A process was killed between a trial's number and its settings: what was enqueued is so again."""
        Trial(self.study, left._trial_id).set_user_attr(NEVER_RAN, True)
        self.study.tell(left.number, state=TrialState.FAIL)
        if wanted := enqueued(self.study, left.number):
            self.study.enqueue_trial(wanted)

    def _resume(self, left: FrozenTrial) -> bool:
        place = self.folder / self.name(left.number, left.params)
        if process := still_at_work(place):
            if left.number not in self._orphans:
                told = "%s %d is still trained by process %d, whose search was killed: left alone"
                log.warning(told, self.word, left.number, process)
            self._orphans.add(left.number)
            return False
        last = place / "checkpoints" / "last.ckpt"
        self._start(Trial(self.study, left._trial_id), left.params, last if last.is_file() else None)
        return True

    def _start(self, trial: Trial, stored: Mapping[str, Any], checkpoint: Path | None) -> None:
        place = self.folder / self.name(trial.number, stored)
        slot = min(set(range(self.parallel)) - {running.slot for running in self.running})
        for key, value in sign_of_life().items():
            trial.set_user_attr(key, value)
        command = self.command(self.space.values(stored), place, checkpoint)
        training = Training(command, place, self.environment(slot))
        before = float(trial.user_attrs.get("seconds", 0.0))
        self.running.append(Running(trial, training, slot, before))
        words = "  ".join(f"{key}={shown(value)}" for key, value in stored.items())
        how = "begins" if checkpoint is None else "goes on"
        log.info("%s %d  %s  %s", self.word, trial.number, how, words)

    def _look_at(self, running: Running) -> None:
        """Put a training's new validations on record; judge it by them, or by its end."""
        code = running.training.code
        judged = running.training.validations()
        for validation in judged:
            self._tell(running, validation.step, validation.seconds, validation.cer)
        if running.hopeless and code is None and running.asked is None:
            running.asked = time.monotonic()
            running.training.ask_to_stop()
        if running.asked is not None and time.monotonic() - running.asked > PATIENCE:
            running.training.kill()
            code = running.training.code
        if code is None:
            return
        self.running.remove(running)
        trial = running.trial
        trial.set_user_attr("seconds", round(running.before + running.training.seconds, 1))
        cer = best_cer(judged)
        if running.hopeless:
            self.study.tell(trial, state=TrialState.PRUNED)
            self._failures = None
            shown_cer = f"{cer:.2%}" if cer else cer
            log.info("%s %d  stopped early at CER %s", self.word, trial.number, shown_cer)
        elif code == 0 and cer is not None:
            self.study.tell(trial, cer)
            self._failures = None
            best = self.study.best_trial
            so_far = "" if self.trials is None else f"  (best: trial {best.number}, CER {best.value:.2%})"
            log.info("%s %d  CER %.2f%%%s", self.word, trial.number, 100 * cer, so_far)
        else:
            ended = f"exit code {code}" if code else "no CER that is a number"
            trial.set_user_attr("failure", f"{ended}\n{running.training.last_words()}")
            self.study.tell(trial, state=TrialState.FAIL)
            self._failures = None if self._failures is None else self._failures + 1
            words = running.training.last_words()
            log.warning("%s %d  failed: %s\n%s", self.word, trial.number, ended, words)

    def _tell(self, running: Running, step: int, seconds: float, cer: float) -> None:
        """Report the first CER of each tenth of the budget, or each CER where the budget has no tenths."""
        share = self.share(step, seconds)
        at = len(running.told) + 1 if share is None else int(share * 10 + 1e-6)
        known = step if share is None else at
        if known in running.told or not math.isfinite(cer):
            return
        running.told.add(known)
        trial = running.trial
        if at in self._reported(trial):
            return
        trial.report(cer, at)
        # At the end there is nothing left to save.
        if (share is None or share < 1.0) and trial.should_prune():
            running.hopeless = True

    def _reported(self, trial: Trial) -> set[int]:
        trials = self.study.get_trials(deepcopy=False)
        return set(trials[trial.number].intermediate_values)

    def _give_signs(self) -> None:
        now = time.monotonic()
        if now - self._signed < SIGN:
            return
        self._signed = now
        for running in self.running:
            running.trial.set_user_attr("alive", sign_of_life()["alive"])

    def _stop_all(self) -> None:
        """End the trainings; their trials stay on record as running, for the next search to go on with."""
        for running in self.running:
            running.training.ask_to_stop()
            running.asked = time.monotonic() if running.asked is None else running.asked
        if self.running:
            log.info("stopping %d %ss, with checkpoints to go on from ...", len(self.running), self.word)
        while any(running.training.code is None for running in self.running):
            for running in self.running:
                if running.asked is not None and time.monotonic() - running.asked > PATIENCE:
                    running.training.kill()
            time.sleep(LOOK)
        for running in self.running:
            running.trial.set_user_attr("seconds", round(running.before + running.training.seconds, 1))
            running.trial.set_user_attr("alive", 0.0)
        self.running.clear()


def shown(value: Any) -> str:
    """A value as a table shows it."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def environment_of(gpus: list[int | str] | None, parallel: int) -> Callable[[int], dict[str, str]]:
    """Give what each slot's training finds in its environment: a GPU of its own, its share of the cores."""
    threads = str(max(1, usable_cores() // parallel))
    own = {} if parallel == 1 or "OMP_NUM_THREADS" in os.environ else {"OMP_NUM_THREADS": threads}

    def environment(slot: int) -> dict[str, str]:
        return own if not gpus else {**own, "CUDA_VISIBLE_DEVICES": str(gpus[slot % len(gpus)])}

    return environment
