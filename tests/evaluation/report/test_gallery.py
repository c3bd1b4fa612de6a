"""Which lines are shown, and where their characters stand."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ocrtrain.decoding import Character, Transcript
from ocrtrain.evaluation import Evaluation, Prediction, evaluate_lines
from ocrtrain.evaluation.report.gallery import (
    Thumbnail,
    character_boxes,
    choose_lines,
    gallery_line,
    placed_pairs,
    thumbnail_of,
)

PICTURE = Thumbnail("data:,", 100)


def read(text: str, *edges: float) -> Transcript:
    boxes = zip(edges[::2], edges[1::2], strict=True)
    characters = (Character(c, 1.0, 0, 0, *box) for c, box in zip(text, boxes, strict=True))
    return Transcript(text, 0.5, tuple(characters))


def test_characters_stand_where_they_were_read() -> None:
    pairs = placed_pairs("abc", read("axc", 0, 10, 20, 30, 40, 50), PICTURE)
    assert pairs == [["a", "a", 0, 100], ["b", "x", 200, 300], ["c", "c", 400, 500]]


@pytest.mark.parametrize(
    ("truth", "transcript", "box"),
    [
        ("abc", read("ac", 0, 10, 40, 50), [100, 400]),
        ("abc", read("bc", 30, 40, 60, 70), [0, 300]),
        ("abc", read("ab", 0, 10, 40, 50), [500, 1000]),
        ("\u05d0\u05d1\u05d2", read("\u05d0\u05d2", 80, 90, 20, 30), [300, 800]),
        ("\u05d0\u05d1\u05d2", read("\u05d1\u05d2", 60, 70, 20, 30), [700, 1000]),
    ],
)
def test_a_missing_character_stands_between_its_neighbours(
    truth: str, transcript: Transcript, box: list[int]
) -> None:
    missing = next(pair for pair in placed_pairs(truth, transcript, PICTURE) if not pair[1])
    assert missing[2:] == box


def test_places_outside_the_image_are_brought_inside() -> None:
    assert placed_pairs("a", read("a", -5, 130), PICTURE) == [["a", "a", 0, 1000]]


def test_composed_letters_take_the_room_of_their_parts() -> None:
    assert character_boxes(read("xe\u0301", 0, 5, 10, 20, 18, 26)) == [(0, 5), (10, 26)]
    assert placed_pairs("xé", read("xe\u0301", 0, 5, 10, 20, 18, 26), PICTURE)[1] == ["é", "é", 100, 260]
    # Jamo compose without being marks: rather no place than a wrong one.
    assert character_boxes(read("\u1100\u1161", 0, 5, 5, 9)) is None


def test_without_places_or_picture_there_are_pairs_only() -> None:
    assert placed_pairs("ab", Prediction("ax"), PICTURE) == [["a", "a"], ["b", "x"]]
    assert placed_pairs("a", read("a", 0, 1), None) == [["a", "a"]]
    assert placed_pairs("a", read(""), PICTURE) == [["a", ""]]


def test_worst_least_confident_and_random_lines() -> None:
    truths = ["abcdef"] * 50
    reads = ["abcdef"] * 40 + ["abcdex"] * 9 + ["uvwxyz"]
    confidences = [0.9] * 49 + [0.8]
    confidences[7] = 0.1
    readings = [Prediction(*pair) for pair in zip(reads, confidences, strict=True)]
    evaluation = evaluate_lines([str(i) for i in range(50)], truths, readings)
    chosen = choose_lines([evaluation], 5)
    kinds = {why: [i for i, all_ in chosen.items() if why in all_] for why in ("worst", "unsure", "random")}
    assert all(len(indices) == 5 for indices in kinds.values())
    assert kinds["worst"][0] == 49 and {7, 49} <= set(kinds["unsure"])
    assert chosen == choose_lines([evaluation], 5) and chosen != choose_lines([evaluation], 5, seed=1)
    assert choose_lines([evaluation], 0) == {}


def lines_of(text: str) -> Evaluation:
    return evaluate_lines(["a.png"], [text], [Prediction(text)])


@pytest.mark.parametrize(
    ("text", "rtl", "joined"),
    [("Weg", False, False), ("نص", True, True), ("\u05d0\u05d1", True, False), ("हिन्दी", False, True)],
)
def test_directions_and_joining_letters(text: str, rtl: bool, joined: bool) -> None:
    line = gallery_line(0, ["worst"], [lines_of(text)], None)
    assert (line["rtl"], line["joined"], line["image"]) == (rtl, joined, None)


@pytest.mark.parametrize("kind", ["two tones", "photo", "colour"])
def test_pictures_are_small_and_whole(kind: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (90, 2400, 3), np.uint8)
    if kind == "two tones":
        pixels = np.where(pixels[..., :1] > 250, np.uint8(0), np.uint8(255)).repeat(3, axis=2)
    elif kind == "photo":
        pixels = np.linspace(0, 255, 2400).astype(np.uint8)[None, :, None].repeat(90, 0).repeat(3, 2)
    Image.fromarray(pixels).save(tmp_path / "line.png")
    picture = thumbnail_of(str(tmp_path / "line.png"))
    assert picture is not None and picture.width == 2400
    form, _, content = picture.uri.partition(";base64,")
    with Image.open(io.BytesIO(base64.b64decode(content))) as image:
        assert form == f"data:image/{str(image.format).lower()}"
        assert image.size == (1600, 60)
        assert image.mode != "L" or kind != "colour"


def test_a_picture_that_is_not_there_is_none(tmp_path: Path) -> None:
    assert thumbnail_of(str(tmp_path / "nowhere.png")) is None
