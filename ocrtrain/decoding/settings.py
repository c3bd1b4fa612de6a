"""Settings of a decoder: what each may be, and checks of texts and file names.

The limits on what can be gained keep the compiled search's float64 from overflowing: see `search_numba.py`.
"""

from __future__ import annotations

from typing import Annotated, Any

from ocrtrain.errors import InputError
from ocrtrain.fields import shown
from ocrtrain.settings import Limits

MOST_WEIGHT = 100.0  # of a language model; useful ones are below 2
MOST_BONUS = 100.0  # for a symbol or a word, as a logarithm: e^100 is more than any recognizer's doubt
MOST_PREFIXES = 100_000

BeamWidth = Annotated[int, Limits(1, MOST_PREFIXES)]
ListLength = Annotated[int, Limits(0, MOST_PREFIXES)]  # of the best readings
Weight = Annotated[float, Limits(0, MOST_WEIGHT)]
Bonus = Annotated[float, Limits(-MOST_BONUS, MOST_BONUS)]
Threshold = Annotated[float, Limits(0, below=1)]  # a probability
Threads = Annotated[int, Limits(1, 10_000)]


def text(name: str, value: Any) -> str:
    """Take a text in UTF-8; raises `InputError` for anything else."""
    if not isinstance(value, str):
        raise InputError(
            f"{name}={shown(value)}",
            f"must be text, not {type(value).__name__}",
            f"write it in quotes: {name}='\"...\"'",
        )
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise InputError(
            f"{name}={shown(value)}", "holds half a character (a lone surrogate)", "write it in UTF-8."
        )
    return value
