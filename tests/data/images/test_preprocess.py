"""From images of any size to rows and columns."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from ocrtrain.data.images.preprocess import Preprocess
from ocrtrain.errors import InputError


def ramp(height: int, width: int, *colours: int) -> NDArray[np.uint8]:
    """An image that grows brighter to the right, from 0 to 255."""
    row = np.linspace(0, 255, width).round().astype(np.uint8)
    image = np.broadcast_to(row, (height, width))
    return np.ascontiguousarray(np.stack([image] * colours[0], axis=2) if colours else image)


@pytest.mark.parametrize(
    ("size", "height", "columns"),
    [
        ((40, 333), 40, 333),
        ((80, 333), 40, 167),  # 166.5 is rounded up
        ((20, 100), 40, 200),
        ((48, 6000), 48, 6000),
        ((100, 6000), 32, 1920),
        ((900, 3), 40, 1),  # never nothing
    ],
)
def test_the_height_is_given_and_the_width_follows(size: tuple[int, int], height: int, columns: int) -> None:
    preprocess = Preprocess(height=height, ink=False)
    pixels = preprocess(ramp(*size))
    assert pixels.shape == (1, height, columns) and pixels.dtype == np.uint8
    assert preprocess.columns(size[1] / size[0]) == columns


def test_a_line_of_6000_pixels_keeps_every_column() -> None:
    image = np.random.default_rng(0).integers(0, 256, (48, 6000), dtype=np.uint8)
    preprocess = Preprocess(height=48, ink=False)
    assert np.array_equal(preprocess(image)[0], image)
    assert preprocess.padded_width(6000) == 6016


def test_a_fixed_width_squeezes_long_lines_and_leaves_short_ones() -> None:
    preprocess = Preprocess(height=32, channels=3, width=320)
    assert preprocess(ramp(32, 100)).shape == (3, 32, 100)
    squeezed = preprocess(ramp(32, 6000))
    assert squeezed.shape == (3, 32, 320)
    assert abs(squeezed[0, 0].astype(int) - ramp(1, 320)[0]).max() <= 2
    assert {preprocess.padded_width(widest) for widest in (1, 100, 320)} == {320}
    assert Preprocess(width=300).padded_width(5) == 320


@given(widest=st.integers(1, 10_000), multiple=st.integers(1, 100))
def test_batches_are_padded_to_the_next_multiple(widest: int, multiple: int) -> None:
    padded = Preprocess(multiple=multiple).padded_width(widest)
    assert padded % multiple == 0 and 0 <= padded - widest < multiple


def test_thin_strokes_are_averaged_not_dropped() -> None:
    page = np.full((400, 400), 255, np.uint8)
    page[:, ::10] = 0
    assert abs(float(Preprocess(height=40, ink=False)(page).mean()) - 229.5) < 3


def test_channels() -> None:
    colour = np.zeros((40, 50, 3), np.uint8)
    colour[..., 0], colour[..., 1], colour[..., 2] = 200, 100, 50
    assert Preprocess(channels=3)(colour)[:, 7, 9].tolist() == [200, 100, 50]
    grey = int(Image.new("RGB", (1, 1), (200, 100, 50)).convert("L").getpixel((0, 0)))
    assert np.array_equal(Preprocess(channels=1, ink=False)(colour), np.full((1, 40, 50), grey))
    assert np.array_equal(Preprocess(channels=3)(ramp(40, 50))[2], ramp(40, 50))
    assert Preprocess(channels=3)(colour).flags.c_contiguous


@pytest.mark.parametrize("settings", [{"height": 0}, {"channels": 2}, {"width": 0}, {"multiple": -1}])
def test_settings_without_sense_are_named(settings: dict[str, int]) -> None:
    ((name, value),) = settings.items()
    with pytest.raises(InputError, match=f"^{name}={value}: "):
        Preprocess(**settings)


def test_ink_becomes_black_on_white() -> None:
    image = np.full((40, 100, 3), (20, 60, 20), np.uint8)
    image[10:30, 20:80:4] = (250, 240, 200)
    pixels = Preprocess(height=40)(image)
    assert pixels.shape == (1, 40, 100)
    assert set(np.unique(pixels[:, 10:30, 20:80:4])) == {0} and pixels[0, 0, 0] == 255
    assert np.array_equal(Preprocess(height=40, channels=3)(image)[:, 0, 0], (20, 60, 20))


def test_colours_are_needed_for_ink() -> None:
    assert Preprocess(channels=1, ink=True).image_channels == "any"
    assert Preprocess(channels=3).image_channels == 3
    assert Preprocess(channels=1, ink=False).image_channels == 1


def test_settings_are_plain_types() -> None:
    settings = Preprocess(32, 3, 320, ink=False).as_dict()
    assert settings == {"height": 32, "channels": 3, "width": 320, "multiple": 32, "ink": False}
    assert Preprocess(**settings) == Preprocess(32, 3, 320, ink=False)
