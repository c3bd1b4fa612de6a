"""Colours can be told apart."""

from __future__ import annotations

import numpy as np
import pytest

from ocrtrain.synthesis.effects.paint import brightness, draw_colours, paint
from ocrtrain.synthesis.hashed_random import HashedRandom


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("contrast", [0.1, 0.35, 0.5])
def test_paper_and_ink_differ_in_brightness(channels: int, contrast: float) -> None:
    papers = []
    for i in range(2000):
        paper, ink = draw_colours(HashedRandom(f"colours:{i}", 9), channels, contrast)
        assert len(paper) == len(ink) == channels
        assert abs(brightness(paper) - brightness(ink)) >= 255 * contrast - 1e-9
        papers.append(brightness(paper) > brightness(ink))
    assert 0.4 < np.mean(papers) < 0.6  # dark on light as often as light on dark


def test_brightness_is_that_of_pillow() -> None:
    from PIL import Image

    for colour in [(255, 0, 0), (12, 200, 99), (255, 255, 255)]:
        assert brightness(colour) == pytest.approx(
            Image.new("RGB", (1, 1), colour).convert("L").getpixel((0, 0)), abs=1
        )


def test_ink_mixes_with_paper_in_proportion() -> None:
    ink = np.array([[0, 51, 255]], np.uint8)
    image = paint(ink, (255, 0, 100), (0, 10, 200))
    assert image.tolist() == [[[255, 0, 100], [204, 2, 120], [0, 10, 200]]]
    assert image.flags.c_contiguous
    assert paint(ink, (250,), (0,)).tolist() == [[250, 200, 0]]
