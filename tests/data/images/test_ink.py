"""Ink on white: the same line in other colours comes out the same."""

from __future__ import annotations

import numpy as np
import pytest

from ocrtrain.data.images.ink import ink_on_white


@pytest.fixture
def stroke():
    """A share of ink per pixel, float [24, 60]: bars on empty paper."""
    share = np.zeros((24, 60))
    share[6:18, 10:14] = share[6:18, 30:33] = 1.0
    share[6:18, 14] = 0.4
    return share


def paint(share, paper, ink):
    colours = np.multiply.outer(1 - share, paper) + np.multiply.outer(share, ink)
    return np.round(colours).astype(np.uint8)


@pytest.mark.parametrize(
    ("paper", "ink"),
    [
        ([0, 0, 0], [255, 255, 255]),
        ([40, 200, 60], [200, 30, 90]),
        ([120, 120, 120], [150, 150, 150]),
    ],
)
def test_colours_do_not_matter(stroke, paper, ink):
    usual = ink_on_white(paint(stroke, [255], [0])[..., 0]).astype(int)
    # Grey levels between paper and ink are as fine as the two are far apart: 30 of 255 at the least.
    np.testing.assert_allclose(ink_on_white(paint(stroke, paper, ink)), usual, atol=10)


def test_grey_and_the_same_as_rgb_are_alike(stroke):
    grey = paint(stroke, [210], [35])[..., 0]
    np.testing.assert_array_equal(ink_on_white(grey), ink_on_white(np.stack([grey] * 3, axis=-1)))


def test_black_on_white_stays_as_it_is(stroke):
    image = np.where(stroke > 0.6, 0, 255).astype(np.uint8)
    np.testing.assert_array_equal(ink_on_white(image), image)


def test_noise_without_ink_is_white():
    rng = np.random.default_rng(0)
    image = np.clip(rng.normal(128, 10, (32, 100, 3)), 0, 255).astype(np.uint8)
    assert (ink_on_white(image) == 255).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 1, 3), (40, 1), (3, 900)])
def test_any_size(shape):
    image = np.zeros(shape, np.uint8)
    assert ink_on_white(image).shape == shape[:2]
