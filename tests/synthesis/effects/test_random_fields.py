"""Random fields are even, smooth, and a function of their draws."""

from __future__ import annotations

import numpy as np
import pytest

from ocrtrain.synthesis.effects.pixels import add_noise
from ocrtrain.synthesis.effects.random_fields import smooth, wave
from ocrtrain.synthesis.hashed_random import HashedRandom


@pytest.mark.parametrize("wavelength", [1.0, 2.0, 8.0, 32.0, 500.0])
def test_values_are_equally_likely_and_patches_as_large_as_asked_for(wavelength: float) -> None:
    field = smooth(HashedRandom("a"), (256, 2048), wavelength).astype(float)
    if wavelength <= 8:  # of large patches there are too few
        quarters = np.histogram(field, [0, 64, 128, 192, 256])[0] / field.size
        assert quarters == pytest.approx([0.25] * 4, abs=0.03)
    steps = np.abs(np.diff(field, axis=1)).mean()
    assert steps == pytest.approx(85 / min(wavelength, 128), rel=0.6)


def test_fields_are_as_large_as_asked_for_and_drawn_by_name() -> None:
    for shape in ((1, 1), (40, 5000), (700, 3)):
        one, same = (smooth(HashedRandom("x"), shape, 16) for _ in range(2))
        assert one.shape == shape and np.array_equal(one, same)
    assert not np.array_equal(smooth(HashedRandom("x"), (40, 90), 4), smooth(HashedRandom("y"), (40, 90), 4))
    # It goes on without an edge where the large field ends.
    steps = np.abs(np.diff(smooth(HashedRandom("x"), (600, 4200), 64).astype(int), axis=1))
    assert steps.max() < 40


def test_a_wave_is_smooth_and_as_long_as_asked_for() -> None:
    for wavelength in (20.0, 150.0):
        curve = wave(HashedRandom("a"), 3000, wavelength)
        assert curve.dtype == np.float32 and curve.shape == (3000,)
        assert -1 <= curve.min() < -0.5 and 0.5 < curve.max() <= 1
        assert np.abs(np.diff(curve)).max() < 8 / wavelength
        through_zero = (np.diff(np.sign(curve)) != 0).sum()
        assert 0.3 < through_zero / (3000 / wavelength) < 2


@pytest.mark.parametrize("deviation", [0.3, 1.0, 7.7, 15.0, 60.0, 100.0])
def test_noise_has_the_deviation_asked_for(deviation: float) -> None:
    image = np.full((200, 500, 4), 128, np.uint8)
    change = add_noise(image, deviation, HashedRandom("noise", 1)).astype(float) - 128
    normal = np.random.default_rng(0).normal(0, deviation, 400_000)
    expected = np.clip(np.rint(normal), -128, 127)
    assert change.std() == pytest.approx(expected.std(), rel=0.03)
    assert abs(change.mean()) < 0.02 * deviation + 0.02
    for bound in (deviation // 2, deviation, 2 * deviation):
        assert np.mean(abs(change) <= bound) == pytest.approx(np.mean(abs(expected) <= bound), abs=0.02)


def test_noise_stops_at_black_and_white() -> None:
    for value in (0, 255):
        noisy = add_noise(np.full((100, 100), value, np.uint8), 50.0, HashedRandom("ends", 1))
        assert np.mean(noisy == value) == pytest.approx(0.5, abs=0.03)


def test_noise_is_drawn_by_name_and_fits_any_size() -> None:
    image = np.full((600, 700, 4), 128, np.uint8)  # more than the sequence is long
    one, same, other = (add_noise(image, 10.0, HashedRandom(name, 1)) for name in ("a", "a", "b"))
    np.testing.assert_array_equal(one, same)
    assert (one != other).mean() > 0.8
    assert add_noise(image, 0.0, HashedRandom("a", 1)).tolist() == image.tolist()
