"""Prefixes of a search as nodes of a trie, with the state and the gain of each, compiled by Numba.

A trie is int32 [nodes, 8], its columns named below; gains [nodes] are the logarithms that language model,
rules and words add to the score of a whole prefix, factors [nodes] what the last symbol's gain multiplies.
"""

# Nothing here is cached by itself: see `lines_numba.py`.
# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import numba
import numpy as np

from ocrtrain.decoding.steps_numba import automaton_step, frames_to_end, model_step
from ocrtrain.decoding.tables import BONUS, END, ROOT, UNKNOWN, WEIGHT

# The columns of a node: the prefix without its last symbol, that symbol, the node's children as a linked
# list, its place in the beam (-1: none), and the states of language model, pattern and word list.
PARENT, SYMBOL, CHILD, SIBLING, PLACE, MODEL, PATTERN, WORDS = range(8)

# The least that a symbol that is possible gains, so that a language model cannot make the beam's best 0. The
# most is in `settings.py`: e^200 times `LARGE`, and that once more, is far from overflowing.
LEAST_GAIN = -400.0


@numba.njit(nogil=True)
def end_gain(node, trie, model, pattern, words):
    """Tell what the score of a text gains at its end; -inf if it may not end there."""
    gain = 0.0
    if trie[node, MODEL] >= 0 and model.symbols[END] >= 0:
        log_prob, _ = model_step(model.nodes, model.values, trie[node, MODEL], model.symbols[END])
        gain += model.numbers[WEIGHT] * log_prob
    if trie[node, PATTERN] >= 0:
        gain += pattern.gains[trie[node, PATTERN], 2]
    if trie[node, WORDS] >= 0:
        gain += words.gains[trie[node, WORDS], 2]
    return gain


@numba.njit(nogil=True)
def weigh(node, trie, gains, factors, model, pattern, words):
    """Fill in the states and gains of a new node from its parent's."""
    parent, k = trie[node, PARENT], trie[node, SYMBOL]
    gain = 0.0
    state = trie[parent, MODEL]
    if state >= 0:
        symbol = model.symbols[k]
        if symbol >= 0:
            log_prob, state = model_step(model.nodes, model.values, state, symbol)
        else:
            log_prob, state = model.numbers[UNKNOWN], ROOT
        gain += model.numbers[WEIGHT] * log_prob + model.numbers[BONUS]
        trie[node, MODEL] = state
    state = trie[parent, PATTERN]
    if state >= 0:
        state, more = automaton_step(pattern, state, k)
        gain += more if state >= 0 else -np.inf
        trie[node, PATTERN] = state
    state = trie[parent, WORDS]
    if state >= 0:
        state, more = automaton_step(words, state, k)
        gain += more if state >= 0 else -np.inf
        trie[node, WORDS] = state
    if gain > -np.inf:
        gain = max(gain, LEAST_GAIN)
    gains[node] = gains[parent] + gain
    factors[node] = np.exp(gain)


@numba.njit(nogil=True)
def child_of(parent, k, count, trie, gains, factors):
    """Find the child of a prefix with class k; a new one becomes node `count`, with no gain."""
    child = trie[parent, CHILD]
    while child >= 0 and trie[child, SYMBOL] != k:
        child = trie[child, SIBLING]
    if child < 0:
        child = count
        trie[child, PARENT] = parent
        trie[child, SYMBOL] = k
        trie[child, CHILD] = -1
        trie[child, SIBLING] = trie[parent, CHILD]
        trie[child, PLACE] = -1
        trie[child, MODEL] = -1
        trie[child, PATTERN] = -1
        trie[child, WORDS] = -1
        trie[parent, CHILD] = child
        gains[child], factors[child] = gains[parent], 1.0
    return child


@numba.njit(nogil=True)
def too_late(node, k, left, trie, pattern, words):
    """Tell whether `left` frames after one of class k are too few for a prefix to end as it may."""
    state = trie[node, PATTERN]
    if state >= 0 and frames_to_end(pattern, state, k) > left:
        return True
    state = trie[node, WORDS]
    return state >= 0 and frames_to_end(words, state, k) > left


# Loops in place of slices: these compile in a fraction of the time.
@numba.njit(nogil=True)
def grown_rows(rows, size):
    larger = np.empty((size, rows.shape[1]), np.int32)
    for i in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            larger[i, j] = rows[i, j]
    return larger


@numba.njit(nogil=True)
def grown_line(values, size):
    larger = np.empty(size)
    for i in range(values.shape[0]):
        larger[i] = values[i]
    return larger
