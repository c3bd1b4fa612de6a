"""Tables that a compiled search is given beside log-probabilities, and that plain Python fills."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

BLANK = 0  # the class
ROOT = 0  # the empty prefix, and the empty context
DEAD = -1  # no state


class Model(NamedTuple):
    """A language model in the terms of a charset (see `LanguageModel`); without any nodes: none.

    Node 0 is the empty context, nodes 1 to V are the single symbols in order; the children of a node follow
    one another, ordered by their symbol.
    """

    nodes: NDArray[
        np.int32
    ]  # [n + 1, 4]: first child, symbol, SUFFIX, FOLLOW (one more first child at the end)
    values: NDArray[np.float32]  # [n, 2]: log-probability of the symbol, weight of backing off from here
    symbols: NDArray[
        np.int32
    ]  # [K + 2]: the symbol of each class (-1: unknown), of a line's end, first context
    numbers: NDArray[np.float64]  # [3]: log-probability of what is unknown, weight, bonus for each symbol


class Automaton(NamedTuple):
    """Rules that texts must obey, or are rewarded for: a deterministic automaton (see `automaton.py`).

    From state s, class k leads to the target of the arc of s with symbol k, if there is one, else to
    `states[s, 1 + kind[k]]`, which adds `gains[s, kind[k]]` to the score; -1 is no state.
    """

    states: NDArray[np.int32]  # [S + 1, 3]: first arc, where other classes of either kind lead
    arcs: NDArray[np.int32]  # [A, 2]: symbol, target; ordered by symbol within a state
    gains: NDArray[np.float64]  # [S, 3]: of other classes of either kind; of an end here, -inf: none
    kind: NDArray[np.int32]  # [K], 0 or 1
    need: NDArray[
        np.int32
    ]  # [S, K]: frames from s to an end, at least, after one of class k; all but 0 may share a column


FIRST, SYMBOL_OF, SUFFIX, FOLLOW = range(4)
LOG_PROB, BACKOFF = range(2)
UNKNOWN, WEIGHT, BONUS = range(3)
END, START = -2, -1
