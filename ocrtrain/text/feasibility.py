"""Frames that CTC needs for a text."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise


def frames_needed(labels: Sequence[int]) -> int:
    """Count the frames that CTC needs to write `labels`: one each, and a blank between equal neighbours.

    Source: Graves et al., "Connectionist Temporal Classification", ICML 2006, section 3.
    """
    return len(labels) + sum(left == right for left, right in pairwise(labels))
