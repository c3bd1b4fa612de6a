"""Deterministic automata over the classes of a charset: what a beam search may write, or is rewarded for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ocrtrain.decoding.tables import DEAD, Automaton

NEVER = 2**30  # frames to an end that cannot be reached


@dataclass(frozen=True, slots=True)
class StartedAutomaton:
    """An automaton and the state that each text begins in; `longest_gain` is the most that a symbol gains."""

    automaton: Automaton
    start: int
    longest_gain: float = 0.0


def no_rules(classes: int) -> StartedAutomaton:
    """Allow everything: a search with these passes them over."""
    return StartedAutomaton(
        Automaton(
            np.zeros((0, 3), np.int32),
            np.zeros((0, 2), np.int32),
            np.zeros((0, 3)),
            np.zeros(classes, np.int32),
            np.zeros((0, 2), np.int32),
        ),
        DEAD,
    )


def from_table(following: NDArray[np.int32], accepting: NDArray[np.bool_]) -> Automaton:
    """Make an automaton of a table, following [S, K]: the state that each class leads to, -1 if to none.

    accepting: [S], where a text may end. Column 0, the blank's, is not looked at.
    """
    following = following.copy()
    following[:, 0] = DEAD
    S, K = following.shape
    need = frames_needed_to_end(following, accepting)
    # What leads nowhere ends the search at once, rather than when the frames run out.
    hopeless = need.min(axis=1) >= NEVER
    following[(following >= 0) & hopeless[following]] = DEAD
    source, symbol = np.nonzero(following >= 0)
    states = np.full((S + 1, 3), DEAD, np.int32)
    states[:, 0] = np.searchsorted(source, np.arange(S + 1))
    arcs = np.stack([symbol, following[source, symbol]], axis=1).astype(np.int32)
    gains = np.zeros((S, 3))
    gains[:, 2] = np.where(accepting, 0.0, -np.inf)
    return Automaton(states, arcs, gains, np.zeros(K, np.int32), need)


def frames_needed_to_end(following: NDArray[np.int32], accepting: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Count the frames from each state, after one of each class, to the nearest end: int32 [S, K].

    One for each symbol, and one for the blank between equal ones.
    """
    S, K = following.shape
    ends = np.where(accepting, 0, NEVER)[:, None]
    need = np.broadcast_to(ends, (S, K)).astype(np.int64)
    classes = np.arange(K)
    while True:
        step = np.where(following >= 0, 1 + need[following, classes], NEVER)  # by class k and on from there
        # The least over all classes, in which the class that was last costs one frame more.
        nearest = step.argmin(axis=1)
        least = step[np.arange(S), nearest][:, None]
        others = step.copy()
        others[np.arange(S), nearest] = NEVER
        second = others.min(axis=1)[:, None]
        doubled = np.minimum(second, least + 1)
        new = np.minimum(ends, np.where(classes[None] == nearest[:, None], doubled, least))
        new = np.minimum(new, NEVER)
        if np.array_equal(new, need):
            return need.astype(np.int32)
        need = new


def joined(automata: Sequence[Automaton]) -> tuple[Automaton, list[int]]:
    """Put automata side by side, for lines with rules of their own; returns their first states too."""
    starts, states, arcs = [], [], []
    state, arc = 0, 0
    for automaton in automata:
        S = len(automaton.gains)
        starts.append(state)
        rows = automaton.states[:-1].copy()
        rows[:, 0] += arc
        rows[:, 1:][rows[:, 1:] >= 0] += state
        states.append(rows)
        arcs.append(automaton.arcs + np.array([0, state], np.int32))
        state, arc = state + S, arc + len(automaton.arcs)
    states.append(np.array([[arc, DEAD, DEAD]], np.int32))
    return (
        Automaton(
            np.concatenate(states),
            np.concatenate(arcs),
            np.concatenate([automaton.gains for automaton in automata]),
            automata[0].kind,
            np.concatenate([automaton.need for automaton in automata]),
        ),
        starts,
    )
