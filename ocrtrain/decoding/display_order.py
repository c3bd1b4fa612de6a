"""Logical order and normal form of what was read from left to right."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

from ocrtrain.decoding.transcript import Character, Transcript
from ocrtrain.text import Writing
from ocrtrain.text.direction import stays, to_logical
from ocrtrain.text.normalization import is_normal


def as_text(transcript: Transcript, writing: Writing) -> Transcript:
    """Put what a decoder read from left to right into logical order and into the normal form.

    Every decoder ends with this. Each character keeps the frames in which it stands, so positions may fall
    from one character to the next; a letter and a mark that are one character in the normal form become one,
    with the range of both and the smaller probability.
    """
    order = to_logical(transcript.text, writing.direction)
    if order is not None:
        read = [transcript.characters[i]._replace(text=character) for i, character in order]
        transcript = _of(read, transcript.confidence)
    if not is_normal(transcript.text, writing.normalization):
        transcript = _of(list(_composed(transcript.characters, writing)), transcript.confidence)
    return transcript


def is_text(read: str, writing: Writing) -> bool:
    """Tell whether `as_text` leaves `read` as it is, and any part of it too."""
    return stays(read, writing.direction) and is_normal(read, writing.normalization)


def _of(characters: list[Character], confidence: float) -> Transcript:
    return Transcript("".join(c.text for c in characters), confidence, tuple(characters))


def _composed(characters: Sequence[Character], writing: Writing) -> Iterator[Character]:
    """Bring each letter with its marks into the normal form."""
    characters = tuple(characters)
    starts = [
        i for i, c in enumerate(characters) if i == 0 or unicodedata.category(c.text) not in ("Mn", "Me")
    ]
    for start, end in zip(starts, [*starts[1:], len(characters)], strict=True):
        cluster = characters[start:end]
        spelled = "".join(c.text for c in cluster)
        if is_normal(spelled, writing.normalization):
            yield from cluster
            continue
        whole = Character(
            "",
            min(c.probability for c in cluster),
            min(c.first_frame for c in cluster),
            max(c.last_frame for c in cluster),
            min(c.x0 for c in cluster),
            max(c.x1 for c in cluster),
        )
        yield from (whole._replace(text=symbol) for symbol in writing.normalize(spelled))
