"""Colours can be told apart, and noise is as strong as asked for."""

from __future__ import annotations

import numpy as np
import pytest

from ocrtrain.synthesis.draws import Draws
from ocrtrain.synthesis.paint import add_noise, brightness, draw_colours, paint, rgb


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("contrast", [0.1, 0.35, 0.5])
def test_paper_and_ink_differ_in_brightness(channels: int, contrast: float) -> None:
    papers = []
    for i in range(2000):
        paper, ink = draw_colours(Draws(f"colours:{i}", 9), channels, contrast)
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
    image = rgb(paint(ink, (255, 0, 100), (0, 10, 200)))
    assert image.tolist() == [[[255, 0, 100], [204, 2, 120], [0, 10, 200]]]
    assert image.flags.c_contiguous
    assert paint(ink, (250,), (0,)).tolist() == [[250, 200, 0]]


@pytest.mark.parametrize("deviation", [0.3, 1.0, 7.7, 15.0, 60.0, 100.0])
def test_noise_has_the_deviation_asked_for(deviation: float) -> None:
    image = np.full((200, 500, 4), 128, np.uint8)
    change = add_noise(image, deviation, Draws("noise", 1)).astype(float) - 128
    normal = np.random.default_rng(0).normal(0, deviation, 400_000)
    expected = np.clip(np.rint(normal), -128, 127)
    assert change.std() == pytest.approx(expected.std(), rel=0.03)
    assert abs(change.mean()) < 0.02 * deviation + 0.02
    for bound in (deviation // 2, deviation, 2 * deviation):
        assert np.mean(abs(change) <= bound) == pytest.approx(np.mean(abs(expected) <= bound), abs=0.02)


def test_noise_stops_at_black_and_white() -> None:
    for value in (0, 255):
        noisy = add_noise(np.full((100, 100), value, np.uint8), 50.0, Draws("ends", 1))
        assert np.mean(noisy == value) == pytest.approx(0.5, abs=0.03)


def test_noise_is_drawn_by_name_and_fits_any_size() -> None:
    image = np.full((600, 700, 4), 128, np.uint8)  # more than the sequence is long
    one, same, other = (add_noise(image, 10.0, Draws(name, 1)) for name in ("a", "a", "b"))
    np.testing.assert_array_equal(one, same)
    assert (one != other).mean() > 0.8
    assert add_noise(image, 0.0, Draws("a", 1)).tolist() == image.tolist()
