"""Steps through the tables of a language model and of rules (`tables.py`), compiled by Numba."""

# Numba compiles these functions from their source: their arguments are the tables' arrays and tuples, and
# annotations would only repeat that.
# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import numba

from ocrtrain.decoding.tables import BACKOFF, FIRST, FOLLOW, LOG_PROB, ROOT, SUFFIX, SYMBOL_OF


@numba.njit(cache=True, nogil=True)
def _ordered_search(table, low, high, symbol, column):
    """The row of table[low:high], ordered by `column`, that has `symbol` there; -1 if none has."""
    stop = high
    while low < high:
        middle = (low + high) >> 1
        if table[middle, column] < symbol:
            low = middle + 1
        else:
            high = middle
    return low if low < stop and table[low, column] == symbol else -1


@numba.njit(cache=True, nogil=True)
def model_step(nodes, values, state, symbol):
    """Read a symbol in a context: its log-probability, and the context after it.

    A model whose weights of backing off are too large would make more than 1 of it.
    """
    log_prob = 0.0
    while state != ROOT:
        node = _ordered_search(nodes, nodes[state, FIRST], nodes[state + 1, FIRST], symbol, SYMBOL_OF)
        if node >= 0:
            return min(log_prob + values[node, LOG_PROB], 0.0), nodes[node, FOLLOW]
        log_prob += values[state, BACKOFF]
        state = nodes[state, SUFFIX]
    return min(log_prob + values[1 + symbol, LOG_PROB], 0.0), nodes[1 + symbol, FOLLOW]


@numba.njit(cache=True, nogil=True)
def automaton_step(automaton, state, k):
    """Read class k in a state: the next state, -1 if there is none, and what is gained."""
    states = automaton.states
    arc = _ordered_search(automaton.arcs, states[state, 0], states[state + 1, 0], k, 0)
    if arc >= 0:
        return automaton.arcs[arc, 1], 0.0
    kind = automaton.kind[k]
    return states[state, 1 + kind], automaton.gains[state, kind]


@numba.njit(cache=True, nogil=True)
def frames_to_end(automaton, state, k):
    """The least number of frames to an end from a state, whose last frame was of class k."""
    return automaton.need[state, min(k, automaton.need.shape[1] - 1)]
