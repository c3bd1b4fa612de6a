"""Images that are the same, and images that nearly are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from ocrtrain.audit.images import Seen

# Of the bits that two sketches have, the share that only one of them has: 1 to 15% for a line that was saved
# with losses, 20% for one at two thirds of its size, 10 to 20% for two scans of one line of print, 70% for
# different lines.
MOST_DIFFERENT = 0.3
PER_ASPECT = 0.05  # the limit per image height of a line's width: one letter of few is a larger part
MOST_STRETCHED = 1.05  # between the aspects of two images
BANDS, BAND = 32, 2  # so many parts of a sketch, of so many bytes; two of one line have some in common
CROWD = 64  # a band that more lines than this have is no sign of likeness: paper, margins, rules


def same(images: Iterable[Seen | str]) -> dict[int, int]:
    """Map the index of each image that came before, pixel for pixel, to that of the first such."""
    first: dict[bytes, int] = {}
    doubles = {}
    for index, seen in enumerate(images):
        if isinstance(seen, Seen) and (earlier := first.setdefault(seen.digest, index)) != index:
            doubles[index] = earlier
    return doubles


def nearly_same(images: Sequence[Seen | str]) -> dict[int, int]:
    """Map the index of each image that nearly equals an earlier one to that of the likest.

    Images that are the same are left out, and blank ones. Looks only at lines that share a part of their
    sketch, so the work grows with the number of lines and not with its square.
    """
    exact = same(images)
    chosen = [
        i for i, seen in enumerate(images) if isinstance(seen, Seen) and not seen.blank and i not in exact
    ]
    sketches: dict[int, NDArray[np.uint8]] = {}
    shared: defaultdict[tuple[int, bytes], list[int]] = defaultdict(list)
    doubles = {}
    for index in chosen:
        seen = images[index]
        assert isinstance(seen, Seen)
        candidates: set[int] = set()
        bands = seen.sketch.reshape(BANDS, -1)[:, :BAND]
        keys = [(number, band.tobytes()) for number, band in enumerate(bands) if band.any()]
        for key in keys:
            if len(shared[key]) <= CROWD:
                candidates.update(shared[key])
                shared[key].append(index)
        if candidates:
            others = sorted(other for other in candidates if _of_one_shape(seen, images[other]))
            if others:
                apart = [difference(seen.sketch, sketches[other]) for other in others]
                nearest = int(np.argmin(apart))
                if apart[nearest] <= min(MOST_DIFFERENT, PER_ASPECT * seen.width / seen.height):
                    doubles[index] = others[nearest]
        sketches[index] = seen.sketch
    return doubles


def difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """The share of the bits of two sketches that only one of them has."""
    return int(np.unpackbits(one ^ other).sum()) / max(int(np.unpackbits(one | other).sum()), 1)


def _of_one_shape(one: Seen, other: Seen | str) -> bool:
    assert isinstance(other, Seen)
    stretched = (one.width * other.height) / (one.height * other.width)
    if len(one.sketch) != len(other.sketch):
        return False
    return 1 / MOST_STRETCHED <= stretched <= MOST_STRETCHED
