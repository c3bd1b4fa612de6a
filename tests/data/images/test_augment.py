"""Changes that leave a line's text as it is."""

from __future__ import annotations

import numpy as np
import pytest
from hydra.utils import instantiate
from numpy.typing import NDArray
from omegaconf import OmegaConf

from ocrtrain.command_line.presets import built_in
from ocrtrain.data.images.augment import Augment
from ocrtrain.errors import InputError
from ocrtrain.synthesis import effects
from ocrtrain.synthesis.effects.chain import contrasts

STILL = {"stretch": 0.0, "rotation": 0.0, "slant": 0.0, "scale": 0.0, "contrast": 0.0, "noise": 0.0}


def strokes(height: int = 30, width: int = 200) -> NDArray[np.uint8]:
    """Dark strokes on light paper, away from the edges."""
    image = np.full((height, width), 220, np.uint8)
    image[8:22, 20:-20:12] = 40
    image[8:22, 21:-20:12] = 40
    return image


def changed(seed: int = 0, image: NDArray[np.uint8] | None = None, **settings: float) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    return Augment(**{**STILL, **settings})(strokes() if image is None else image, rng)


def test_without_changes_the_image_stays() -> None:
    assert np.array_equal(changed(), strokes())


def test_a_change_is_a_function_of_its_draws() -> None:
    draw = Augment()
    one, same, other = (draw(strokes(), np.random.default_rng(seed)) for seed in (7, 7, 8))
    assert np.array_equal(one, same)
    assert one.shape != other.shape or not np.array_equal(one, other)


def test_the_given_image_is_not_written_to() -> None:
    image = strokes()
    image.flags.writeable = False
    Augment()(image, np.random.default_rng(0))
    assert np.array_equal(image, strokes())


def test_widths_stay_within_the_stretch() -> None:
    widths = [changed(seed, stretch=0.1).shape[1] for seed in range(200)]
    assert 180 <= min(widths) < 184 and 216 < max(widths) <= 220
    assert {changed(seed, stretch=0.1).shape[0] for seed in range(9)} == {30}


def test_a_smaller_line_stays_whole() -> None:
    for seed in range(20):
        image = changed(seed, scale=0.5)
        share = image.shape[1] / 200
        assert 0.5 <= share <= 1.0
        ink, before = (255.0 - image).sum() - 35.0 * image.size, (255.0 - strokes()).sum() - 35.0 * 6000
        assert ink == pytest.approx(before * share**2, rel=0.1)


@pytest.mark.parametrize("settings", [{"rotation": 5.0}, {"slant": 0.3}])
def test_turned_lines_keep_their_ink(settings: dict[str, float]) -> None:
    for seed in range(20):
        image = changed(seed, **settings)
        assert image.shape == (30, 200)
        # Paper fills what comes in from outside.
        assert (image[0] == 220).all() and (image[:, 0] == 220).all()
        assert (220.0 - image).sum() == pytest.approx((220.0 - strokes()).sum(), rel=0.02)


def test_a_slant_moves_columns_by_rows() -> None:
    image = np.full((31, 100), 255, np.uint8)
    image[:, 50] = 0
    shears = [_shear(changed(seed, image, slant=0.2)) for seed in range(20)]
    assert max(map(abs, shears)) <= 0.2 and min(shears) < -0.1 and max(shears) > 0.1


def _shear(image: NDArray[np.uint8]) -> float:
    """Columns by which the one dark stroke moves from row to row."""
    ink = 255.0 - image
    centres = (ink * np.arange(image.shape[1])).sum(1) / ink.sum(1)
    return float(np.polyfit(np.arange(len(centres)), centres, 1)[0])


def test_a_long_line_does_not_leave_its_picture() -> None:
    image = np.full((40, 3000), 255, np.uint8)
    image[19:21] = 0
    for seed in range(10):
        turned = changed(seed, image, rotation=5.0)
        rows = np.flatnonzero((turned < 200).any(1))
        assert rows.min() >= 19 - 5 and rows.max() <= 20 + 5


def test_contrast_leaves_the_paper() -> None:
    for seed in range(10):
        image = changed(seed, contrast=0.3)
        assert image[0, 0] == 220
        assert 220 - 1.3 * 180 - 1 <= int(image.min()) <= 220 - 0.7 * 180 + 1


def test_noise_is_as_strong_as_its_draw() -> None:
    spread = [float(changed(seed, np.full((60, 200), 128, np.uint8), noise=10.0).std()) for seed in range(60)]
    assert min(spread) < 2 and 8 < max(spread) < 10.5


def test_colours_have_margins_of_their_own_paper() -> None:
    paper = np.array([200, 150, 60], np.uint8)
    image = np.broadcast_to(paper, (30, 200, 3)).copy()
    image[8:22, 40:160:9] = (20, 10, 0)
    for seed in range(5):
        small = changed(seed, image, scale=0.4, rotation=3.0, slant=0.3)
        assert small.shape[0] == 30 and small.shape[2] == 3
        for corner in (small[0, 0], small[0, -1], small[-1, 0], small[-1, -1]):
            assert np.array_equal(corner, paper)


def test_effects_come_after_and_depend_on_the_draws_alone() -> None:
    blur = effects.Blur(radius=(0.05, 0.05))
    plain = changed(3, noise=0.0)
    augment = Augment(**STILL, effects={"blur": blur, "off": None}, least_contrast=0.0)
    one, same, other = (augment(strokes(), np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert np.array_equal(one, same) and not np.array_equal(one, plain)
    assert np.array_equal(one, other)  # the radius is always the same
    noise = Augment(**STILL, effects={"noise": effects.Noise()})
    draws = [noise(strokes(), np.random.default_rng(seed)) for seed in (3, 3, 4)]
    assert np.array_equal(draws[0], draws[1]) and not np.array_equal(draws[0], draws[2])


def test_without_effects_nothing_more_is_drawn() -> None:
    rng, reference = np.random.default_rng(5), np.random.default_rng(5)
    Augment()(strokes(), rng)
    Augment(effects={})(strokes(), reference)
    assert rng.integers(1 << 60) == reference.integers(1 << 60)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", ["scan", "photo"])
def test_presets_leave_a_line_that_can_be_read(name: str, channels: int) -> None:

    folder = built_in() / "data/augment"
    files = [OmegaConf.load(folder / f"{file}.yaml") for file in ("default", name)]
    config = OmegaConf.merge(*files)
    del config["defaults"]
    for step in config.effects.values():
        step.share = 1.0
    augment = instantiate(config, _convert_="all")
    image = strokes() if channels == 1 else np.stack([strokes(), strokes() // 2, strokes() // 3], axis=2)
    still = Augment(
        **{key: config[key] for key in STILL},
        effects={k: s for k, s in augment.chain.steps.items() if s.moves},
    )
    for seed in range(30):
        one, ink = (draw(image, np.random.default_rng(seed)) for draw in (augment, still))
        assert one.shape == ink.shape and one.dtype == np.uint8
        where = ink if channels == 1 else ink[..., 0]
        where = np.where(where < 130, 0, 255).astype(np.uint8)
        assert (contrasts(one, where)[0] > 0.08).all()


def test_what_is_no_effect_is_named() -> None:
    with pytest.raises(InputError, match=r"data\.augment\.effects\.mine: cannot be called as an effect"):
        Augment(effects={"mine": 3})  # type: ignore[dict-item]
