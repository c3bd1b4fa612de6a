"""Checks that compiled code can walk a language model safely, whichever reader it came from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ocrtrain.decoding.lm.level import SPECIAL, Level
from ocrtrain.decoding.settings import MOST_BONUS, MOST_WEIGHT

LEAST_LOG_PROB = -10_000.0  # natural; what is less probable is as good as impossible, and may not overflow
ROUNDING = 1e-4  # by which a stored log-probability may lie above 0
LARGEST_BACKOFF = 99 * np.log(10.0)  # the format's own zero; no weight of a real model comes near it
MOST_NODES = 2**31 - 2  # they are numbered by int32


class ModelError(ValueError):
    """A language model that cannot be one; the text says why, to be put behind the file's name."""


def check_model(
    symbols: Sequence[str], levels: Sequence[Level], weight: float | None, bonus: float | None
) -> None:
    """Raise `ModelError` unless the model, with what tuning found, is whole.

    Its symbols are the special ones, then single characters, once each; the n-grams of each level are in
    order, each with its beginning in the level below; and all numbers are finite, log P at most 0.
    """
    if weight is not None and not 0 <= weight <= MOST_WEIGHT:
        raise ModelError(f"has a weight of {weight:g}, which is not from 0 to {MOST_WEIGHT:g}")
    if bonus is not None and not abs(bonus) <= MOST_BONUS:
        raise ModelError(f"has a bonus of {bonus:g}, which is not from {-MOST_BONUS:g} to {MOST_BONUS:g}")
    _check_symbols(symbols)
    if not levels:
        raise ModelError("has no n-grams")
    sizes = [len(level.symbol) for level in levels]
    if sizes[0] != len(symbols) or not np.array_equal(levels[0].symbol, np.arange(len(symbols))):
        raise ModelError("does not have every symbol once, in order, as its 1-grams")
    if 1 + sum(sizes) > MOST_NODES:
        raise ModelError(f"has more than {MOST_NODES:,} n-grams")
    for n, (level, below) in enumerate(zip(levels, [1, *sizes[:-1]], strict=True), 1):
        _check_level(level, n, below, len(symbols))


def _check_symbols(symbols: Sequence[str]) -> None:
    if tuple(symbols[: len(SPECIAL)]) != SPECIAL:
        raise ModelError(f"does not begin with the symbols {', '.join(SPECIAL)}")
    characters = symbols[len(SPECIAL) :]
    if not characters:
        raise ModelError("knows no characters")
    for character in characters:
        if len(character) != 1:
            raise ModelError(f"has the symbol {character!a}, which is not one character")
        if "\ud800" <= character <= "\udfff":
            raise ModelError(f"has the symbol {character!a}, half a character (a lone surrogate)")
    if len(set(characters)) < len(characters):
        raise ModelError("has a symbol twice")


def _check_level(level: Level, n: int, below: int, symbols: int) -> None:
    arrays = (level.parent, level.symbol, level.log_prob, level.backoff)
    if any(array.ndim != 1 or len(array) != len(level.symbol) for array in arrays):
        raise ModelError(f"has a different number of symbols and values for its {n}-grams")
    if any(array.dtype.kind not in "iu" for array in arrays[:2]):
        raise ModelError(f"has {n}-grams whose symbols are not integers")
    if any(array.dtype.kind != "f" for array in arrays[2:]):
        raise ModelError(f"has {n}-grams whose values are not floating-point numbers")
    if not len(level.symbol):
        return
    if level.parent.min() < 0 or level.parent.max() >= below:
        raise ModelError(f"has a {n}-gram without its beginning")
    if level.symbol.min() < 0 or level.symbol.max() >= symbols:
        raise ModelError(f"has a {n}-gram of a symbol that it lacks")
    keys = level.parent.astype(np.int64) * symbols + level.symbol.astype(np.int64)
    if (np.diff(keys) <= 0).any():
        raise ModelError(f"has its {n}-grams out of order, or one of them twice")
    # A comparison with what is not a number is false, so these ask for what is good.
    if not np.isfinite(level.log_prob).all() or not (level.log_prob <= ROUNDING).all():
        raise ModelError(f"has a {n}-gram whose log-probability is not a finite number of at most 0")
    if not (np.abs(level.backoff) <= LARGEST_BACKOFF).all():
        raise ModelError(f"has a {n}-gram whose back-off weight is not a number from -99 to 99 (base 10)")
