"""Place of a run in its lines, kept in checkpoints together with which lines these are."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from ocrtrain.data.batches.dataset import LineDataset
from ocrtrain.data.fingerprint import Fingerprint
from ocrtrain.errors import InputError
from ocrtrain.fields import CheckedFields, FieldError

log = logging.getLogger(__name__)

WHAT_FOLLOWS = {
    "training": "training goes on with these",
    "validation": "error rates from before are those of other lines",
}


class Continuation:
    """Counts the batches of a run's data, where the trainer's own count may be of batches of another size."""

    def __init__(self) -> None:
        self._start: int | None = None
        self._ahead = 0
        self._fingerprints: dict[str, Fingerprint] = {}

    def begin(self, seen: int) -> int:
        """Tell the number of the batch to begin with; seen: batches by the trainer's count."""
        start = seen if self._start is None else self._start
        self._ahead = start - seen
        return start

    def state(self, seen: int, per_epoch: int, sets: Mapping[str, LineDataset]) -> dict[str, Any]:
        """Give plain values for a checkpoint. sets: the training and the validation lines."""
        if not self._fingerprints:
            self._fingerprints = {name: Fingerprint(lines) for name, lines in sets.items()}
        which = {name: found.as_dict() for name, found in self._fingerprints.items()}
        return {"batches": seen + self._ahead, "batches_per_epoch": per_epoch, **which}

    def load(self, state: object, per_epoch: int, sets: Mapping[str, LineDataset]) -> None:
        """Go on at the same part of the same epoch; says which lines are others than before.

        Raises InputError for a state that cannot be read.
        """
        try:
            fields = CheckedFields(state)
            batches = fields.integer("batches", least=0)
            before = fields.integer("batches_per_epoch", least=1)
        except FieldError as error:
            raise InputError(
                "resume",
                f"what the checkpoint says of its data cannot be read ({error})",
                "take another checkpoint of the run, or start from this one's weights: init=PATH.",
            ) from None
        # In integers: with the same lines, training goes on at the very batch.
        self._start = batches if before == per_epoch else (batches * per_epoch + before // 2) // before
        if before != per_epoch:
            log.info(
                "an epoch has %d batches now, before %d: training goes on at the same part of its epoch",
                per_epoch,
                before,
            )
        self._fingerprints = {name: Fingerprint(lines) for name, lines in sets.items()}
        for name, found in self._fingerprints.items():
            if changes := found.changes_since(fields.values.get(name)):
                message = "the %s lines are others than those of the run: %s; %s"
                log.warning(message, name, changes, WHAT_FOLLOWS[name])
