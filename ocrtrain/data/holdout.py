"""Lines kept aside for validation where there are none of their own."""

from __future__ import annotations

import logging

import numpy as np

from ocrtrain.data.lines.generated import GeneratedLines
from ocrtrain.data.lines.mixture import Part
from ocrtrain.errors import InputError

log = logging.getLogger(__name__)


def hold_out(part: Part, share: float, seed: int) -> Part:
    """Take `share` of the lines out of a part of the training lines: one at least, and not all.

    Of a generator in a mixture nothing is taken: as many lines are drawn with another seed. Raises
    InputError for a part of one line.
    """
    drawn = part.source
    if isinstance(drawn, GeneratedLines) and part.name:
        count = max(1, round(share * drawn.lines))
        return Part(part.name, GeneratedLines(drawn.generator, count, drawn.seed + 1_000_000, fixed=True))
    usable = np.arange(len(part.source)) if part.indices is None else part.indices
    if len(usable) < 2:
        raise InputError(part.key, "has one line only", "give more lines, or data.val=DIR as well.")
    order = np.arange(len(usable), dtype=np.int32 if len(usable) < 2**31 else np.int64)
    np.random.default_rng((seed, 0x686F6C64)).shuffle(order)
    count = min(max(1, round(share * len(usable))), len(usable) - 1)
    aside = np.zeros(len(usable), np.bool_)
    aside[order[:count]] = True
    part.indices = usable[~aside]
    where = f"{part.key}.val" if part.name else "data.val"
    log.info("no %s: %d of the training lines are kept aside for validation", where, count)
    return Part(part.name, part.source, indices=usable[aside])
