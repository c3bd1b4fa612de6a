"""A line of text as it is read from a file or drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Line:
    """One line: its pixels, its text and where it came from.

    `image` is uint8, [H, W] grey or [H, W, 3] RGB; `text` is as it is written
    there, in no normal form; `source` is a path or a generated line's name.
    """

    image: NDArray[np.uint8]
    text: str
    source: str
