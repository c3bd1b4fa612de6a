"""Parts of a language model of characters: its special symbols, and its n-grams by their length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

UNKNOWN, BEGIN, END = "<unk>", "<s>", "</s>"
SPECIAL = (UNKNOWN, BEGIN, END)


@dataclass(frozen=True, slots=True)
class Level:
    """All n-grams of one length, ordered by parent, then symbol.

    parent: int [m], the place of each n-gram without its last symbol in the level below; symbol: int [m],
    the last symbol; log_prob: float [m], natural logarithms; backoff: float [m], the logarithm of the weight
    of the shorter context for what does not follow this one.
    """

    parent: NDArray[np.integer[Any]]
    symbol: NDArray[np.integer[Any]]
    log_prob: NDArray[np.floating[Any]]
    backoff: NDArray[np.floating[Any]]
