"""Transcripts of the classes and frames that a decoder found: the one place where they become text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocrtrain.decoding.display_order import as_text, is_text
from ocrtrain.decoding.transcript import CharacterColumns, Characters, Hypothesis, Transcript
from ocrtrain.text import Charset


@dataclass(frozen=True, slots=True)
class Readings:
    """Symbols that a decoder found in N lines, one line after another, R in all.

    counts: int [N], the symbols of each line; labels, first, last: int [R], classes (no blanks) and the
    frames that they were read from; probabilities: float [R]; confidences: one for each line.
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
        scales = (
            [1.0] * len(self.counts)
            if widths is None
            else [width / max(own, 1) for width, own in zip(widths, frames, strict=True)]
        )
        codes = np.array([0, *map(ord, charset.symbols)], "<u4")
        text = codes[self.labels].tobytes().decode("utf-32-le", "surrogatepass")
        columns = CharacterColumns(text, self.probabilities, self.first, self.last)
        ends = np.cumsum(self.counts).tolist()
        read = [
            Transcript(text[start:end], confidence, Characters(columns, start, end, scale))
            for start, end, confidence, scale in zip(
                [0, *ends[:-1]], ends, self.confidences, scales, strict=True
            )
        ]
        if not is_text(text, charset.writing):
            read = [as_text(transcript, charset.writing) for transcript in read]
        return read if nbest is None else list(map(_with_nbest, read, nbest))


def _with_nbest(transcript: Transcript, nbest: tuple[Hypothesis, ...]) -> Transcript:
    return Transcript(transcript.text, transcript.confidence, transcript.characters, nbest)
