"""Lines to validate on whose images are trained on as well: one file in two lists, the same bytes twice."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ocrtrain.data.lines.mixture import Part
from ocrtrain.data.lines.rejections import examples
from ocrtrain.data.lines.stored import StoredLines
from ocrtrain.errors import InputError

log = logging.getLogger(__name__)

MOST = 200_000  # lines whose sizes are looked up; among more, people would wait

Place = tuple[StoredLines, int]  # a source, and the number of a line in it


def trained_on(training: Sequence[Part], validation: Sequence[Part]) -> list[tuple[Place, Place]] | None:
    """Pair each validation line with a training line of the same image, byte for byte.

    Only images of one aspect and one size in bytes are read, which are few. None where too many are alike to
    look at in a short time. Lines that are drawn are not looked at.
    """
    theirs, mine = _aspects(training), _aspects(validation)
    shared = np.intersect1d(theirs, mine)
    candidates = [np.flatnonzero(np.isin(aspects, shared)) for aspects in (theirs, mine)]
    if sum(map(len, candidates)) > MOST:
        return None
    by_size: dict[tuple[float, int], list[Place]] = {}
    for (source, index), aspect in _chosen(training, candidates[0]):
        by_size.setdefault((aspect, _size(source, index)), []).append((source, index))
    digests: dict[tuple[float, int], dict[bytes, Place]] = {}
    found = []
    for place, aspect in _chosen(validation, candidates[1]):
        key = (aspect, _size(*place))
        if key not in by_size:
            continue
        if key not in digests:
            known = ((_digest(other), other) for other in by_size[key])
            digests[key] = {digest: other for digest, other in known if digest}
        if (digest := _digest(place)) in digests[key]:
            found.append((place, digests[key][digest]))
    return found


def announce_overlap(training: Sequence[Part], validation: Sequence[Part]) -> None:
    """Warn of validation lines whose images are trained on."""
    found = trained_on(training, validation)
    if found is None:
        log.info("validation lines are not looked for among the training lines: too many are of one size")
    elif found:
        pairs = [f"{mine.names[i]} (as {theirs.names[j]})" for (mine, i), (theirs, j) in found]
        log.warning(
            "validation has %d lines whose images are trained on, too; its CER will be too low: %s",
            len(found),
            examples(pairs),
        )


def _stored(parts: Sequence[Part]) -> Iterator[tuple[StoredLines, NDArray[np.int64]]]:
    for part in parts:
        if isinstance(part.source, StoredLines):
            indices = np.arange(len(part.source)) if part.indices is None else part.indices
            yield part.source, indices


def _aspects(parts: Sequence[Part]) -> NDArray[np.float32]:
    return np.concatenate([np.empty(0, np.float32), *(s.table.aspects[at] for s, at in _stored(parts))])


def _chosen(parts: Sequence[Part], places: NDArray[np.int64]) -> Iterator[tuple[Place, float]]:
    start = 0
    for source, indices in _stored(parts):
        here = places[(places >= start) & (places < start + len(indices))] - start
        start += len(indices)
        for index in indices[here].tolist():
            yield (source, index), float(source.table.aspects[index])


def _size(source: StoredLines, index: int) -> int:
    if (size := source.images.stored_size(index)) >= 0:
        return size
    try:
        return len(source.images.encoded(index))
    except InputError:  # it is told when it is read
        return -1


def _digest(place: Place) -> bytes:
    source, index = place
    try:
        return hashlib.sha256(source.images.encoded(index)).digest()
    except InputError:
        return b""
