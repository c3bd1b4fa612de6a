"""The compiled loops do what Pillow and NumPy do, and their noise is noise."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from ocrtrain.data.images import preprocess_numba
from ocrtrain.data.images.augment import Augment
from ocrtrain.data.images.compiled import compiled
from ocrtrain.data.images.ink import ink_on_white, levels
from ocrtrain.data.images.preprocess import Preprocess, resized
from ocrtrain.errors import InputError

STILL = {"stretch": 0.0, "rotation": 0.0, "slant": 0.0, "scale": 0.0, "contrast": 0.0}


def speckled(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """An image in which neighbours have nothing in common: the hardest to resample."""
    return np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)


@given(
    high=st.integers(1, 130), wide=st.integers(1, 300), height=st.integers(1, 70), width=st.integers(1, 200)
)
@settings(max_examples=150, deadline=None)
def test_scaling_is_pillows_within_one_grey_level(high: int, wide: int, height: int, width: int) -> None:
    image = speckled(high, wide)
    expected = np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))
    assert abs(resized(image, width, height).astype(int) - expected).max() <= 1


def test_scaling_to_the_same_size_changes_nothing() -> None:
    image = speckled(13, 57)
    assert np.array_equal(preprocess_numba.scaled(image, 13, 57), image)


@pytest.mark.parametrize("name", ["fraktur/train", "handwriting/train"])
def test_real_lines_are_scaled_as_by_pillow(real_lines, name: str) -> None:
    for path in sorted(real_lines(name).glob("*.png"))[:30]:
        image = np.asarray(Image.open(path).convert("L"))
        columns = Preprocess().columns(image.shape[1] / image.shape[0])
        expected = np.asarray(Image.fromarray(image).resize((columns, 40), Image.Resampling.BILINEAR))
        assert abs(Preprocess(ink=False)(image)[0].astype(int) - expected).max() <= 1


@given(
    stretch=st.floats(0.5, 1.0),
    slant=st.floats(-0.5, 0.5),
    shift_x=st.floats(-90.0, 90.0),
    rotation=st.floats(-0.02, 0.02),
    scale=st.floats(0.5, 2.0),
    shift_y=st.floats(-40.0, 40.0),
)
@settings(max_examples=150, deadline=None)
def test_resampling_is_pillows(
    stretch: float, slant: float, shift_x: float, rotation: float, scale: float, shift_y: float
) -> None:
    image = np.pad(speckled(30, 80) // 4 * 3, 6, constant_values=250)  # beyond an image there is paper
    image[15:20] = 250
    matrix = (stretch, slant, shift_x, rotation, scale, shift_y)
    found = preprocess_numba.changed(image, 42, 90, matrix, 1.0, 0.0, 0, preprocess_numba.quantiles())
    expected = Image.fromarray(image).transform(
        (90, 42), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR, fillcolor=250
    )
    # One of 128 places between two columns; and neighbours lie on the slope, each at its own row.
    allowed = 3 + 250 * abs(rotation) / stretch
    assert abs(found.astype(int) - np.asarray(expected)).max() <= allowed


@given(
    shape=st.tuples(st.integers(1, 50), st.integers(1, 120)),
    paper=st.integers(0, 255),
    ink=st.integers(0, 255),
    spread=st.integers(0, 60),
    share=st.floats(0.0, 0.5),
    seed=st.integers(0, 1000),
)
@settings(max_examples=200, deadline=None)
def test_ink_is_found_as_by_numpy_to_the_bit(
    shape: tuple[int, int], paper: int, ink: int, spread: int, share: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    shades = np.where(rng.random(shape) < share, ink, paper) + rng.normal(0, 1, shape) * spread
    image = np.clip(shades, 0, 255).astype(np.uint8)
    assert np.array_equal(ink_on_white(image), levels(image)[image])


def test_images_that_are_parts_of_others_are_read_alike() -> None:
    whole = speckled(90, 300)
    part = whole[::2, 5:-7]
    for change in (Preprocess(), Preprocess(ink=False)):
        assert np.array_equal(change(part), change(part.copy()))
    augment = Augment()
    one, other = (augment(image, np.random.default_rng(1)) for image in (part, part.copy()))
    assert np.array_equal(one, other)


def test_grey_is_read_alike_as_one_channel_and_as_three() -> None:
    grey = speckled(77, 310)
    three = np.stack([grey] * 3, axis=2)
    for ink in (False, True):
        assert np.array_equal(Preprocess(ink=ink)(grey), Preprocess(ink=ink)(three))


def noise_of(seed: int, height: int = 40, width: int = 3000) -> NDArray[np.float64]:
    """What `Augment` adds to an empty line, in grey levels; its strength is drawn."""
    empty = np.full((height, width), 128, np.uint8)
    return Augment(**STILL, noise=20.0)(empty, np.random.default_rng(seed)).astype(float) - 128


def strong(count: int) -> Iterator[NDArray[np.float64]]:
    """Noise of `count` lines in which it is strong, so that whole grey levels do not show."""
    drawn = (noise_of(seed) for seed in range(1000))
    found = (noise for noise in drawn if noise.std() > 8)
    for _ in range(count):
        yield next(found)


def test_noise_is_normally_distributed() -> None:
    for noise in strong(6):
        values = noise.ravel() / noise.std()
        error = 1 / np.sqrt(len(values))
        assert abs(values.mean()) < 5 * error
        assert abs((values**3).mean()) < 5 * np.sqrt(15) * error
        assert (values**4).mean() == pytest.approx(3.0, abs=5 * np.sqrt(96) * error)
        assert (abs(values) > 2).mean() == pytest.approx(0.0455, abs=0.006)


def test_noise_repeats_neither_within_a_line_nor_between_lines() -> None:
    one, other, third = (noise.ravel() / noise.std() for noise in strong(3))
    waves = [np.fft.rfft(noise) for noise in (one, other, third)]
    most = 7 / np.sqrt(len(one))  # standard deviations, of 120,000 shifts
    for first, second in ((0, 0), (0, 1), (1, 2)):
        alike = np.fft.irfft(waves[first] * waves[second].conj(), len(one)) / len(one)
        if first == second:
            assert alike[0] == pytest.approx(1.0)
            alike = alike[1:]
        assert abs(alike).max() < most


def test_channels_have_noise_of_their_own() -> None:
    empty = np.full((40, 2000, 3), 128, np.uint8)
    drawn = (Augment(**STILL, noise=20.0)(empty, np.random.default_rng(seed)) for seed in range(99))
    noisy = next(image for image in drawn if image.std() > 8)
    assert abs(np.corrcoef(noisy.reshape(-1, 3).T)[np.triu_indices(3, 1)]).max() < 0.03


@pytest.fixture
def without_numba(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installation whose Numba does not work."""
    monkeypatch.setitem(sys.modules, "ocrtrain.data.images.preprocess_numba", None)
    compiled.cache_clear()
    yield
    compiled.cache_clear()


def test_lines_are_read_without_numba(without_numba: None) -> None:
    assert compiled() is None
    image = np.full((60, 200), 200, np.uint8)
    image[20:40, 20:180:9] = 30
    slow = Preprocess(ink=False)(image)[0]
    assert abs(slow.astype(int) - preprocess_numba.scaled(image, 40, 133)).max() <= 1
    assert np.array_equal(Preprocess()(slow)[0], preprocess_numba.ink_on_white(slow, 64))


def test_augmentation_names_a_missing_numba(without_numba: None) -> None:
    with pytest.raises(InputError, match=r"data\.augment: needs Numba.*\n?.*data\.augment=null"):
        Augment()
