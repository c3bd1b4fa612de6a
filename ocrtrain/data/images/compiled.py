"""The way to the compiled loops, which not every machine can run."""

from __future__ import annotations

import functools
import importlib
from typing import Any


@functools.cache
def compiled() -> Any:
    """Import `line_numba`; None where Numba cannot run, and Pillow and NumPy have to do.

    That takes half a second, and the first time on a machine some more.
    """
    try:
        return importlib.import_module("ocrtrain.data.images.preprocess_numba")
    except Exception:  # a broken install fails in many ways
        return None
