"""Images that are there twice, as they are or nearly."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ocrtrain.audit.doubles import MOST_DIFFERENT, difference, nearly_same, same
from ocrtrain.audit.images import look

TEXTS = [
    "Every line of this page is another one,",
    "with letters that stand in other places,",
    "and as long as the others, more or less.",
    "What is drawn again a little smaller, or",
    "saved with losses, is still that line.",
]


def drawn(text: str) -> Image.Image:
    image = Image.new("L", (480, 40), 240)
    ImageDraw.Draw(image).text((8, 6), text, fill=20, font_size=22)
    return image


def as_jpeg(image: Image.Image, quality: int) -> Image.Image:
    written = io.BytesIO()
    image.save(written, "JPEG", quality=quality)
    return Image.open(io.BytesIO(written.getvalue()))


def pixels(image: Image.Image) -> NDArray[np.uint8]:
    return np.array(image)


CHANGED = {
    "saved with losses": lambda image: as_jpeg(image, 40),
    "smaller": lambda image: image.resize((320, 27), Image.Resampling.BICUBIC),
    "darker": lambda image: image.point(lambda value: value * 3 // 4),
    "with dirt": lambda image: ImageDraw.Draw(image).ellipse((200, 30, 206, 36), fill=90) or image,
}


@pytest.mark.parametrize("change", CHANGED)
def test_a_line_is_known_again(change: str) -> None:
    lines = [look(pixels(drawn(text))) for text in TEXTS]
    again = [look(pixels(CHANGED[change](drawn(text)))) for text in TEXTS]
    assert not same([*lines, *again])
    assert nearly_same([*lines, *again]) == {i + len(TEXTS): i for i in range(len(TEXTS))}


def test_other_lines_are_far_from_that() -> None:
    lines = [look(pixels(drawn(text))) for text in TEXTS]
    for i, one in enumerate(lines):
        for other in lines[:i]:
            assert difference(one.sketch, other.sketch) > 2 * MOST_DIFFERENT


def test_equal_images_are_no_near_ones_and_blank_ones_are_none() -> None:
    line, blank = look(pixels(drawn(TEXTS[0]))), look(np.full((40, 480), 240, np.uint8))
    paler = look(np.full((40, 480), 241, np.uint8))
    images = [line, "cannot be read", line, blank, paler, line]
    assert same(images) == {2: 0, 5: 0}
    assert nearly_same(images) == {}
