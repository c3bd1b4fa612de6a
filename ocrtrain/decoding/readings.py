"""From classes and frames to transcripts: the one place where a decoder's findings become text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocrtrain.decoding.transcript import Character, Hypothesis, Transcript
from ocrtrain.text import Charset


@dataclass(frozen=True, slots=True)
class Readings:
    """What a decoder found in N lines: their symbols, one line after another, R in all.

    counts: int [N], the symbols of each line; labels, first, last: int [R], classes (no blanks) and the frames
    that they were read from; probabilities: float [R]; confidences: one for each line.
    """

    counts: NDArray[np.integer[Any]]
    labels: NDArray[np.integer[Any]]
    first: NDArray[np.integer[Any]]
    last: NDArray[np.integer[Any]]
    probabilities: NDArray[np.floating[Any]]
    confidences: Sequence[float]

    def transcripts(
        self,
        charset: Charset,
        frames: Sequence[int],
        widths: Sequence[float] | None,
        nbest: Sequence[tuple[Hypothesis, ...]] | None = None,
    ) -> list[Transcript]:
        """Write them down. frames: those of each line; widths: the pixels of each input image, if known."""
        lines = len(self.counts)
        scale = np.ones(lines) if widths is None else np.asarray(widths, float) / np.maximum(frames, 1)
        scale = np.repeat(scale, self.counts)
        texts = spell(charset, self.labels)
        characters = list(
            map(
                Character._make,
                zip(
                    texts,
                    self.probabilities.tolist(),
                    self.first.tolist(),
                    self.last.tolist(),
                    (self.first * scale).tolist(),
                    ((self.last + 1) * scale).tolist(),
                    strict=True,
                ),
            )
        )
        others = nbest or [()] * lines
        ends = np.cumsum(self.counts).tolist()
        return [
            Transcript("".join(texts[start:end]), confidence, tuple(characters[start:end]), hypotheses)
            for start, end, confidence, hypotheses in zip(
                [0, *ends][:lines], ends, self.confidences, others, strict=True
            )
        ]


def spell(charset: Charset, labels: NDArray[np.integer[Any]]) -> list[str]:
    """The symbol of each class."""
    symbols = ("", *charset.symbols)
    return [symbols[label] for label in labels.tolist()]
