"""The lines that a report shows: which ones, their pictures, and where each character stands in them."""

from __future__ import annotations

import base64
import io
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, features

from ocrtrain.data.images.image import StoredImage, as_pixels, legible
from ocrtrain.errors import InputError
from ocrtrain.evaluation.alignment import align, is_right_to_left
from ocrtrain.evaluation.character_classes import script
from ocrtrain.evaluation.judgement import Evaluation, TranscriptLike

HEIGHT, WIDTH = 64, 1600  # pixels of a picture at most
QUALITY = 60
# Scripts whose letters join or change with their neighbours: each by itself would be another shape.
JOINING = frozenset({"Arabic", "Syriac", "Nko", "Mongolian", "Mandaic", "Adlam", "Hanifi Rohingya"})
JOINING |= {"Devanagari", "Bengali", "Gurmukhi", "Gujarati", "Oriya", "Tamil", "Telugu", "Kannada"}
JOINING |= {"Malayalam", "Sinhala", "Khmer", "Myanmar", "Tibetan"}

Box = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A line's image for a page: a data URI, and the width in pixels of the image that it was made from."""

    uri: str
    width: int


def choose_lines(evaluations: Sequence[Evaluation], count: int, seed: int = 0) -> dict[int, list[str]]:
    """Choose lines to show: index -> why, of "worst", "unsure" (least confident) and "random".

    At most `count` of each kind; of several readers, the lines that cost them all most, and those of which
    any is least sure.
    """
    edits = np.sum([e.table[:, :3].sum(axis=1) for e in evaluations], axis=0)
    lengths = evaluations[0].table[:, 3]
    worst = [i for i in np.lexsort((lengths, -edits))[:count].tolist() if edits[i]]
    known = [e.confidences for e in evaluations if e.confidences is not None]
    unsure = np.argsort(np.min(known, axis=0), kind="stable")[:count].tolist() if known else []
    lines = len(edits)
    random = np.random.default_rng(seed).choice(lines, min(count, lines), replace=False).tolist()
    chosen: dict[int, list[str]] = {}
    for why, indices in (("worst", worst), ("unsure", unsure), ("random", random)):
        for i in indices:
            chosen.setdefault(i, []).append(why)
    return chosen


def gallery_line(
    index: int, why: Sequence[str], evaluations: Sequence[Evaluation], image: str | StoredImage | None
) -> dict[str, Any]:
    """Describe one line for the page's script; docs in page.js say what it does with each key."""
    line = evaluations[0].lines[index]
    picture = None if image is None else thumbnail_of(image)
    label = next(iter(evaluations[0].labels.values()))[index] if evaluations[0].labels else ""
    return {
        "source": legible(line.source),
        "group": legible(label),
        "why": list(why),
        "length": len(line.truth),
        "rtl": is_right_to_left(line.truth or line.prediction),
        "joined": any(script(c) in JOINING for c in set(line.truth)),
        "image": None if picture is None else picture.uri,
        "readings": [
            {
                "confidence": None if (c := e.lines[index].confidence) is None else round(c, 4),
                "edits": e.lines[index].edits,
                "pairs": placed_pairs(line.truth, e.readings[index], picture),
            }
            for e in evaluations
        ],
    }


def placed_pairs(truth: str, reading: TranscriptLike, picture: Thumbnail | None) -> list[list[Any]]:
    """Pair truth and reading: [of the truth, read] or [of the truth, read, left, right].

    left, right: where the character stands, in thousandths of the image's width; one that was not read
    stands between its neighbours.
    """
    pairs = align(truth, reading.text)
    boxes = character_boxes(reading)
    if picture is None or boxes is None or not boxes:
        return [[*pair] for pair in pairs]
    scale = 1000 / picture.width
    rows, place = [], 0
    for pair in pairs:
        if pair.read:
            box, place = boxes[place], place + 1
        else:
            box = _between(boxes, place, picture.width)
        rows.append([*pair, *(round(min(max(x * scale, 0), 1000)) for x in box)])
    return rows


def _between(boxes: Sequence[Box], place: int, width: float) -> Box:
    """Find the gap before box `place`, whatever the direction of writing."""
    leftward = len(boxes) > 1 and boxes[0][0] > boxes[-1][0]
    start, end = ((width, width), (0.0, 0.0)) if leftward else ((0.0, 0.0), (width, width))
    before = boxes[place - 1] if place else start
    after = boxes[place] if place < len(boxes) else end
    left, right = sorted((min(before[1], after[1]), max(before[0], after[0])))
    return left, right


def character_boxes(reading: TranscriptLike) -> list[Box] | None:
    """Find where each character of the reading, in NFC, stands in the image; None if that is not known."""
    boxes: list[Box] = []
    cluster, box = "", (0.0, 0.0)
    text = ""
    for character in (*reading.characters, None):
        if character is not None and cluster and unicodedata.combining(character.text[:1] or " "):
            cluster += character.text
            box = min(box[0], character.x0), max(box[1], character.x1)
            continue
        composed = unicodedata.normalize("NFC", cluster)
        text += composed
        boxes += [box] * len(composed)
        if character is not None:
            cluster, box = character.text, (character.x0, character.x1)
    return boxes if text == unicodedata.normalize("NFC", reading.text) else None


def thumbnail_of(image: str | StoredImage) -> Thumbnail | None:
    """Make a small picture of an image file; None if it cannot be read."""
    try:
        picture = Image.fromarray(as_pixels(image, 3))
    except InputError:
        return None
    width = picture.width
    if len(set(picture.resize((64, 16)).split()[i].tobytes() for i in range(3))) == 1:
        picture = picture.convert("L")
    scale = min(HEIGHT / picture.height, WIDTH / picture.width, 1.0)
    if scale < 1:
        size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    lossy = "WEBP" if features.check("webp") else "JPEG"
    files = {"png": _encoded(picture, "PNG", optimize=True)}
    files[lossy.lower()] = _encoded(picture, lossy, quality=QUALITY)
    kind, content = min(files.items(), key=lambda item: len(item[1]))
    return Thumbnail(f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}", width)


def _encoded(picture: Image.Image, form: str, **settings: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, form, **settings)
    return file.getvalue()
