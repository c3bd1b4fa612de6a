"""Rows of manifests, and what is wrong with those that cannot be used."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import Any

from ocrtrain.data.lines.rejections import LONGEST, NOT_UTF8, text_fault, undecodable

EMPTY = "empty row"


@dataclass(slots=True)
class Rows:
    """Rows that follow one another in a manifest, column by column.

    first: the number of the first one's line
    names, texts: the image and the text of each
    sizes: widths and heights as the manifest tells them; None where it has no such columns
    faults: why a row has neither name nor text, by its place among these rows
    """

    first: int
    names: Sequence[str]
    texts: Sequence[str]
    sizes: tuple[Sequence[Any], Sequence[Any]] | None
    faults: dict[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.names)

    def all_faults(self) -> dict[int, str]:
        """Say of each row that cannot be used why, by its place."""
        # There may be millions of rows, nearly all of them good: a few calls then do for thousands.
        if not self.faults and _faultless(self.names, self.texts):
            return {}
        pairs = enumerate(zip(self.names, self.texts, strict=True))
        found = ((i, self.faults.get(i) or _fault(*pair)) for i, pair in pairs)
        return {i: why for i, why in found if why}

    def without(self, places: Container[int]) -> Rows:
        """Leave out the rows at `places`."""
        kept = [i not in places for i in range(len(self))]
        names, texts = list(compress(self.names, kept)), list(compress(self.texts, kept))
        if self.sizes is None:
            return Rows(self.first, names, texts, None)
        widths, heights = self.sizes
        return Rows(self.first, names, texts, (list(compress(widths, kept)), list(compress(heights, kept))))


def _faultless(names: Sequence[str], texts: Sequence[str]) -> bool:
    """Tell whether `_fault` would find nothing in any of the rows; False if it might."""
    content = "".join(names) + "".join(texts)
    return (
        not any(mark in content for mark in "\0\n\r")
        and not undecodable(content)
        and all(names)
        and all(map(str.strip, texts))
        and max(map(len, texts), default=0) <= LONGEST
    )


def _fault(name: str, text: str) -> str | None:
    if not name or "\0" in name or "\n" in name:
        return "row without an image's name"
    if undecodable(text) or undecodable(name):
        return NOT_UTF8
    return text_fault(text)
