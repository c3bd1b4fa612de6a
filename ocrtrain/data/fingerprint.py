"""Fingerprints of sets of lines, so that a resumed run knows whether its lines are those of before."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocrtrain.data.batches.dataset import LineDataset
from ocrtrain.data.lines.generated import GeneratedLines
from ocrtrain.data.lines.mixture import JoinedLines, MixedLines
from ocrtrain.data.lines.sources import LineSource
from ocrtrain.data.lines.stored import StoredLines
from ocrtrain.data.lines.strings import Strings
from ocrtrain.fields import CheckedFields, FieldError

# Of what is hashed, in words; `lines` is a number.
PARTS = {"names": "other names or another order", "texts": "other texts", "sizes": "images of other sizes"}


class Fingerprint:
    """Hashes of a set's names, texts and image sizes, read off its table: no image is opened.

    A folder that was moved as a whole keeps them all. Lines that are drawn have a seed in the place of names,
    and characters in that of texts.
    """

    def __init__(self, lines: LineDataset) -> None:
        self.lines = len(lines)
        self._hashes = {name: blake2b(digest_size=8) for name in PARTS}
        self._add(lines.source, lines.indices)

    def as_dict(self) -> dict[str, Any]:
        """Give it as plain values, for a checkpoint."""
        return {"lines": self.lines, **{name: found.hexdigest() for name, found in self._hashes.items()}}

    def changes_since(self, before: object) -> str:
        """Say what differs from the fingerprint `before`, from a checkpoint; "" if nothing does."""
        try:
            fields = CheckedFields(before)
            count = fields.integer("lines", least=0)
            hashes = {name: fields.text(name) for name in PARTS}
        except FieldError as error:
            return f"what the checkpoint says of them cannot be read ({error})"
        if count != self.lines:
            return f"{self.lines:,}, before {count:,}"
        now = self.as_dict()
        return ", ".join(words for name, words in PARTS.items() if hashes[name] != now[name])

    def _add(self, source: LineSource, indices: NDArray[np.int64] | None) -> None:
        names, texts, sizes = (self._hashes[name] for name in PARTS)
        if indices is not None:
            names.update(np.ascontiguousarray(indices, np.int64).data)
        if isinstance(source, MixedLines | JoinedLines):
            names.update(np.ascontiguousarray(source.starts, np.int64).data)
            for part in source.parts:
                names.update(part.name.encode())
                self._add(part.source, part.indices)
        elif isinstance(source, StoredLines):
            for found, strings in ((names, source.names), (texts, source.originals)):
                for array in _arrays(strings):
                    found.update(array.data)
            sizes.update(np.ascontiguousarray(source.table.aspects, np.float32).data)
        elif isinstance(source, GeneratedLines):
            names.update(f"{source.seed} {source.fixed}".encode())
            texts.update("".join(source.generator.charset.symbols).encode())


def _arrays(strings: Strings) -> tuple[NDArray[Any], NDArray[Any]]:
    return np.ascontiguousarray(strings.content), np.ascontiguousarray(strings.ends, np.int64)
