"""Effects in a row: each depends on its own name alone, and what they leave can be read."""

from __future__ import annotations

from typing import Any

import hydra
import numpy as np
import pytest
from numpy.typing import NDArray

from ocrtrain.command_line.presets import built_in
from ocrtrain.errors import InputError
from ocrtrain.synthesis import build_generator
from ocrtrain.synthesis.effects import AnyColours, Blur, DarkInk, Effect, Effects, Fade, Noise, Shadow, Wander
from ocrtrain.synthesis.effects.chain import contrasts
from ocrtrain.synthesis.hashed_random import HashedRandom

CONF = built_in()
PRESETS = sorted(file.stem for file in (CONF / "synthesis").glob("*.yaml"))


def clean(index: int = 0, height: int = 40) -> NDArray[np.uint8]:
    plain = build_generator(fonts=["bundled"], height=height, channels=1, rotation_share=0.0, effects=None)
    return plain.line(0, 0, index).image


def test_steps_follow_each_other_and_none_is_left_out() -> None:
    wander, blur = Wander(amount=(0.1, 0.1)), Blur(radius=(0.03, 0.03))
    both = Effects({"first": wander, "off": None, "second": blur})
    assert list(both.steps) == ["first", "second"]

    def alone(effect: Effect, key: str, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        rng = HashedRandom(f"effect:{key}:line")
        assert rng.chance(1.0)
        return effect(picture, rng)

    expected = alone(blur, "second", alone(wander, "first", clean()))
    np.testing.assert_array_equal(both(clean(), "line"), expected)
    assert not np.array_equal(both(clean(), "other line"), expected)
    assert Effects(None)(clean(), "line") is not None


def test_an_effect_does_what_it_does_whatever_others_do() -> None:
    noise = Noise(deviation=(5, 5))
    alone = Effects({"noise": noise})(clean(), "a").astype(int) - clean()
    after = Effects({"tone": Blur(share=0.0), "more": Noise(share=0.0), "noise": noise})(clean(), "a")
    np.testing.assert_array_equal(after - clean().astype(int), alone)


def test_an_effect_befalls_its_share() -> None:
    chain = Effects({"noise": Noise(share=0.3, deviation=(9, 9))})
    picture = clean()
    hit = sum(not np.array_equal(chain(picture, str(i)), picture) for i in range(300))
    assert 60 < hit < 120


def test_what_is_no_effect_is_refused() -> None:
    with pytest.raises(InputError, match=r"synthesis\.effects\.blur: cannot be called as an effect"):
        build_generator(fonts=["bundled"], effects={"blur": {"share": 0.5}})  # type: ignore[dict-item]

    class Larger:
        share = 1.0

        def __call__(self, picture: NDArray[np.uint8], rng: HashedRandom) -> NDArray[np.uint8]:
            return np.pad(picture, 1)

    chain = Effects({"mine": Larger()}, where="synthesis.effects")  # type: ignore[dict-item]
    with pytest.raises(InputError, match=r"synthesis\.effects\.mine: made uint8"):
        chain(clean(), "a")


def test_an_effect_of_ones_own_needs_no_base_class() -> None:
    class Negative:
        share = 1.0

        def __call__(self, picture: NDArray[np.uint8], rng: HashedRandom) -> NDArray[np.uint8]:
            return ~picture

    chain = Effects({"mine": Negative()}, least_contrast=0.1)  # type: ignore[dict-item]
    np.testing.assert_array_equal(chain(clean(), "a"), ~clean())


def test_contrast_is_that_of_ink_and_paper() -> None:
    picture = np.full((40, 120), 255, np.uint8)
    picture[10:30, ::10] = 0
    difference, deviation = contrasts(np.where(picture == 0, 51, 204).astype(np.uint8), picture)
    assert difference.tolist() == pytest.approx([0.6, 0.6, 0.6]) and deviation.max() < 0.01
    faded = np.where(picture == 0, 51, 204).astype(np.uint8)
    faded[:, 40:80] = 204
    assert contrasts(faded, picture)[0].tolist() == pytest.approx([0.6, 0.0, 0.6])
    assert contrasts(np.stack([picture] * 3, axis=2), picture)[0][0] == pytest.approx(1.0, abs=0.01)


def test_what_nobody_could_read_is_drawn_clearer() -> None:
    same = DarkInk(paper=(0.5, 0.5), ink=(0.5, 0.5), tint=(0, 0), channels=1)
    line = Effects({"colours": same}, least_contrast=0.12)(clean(), "a")
    assert contrasts(line, clean())[0].min() >= 0.5
    # One part of the line is enough.
    dark = Effects({"shadow": Shadow(amount=(0.9, 0.9)), "noise": Noise(deviation=(60, 60))}, 0.12)
    for i in range(20):
        difference, deviation = contrasts(dark(clean(i), str(i)), clean(i))
        assert (difference >= np.maximum(0.12, deviation)).all()
    # What can be read stays as it is.
    faded = Effects({"fade": Fade(amount=(0.3, 0.3))}, 0.12)(clean(), "a")
    np.testing.assert_array_equal(faded, Effects({"fade": Fade(amount=(0.3, 0.3))})(clean(), "a"))


def strongest(config: Any) -> dict[str, Any]:
    """Set every share to one, and every range of a strength to its end."""
    settings = hydra.utils.instantiate({**config, "effects": None}, _convert_="all", _partial_=True).keywords
    steps = {}
    for name, node in (config.effects or {}).items():
        step = dict(node)
        step["share"] = 1.0
        for key, value in step.items():
            if key in ("scale", "quality", "paper"):
                step[key] = [value[0]] * 2
            elif key not in ("share", "_target_", "offset", "softness") and not isinstance(
                value, int | float
            ):
                step[key] = [value[1]] * 2
        steps[name] = hydra.utils.instantiate(step, _convert_="all")
    return {**settings, "effects": steps}


@pytest.mark.parametrize("preset", PRESETS)
def test_with_everything_at_its_strongest_each_line_can_be_read(preset: str) -> None:
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        words = [f"synthesis={preset}", "output=x", "synthesis.only_fonts=null", "synthesis.fonts=[bundled]"]
        config = hydra.compose("generate", words).synthesis
    generator = build_generator(**strongest(config))
    still = [name for name, step in generator.effects.steps.items() if not getattr(step, "moves", False)]
    moving = Effects({k: s for k, s in generator.effects.steps.items() if k not in still})
    bare = build_generator(**{**strongest(config), "effects": None, "channels": 1})
    for i in range(25):
        line = generator.line(0, 0, i)
        # The ink is where the clean line, moved alike, has it.
        difference, _ = contrasts(line.image, moving(bare.line(0, 0, i).image, f"0:0:{i}"))
        assert len(difference)
        assert (np.abs(difference) >= 0.1).all() and len(set(np.sign(difference))) == 1, i


def test_settings_name_all_that_makes_another_line() -> None:
    base = Effects({"a": Blur(), "b": AnyColours()}).settings()
    others = [
        Effects({"b": AnyColours(), "a": Blur()}),
        Effects({"a": Blur(share=0.5), "b": AnyColours()}),
        Effects({"a": Noise(), "b": AnyColours()}),
        Effects({"a": Blur(radius=[0.01, 0.02]), "b": AnyColours()}),
    ]
    assert all(other.settings() != base for other in others)
    assert base["effects.a.radius"] == [0.006, 0.03]
