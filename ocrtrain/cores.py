"""How many cores there are to work with."""

from __future__ import annotations

import os


def usable_cores() -> int:
    """Count the cores that this process may use, which in a container or a batch job are not all."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
