"""The text of each line of PAGE XML: which of its readings counts, and lines that have it in words alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ocrtrain.data.formats.pages.coordinates import CoordinateError, number
from ocrtrain.data.formats.pages.xml_file import local

PREDICTION = "only a prediction (TextEquiv with an index above 0), no transcription"
# They number the transcription 0 and what a program reads 1; all others number the best reading lowest.
_ZERO_IS_TRUTH = re.compile(r"larex|calamari|ocr4all", re.IGNORECASE)
_OUTER = re.compile(r"\A\s*[\r\n]\s*|\s*[\r\n]\s*\Z")


class TextError(ValueError):
    """Why an element's text cannot be used."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A TextEquiv: the element that holds its text, its index, and whether it has a confidence below 1."""

    element: Any
    index: float | None
    doubted: bool


def children_of(element: Any, name: str) -> Iterator[Any]:
    """The children of that name, in any namespace."""
    return (child for child in element if local(child.tag) == name)


def readings_of(element: Any) -> list[Reading]:
    """List the readings of a line, word, glyph or region, the one that counts first.

    One without a number comes before all others; of those with one, the least counts.
    """
    readings = []
    for equivalent in children_of(element, "TextEquiv"):
        index, confidence = (_number(equivalent, name) for name in ("index", "conf"))
        readings.append(Reading(equivalent, index, confidence is not None and confidence < 1.0))
    # A program's reading without a number does not come before a transcription with the number 0.
    return sorted(readings, key=lambda r: (-1.0 + 1.5 * r.doubted) if r.index is None else r.index)


def unicode_of(element: Any) -> Any:
    """The element with the text of a line, word, glyph or region; None if there is none."""
    readings = readings_of(element)
    return _holder(readings[0]) if readings else None


class Transcriptions:
    """Tells transcriptions from predictions: what `index` means holds for a file, not for each line.

    lines: the TextLine elements of a file; creator: the program that wrote it, by its Metadata. A reading
    with an index above 0 is a prediction if the file numbers another 0; or if it has a confidence, where
    others have neither number nor confidence; or if the program is LAREX, Calamari or OCR4all.
    """

    def __init__(self, lines: Sequence[Any], creator: str) -> None:
        all_readings = [reading for line in lines for reading in readings_of(line)]
        self.numbered = bool(_ZERO_IS_TRUTH.search(creator)) or any(r.index == 0 for r in all_readings)
        self.plain = any(r.index is None and not r.doubted for r in all_readings)
        self.doubted = 0  # texts taken that have a confidence

    def text_of(self, line: Any) -> str | None:
        """Give a line's text, None if it has none; raises `TextError` for one that cannot be learned from."""
        if readings := readings_of(line):
            return self._text(readings[0])
        words = [self._whole(word, "Glyph", "") for word in children_of(line, "Word")]
        return " ".join(words) if words else None

    def _whole(self, element: Any, parts: str, between: str) -> str:
        if readings := readings_of(element):
            return self._text(readings[0])
        texts = [self._whole(part, "", "") for part in children_of(element, parts)]
        if not texts:
            raise TextError("line with words or glyphs that have no text")
        return between.join(texts)

    def _text(self, reading: Reading) -> str:
        above = reading.index is not None and reading.index > 0
        if above and (self.numbered or (self.plain and reading.doubted)):
            raise TextError(PREDICTION)
        self.doubted += reading.doubted
        holder = _holder(reading)
        return "" if holder is None else _content(holder)


def _holder(reading: Reading) -> Any:
    for name in ("Unicode", "PlainText"):
        if (holder := next(children_of(reading.element, name), None)) is not None:
            return holder
    return None


def _content(element: Any) -> str:
    """Join an element's text around comments, and take off the line ends that indentation put around it."""
    text = element.text or ""
    for child in element:
        if isinstance(child.tag, str) or "Comment" not in getattr(child.tag, "__name__", ""):
            raise TextError("text holds other elements or entities")
        text += child.tail or ""
    return _OUTER.sub("", text)


def _number(element: Any, name: str) -> float | None:
    try:
        return number(element.get(name))
    except CoordinateError:
        return None
