"""Settings of a decoder, checked: a wrong one is a message that names it, whatever was given.

The limits on what can be gained keep the compiled search's float64 from overflowing: see `search_numba.py`.
"""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np

from ocrtrain.errors import InputError
from ocrtrain.fields import shown

MOST_WEIGHT = 100.0  # of a language model; useful ones are below 2
MOST_BONUS = 100.0  # for a symbol or a word, as a logarithm: e^100 is more than any recognizer's doubt
MOST_PREFIXES = 100_000  # in a beam, and in a list of readings
MOST_THREADS = 10_000


def integer(name: str, value: Any, least: int, most: int) -> int:
    """Take an integer from `least` to `most`; raises `InputError` for anything else."""
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or not least <= value <= most:
        raise _wrong(name, value, f"must be an integer from {least:,} to {most:,}")
    return int(value)


def number(name: str, value: Any, least: float, most: float) -> float:
    """Take a number from `least` to `most`; raises `InputError` for anything else."""
    good = isinstance(value, Real) and not isinstance(value, bool)
    if not good or not least <= value <= most:
        raise _wrong(name, value, f"must be a number from {least:g} to {most:g}")
    return float(value)


def share(name: str, value: Any) -> float:
    """Take a probability below 1; raises `InputError` for anything else."""
    good = isinstance(value, Real) and not isinstance(value, bool)
    if not good or not 0 <= value < 1:
        raise _wrong(name, value, "must be a probability: a number from 0 to below 1")
    return float(value)


def text(name: str, value: Any) -> str:
    """Take a text; raises `InputError` for anything else."""
    if not isinstance(value, str):
        raise _wrong(
            name, value, f"must be text, not {type(value).__name__}", f"write it in quotes: {name}='\"...\"'"
        )
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise _wrong(name, value, "holds half a character (a lone surrogate)", "write it in UTF-8.")
    return value


def _wrong(
    name: str, value: Any, why: str, way_on: str = "correct it, or leave the setting out."
) -> InputError:
    return InputError(f"{name}={shown(value)}", why, way_on)
