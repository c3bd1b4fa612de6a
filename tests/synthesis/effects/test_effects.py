"""Every effect: a function of its rng, of the same size, nothing at zero strength, in grey and colour."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import fields
from typing import Any, get_type_hints

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ocrtrain.errors import InputError
from ocrtrain.fonts.finding import bundled_folder
from ocrtrain.synthesis import effects
from ocrtrain.synthesis.effects import Effect
from ocrtrain.synthesis.hashed_random import HashedRandom

Picture = NDArray[np.uint8]
KINDS: list[type[Effect]] = [
    kind
    for name in effects.__all__
    if isinstance(kind := getattr(effects, name), type) and issubclass(kind, Effect) and kind is not Effect
]
# What is left out has no strength of nothing: it paints, cuts out, thresholds, or compresses.
NOTHING: dict[str, dict[str, Any]] = {
    **{
        kind: {"amount": (0, 0)}
        for kind in (
            *(
                "Wander",
                "Curve",
                "Slant",
                "Perspective",
                "Elastic",
                "Stroke",
                "Fade",
                "Wear",
                "Gradient",
                "Texture",
            ),
            *("Stains", "ShowThrough", "Shadow", "Moire", "Neighbours", "SaltAndPepper", "Rules"),
        )
    },
    "Noise": {"deviation": (0, 0)},
    "Speckle": {"deviation": (0, 0)},
    "Rotation": {"degrees": (0, 0)},
    "Bleed": {"radius": (0, 0), "gain": (1, 1), "rough": (0, 0)},
    "Strikes": {"force": (0, 0), "offset": (0, 0), "bold": (0, 0)},
    "Blur": {"radius": (0, 0)},
    "MotionBlur": {"length": (0, 0)},
    "LowResolution": {"scale": (1, 1)},
    "Tone": {"gamma": (1, 1), "contrast": (1, 1)},
}


def line(channels: int = 1, height: int = 40, paper: int = 240, ink: int = 20) -> Picture:
    """Draw words in dark on light, or the other way round."""
    font = ImageFont.truetype(f"{bundled_folder()}/DejaVuSerif.ttf", round(0.55 * height))
    image = Image.new("L", (round(font.getlength("Typical words.")) + height // 2, height), paper)
    ImageDraw.Draw(image).text((height // 4, round(0.68 * height)), "Typical words.", ink, font, anchor="ls")
    grey = np.asarray(image)
    return grey if channels == 1 else np.stack([grey, grey // 2 + 60, 255 - grey // 3], axis=2)


def name(kind: type[Effect]) -> str:
    return kind.__name__


@pytest.fixture(params=[1, 3], ids=["grey", "colour"])
def picture(request: pytest.FixtureRequest) -> Picture:
    return line(request.param)


@pytest.mark.parametrize("kind", KINDS, ids=name)
def test_an_effect_is_a_function_of_its_draws(kind: type[Effect], picture: Picture) -> None:
    picture = picture.copy()
    picture.flags.writeable = False
    effect = kind()
    one, same = (effect(picture, HashedRandom("a")) for _ in range(2))
    assert one.dtype == np.uint8 and one.shape[:2] == picture.shape[:2] and one.ndim in (2, 3)
    assert one.ndim == picture.ndim or kind is effects.AnyColours
    np.testing.assert_array_equal(one, same)
    others = [effect(picture, HashedRandom(f"b{i}")) for i in range(8)]
    assert any(not np.array_equal(one, other) for other in others)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if name(kind) in NOTHING], ids=name)
def test_no_strength_is_no_change(kind: type[Effect], picture: Picture) -> None:
    effect = kind(**NOTHING[name(kind)])
    for i in range(5):
        np.testing.assert_array_equal(effect(picture, HashedRandom(str(i))), picture)


def test_all_but_these_have_a_strength_of_nothing() -> None:
    assert {name(kind) for kind in KINDS} - NOTHING.keys() == {
        "AnyColours", "DarkInk", "Crop", "Binarise", "Jpeg",
    }  # fmt: skip


@pytest.mark.parametrize("kind", KINDS, ids=name)
def test_lines_of_any_size_are_taken(kind: type[Effect]) -> None:
    for height, width in ((8, 1), (9, 300), (64, 7), (41, 2500)):
        blank = np.full((height, width), 200, np.uint8)
        for picture in (blank, np.stack([blank] * 3, axis=2)):
            for i in range(3):
                assert kind()(picture, HashedRandom(str(i))).shape[:2] == (height, width)


@pytest.mark.parametrize("kind", KINDS, ids=name)
def test_settings_beyond_their_limits_are_refused(kind: type[Effect]) -> None:
    with pytest.raises(InputError, match=rf"{name(kind)}: share=1\.5"):
        kind(share=1.5)
    hints = get_type_hints(kind, include_extras=True)
    for own in fields(kind):
        if own.name == "channels":
            continue
        (limits,) = hints[own.name].__metadata__
        low, high = limits.least, limits.most
        wrong: list[Any] = [low - 1, high + 1, None, "a"]
        if not isinstance(own.default, int | float):
            wrong = [(low - 1, high), (low, high + 1), (high, low), (low,), low, "ab", None]
            kind(**{own.name: [low, high]})
        for value in wrong:
            with pytest.raises(InputError, match=own.name):
                kind(**{own.name: value})


INK = [effects.Stroke, effects.Bleed, effects.Fade, effects.Wear, effects.Strikes, effects.ShowThrough]


@pytest.mark.parametrize("kind", [*INK, effects.Neighbours], ids=name)
def test_light_ink_is_changed_as_dark_ink_is(kind: type[Effect]) -> None:
    dark = line()
    for i in range(4):
        on_dark, on_light = (kind()(p, HashedRandom(str(i))) for p in (dark, ~dark))
        np.testing.assert_array_equal(on_light, ~on_dark)


def share_of_ink(picture: Picture) -> float:
    return float((240.0 - picture).clip(0).mean())


@pytest.mark.parametrize(
    ("effect", "grows"),
    [
        (effects.Stroke(amount=(0.03, 0.03)), True),
        (effects.Stroke(amount=(-0.02, -0.02)), False),
        (effects.Bleed(radius=(0.02, 0.02), gain=(2, 2)), True),
        (effects.Fade(amount=(0.5, 0.5)), False),
        (effects.Wear(amount=(0.3, 0.3)), False),
        (effects.Strikes(force=(0.6, 0.6), bold=(0, 0)), False),
    ],
)
def test_ink_becomes_more_or_less(effect: Effect, grows: bool) -> None:
    before = share_of_ink(line())
    for i in range(5):
        after = share_of_ink(effect(line(), HashedRandom(str(i))))
        assert after > 1.05 * before if grows else after < 0.97 * before


def test_a_stroke_grows_by_what_is_asked_for() -> None:
    bar = np.full((50, 80), 255, np.uint8)
    bar[10:40, 40:44] = 0
    for pixels, width in ((1, 6), (2, 8), (1.5, 7), (-1, 2)):
        effect = effects.Stroke(amount=(pixels / 50, pixels / 50))
        assert (255.0 - effect(bar, HashedRandom("a")))[25].sum() / 255 == pytest.approx(width, abs=0.02)


def test_columns_move_by_less_than_a_pixel_too() -> None:
    from ocrtrain.synthesis.effects.warp import shift_columns

    rows = np.array([[10], [50], [90], [10]], np.uint8)
    picture = np.repeat(rows, 6, axis=1)
    moved = shift_columns(picture, np.array([0, 1, -1, 0.5, -0.25, 9], np.float32))
    assert moved[:, 0].tolist() == [10, 50, 90, 10]
    paper = 50  # the median
    assert moved[:, 1].tolist() == [paper, 10, 50, 90]
    assert moved[:, 2].tolist() == [50, 90, 10, paper]
    assert moved[:, 3].tolist() == [30, 30, 70, 50]
    assert moved[:, 4].tolist() == [20, 60, 70, 20]
    assert moved[:, 5].tolist() == [paper] * 4


def test_displacements_are_those_of_a_transform_by_pillow() -> None:
    from ocrtrain.synthesis.effects.warp import displace

    picture = line()
    height, width = picture.shape
    a, b, c, d, e, f = 1.01, 0.1, -2.5, 0.02, 0.97, 1.25

    def affine(x: Any, y: Any) -> tuple[Any, Any]:
        # Pillow counts from the corners of pixels, not from their middles.
        x, y = x + 0.5, y + 0.5
        return a * x + b * y + c - x, d * x + e * y + f - y

    ours = displace(picture, affine, 12.0).astype(int)
    pillow = np.asarray(
        Image.fromarray(picture).transform(
            (width, height),
            Image.Transform.AFFINE,
            (a, b, c, d, e, f),
            Image.Resampling.BILINEAR,
            fillcolor=240,
        )
    ).astype(int)
    inner = np.abs(ours - pillow)[3:-3, 8:-8]
    assert inner.max() <= 3 and inner.mean() < 0.5


@pytest.mark.parametrize("scale", [0.3, 0.55, 0.9])
def test_few_pixels_are_those_that_pillow_leaves(scale: float, picture: Picture) -> None:
    height, width = picture.shape[:2]
    image = Image.fromarray(picture).resize(
        (round(scale * width), round(scale * height)), Image.Resampling.BILINEAR
    )
    backs = (Image.Resampling.BILINEAR, Image.Resampling.NEAREST)
    smooth, sharp = (np.asarray(image.resize((width, height), back)).astype(int) for back in backs)
    found = set()
    for i in range(12):
        ours = effects.LowResolution(scale=(scale, scale))(picture, HashedRandom(str(i)))
        # Pillow rounds after each of four steps.
        alike = [bool((np.abs(ours - other) <= 2).all()) for other in (smooth, sharp)]
        assert any(alike)
        found.add(alike.index(True))
    assert found == {0, 1}


@pytest.mark.parametrize("deviation", [0.3, 0.8, 2.0])
def test_blur_is_gaussian(deviation: float) -> None:
    from ocrtrain.synthesis.effects.pixels import gaussian_blur

    dot = np.zeros((41, 41), np.uint8)
    dot[20, 20] = 255
    spread = np.zeros((41, 41))
    for _ in range(1):
        spread += gaussian_blur(dot, deviation)
    at = np.arange(41) - 20
    if deviation >= 0.8:
        variance = (spread.sum(0) * at**2).sum() / spread.sum()
        # A pixel is itself 1/12 wide, and the farthest hundredth is cut off.
        assert variance == pytest.approx(deviation**2 + 1 / 12, rel=0.25)
    np.testing.assert_array_equal(spread, spread.T)
    flat = np.full((20, 30), 77, np.uint8)
    np.testing.assert_array_equal(gaussian_blur(flat, deviation), flat)


def test_otsu_finds_the_threshold_between_two_shades() -> None:
    from ocrtrain.synthesis.effects.pixels import otsu

    picture = np.where(np.arange(4000).reshape(40, 100) % 5 == 0, 60, 200).astype(np.uint8)
    threshold, distance = otsu(picture)
    assert threshold == pytest.approx(130) and distance == pytest.approx(140)


def test_two_tones_are_those_of_the_ink() -> None:
    effect = effects.Binarise(offset=(0, 0), grain=(0, 0), softness=(0, 0))
    for i in range(6):
        tones = effect(line(), HashedRandom(str(i)))
        assert np.isin(tones, (0, 255)).mean() > 0.99
        assert ((tones == 0) == (line() < 130)).mean() > 0.97


@pytest.mark.parametrize("quality", [1, 10, 35, 75, 95, 100])
def test_jpeg_is_that_of_libjpeg(quality: int, picture: Picture) -> None:
    file = io.BytesIO()
    picture = effects.Noise(deviation=(5, 5))(picture, HashedRandom("a"))
    Image.fromarray(picture).save(file, "JPEG", quality=quality, subsampling=0)
    written = np.asarray(Image.open(file)).astype(int)
    ours = effects.Jpeg(quality=(quality, quality))(picture, HashedRandom("a")).astype(int)
    # Coefficients half way between two steps may be rounded either way, which moves a whole block.
    difference = np.abs(ours - written)
    assert np.quantile(difference, 0.95) <= 3 and difference.mean() < 1.5


def test_letters_are_struck_one_by_one() -> None:
    bars = np.full((40, 200), 255, np.uint8)
    for k in range(10):
        bars[10:30, 10 + 18 * k : 18 + 18 * k] = 0
    struck = effects.Strikes(force=(0.6, 0.6), offset=(0.05, 0.05), bold=(0, 0))(bars, HashedRandom("a"))
    shades = [int(struck[20, 10 + 18 * k : 18 + 18 * k].max()) for k in range(10)]
    assert [int(struck[20, 10 + 18 * k : 18 + 18 * k].min()) for k in range(10)] == shades
    assert len(set(shades)) >= 6 and max(shades) <= 153
    ink = 255.0 - struck
    middles = [
        float(np.arange(40) @ ink[:, 12 + 18 * k]) / float(ink[:, 12 + 18 * k].sum()) for k in range(10)
    ]
    assert 0.5 < max(middles) - min(middles) <= 4.01


def test_neighbours_stay_away_from_the_line_itself() -> None:
    picture = line()
    effect = effects.Neighbours(above=1, below=1, amount=(0.1, 0.2), gap=(0.05, 0.05))
    rows = np.flatnonzero((picture < 130).any(1))
    own = slice(rows[0] - 2, rows[-1] + 3)
    for i in range(5):
        changed = effect(picture, HashedRandom(str(i)))
        np.testing.assert_array_equal(changed[own], picture[own])
        assert (changed[0] < 130).any() and (changed[-1] < 130).any()


def test_a_crop_leaves_the_room_asked_for() -> None:
    for room in (0.1, 0.15, 0.2):
        cut = effects.Crop(room=(room, room))(line(), HashedRandom("a"))
        rows = np.flatnonzero((cut < 130).any(1))
        assert rows[0] == pytest.approx(room * 40, abs=1.5)
        assert rows[-1] == pytest.approx(40 - room * 40 - 1, abs=1.5)


def test_colours_are_grey_or_not_as_the_line_shall_be() -> None:
    for kind in (effects.AnyColours, effects.DarkInk):
        assert kind(channels=3)(line(), HashedRandom("a")).ndim == 3
        assert kind(channels=1)(line(3), HashedRandom("a")).ndim == 2
        with pytest.raises(InputError, match="channels=2"):
            kind(channels=2)
    dark = effects.DarkInk(paper=(0.8, 0.9), ink=(0.1, 0.2), tint=(0, 0), channels=1)
    for i in range(9):
        painted = dark(line(1, paper=255, ink=0), HashedRandom(str(i)))
        assert 204 <= painted.max() <= 230 and 25 <= painted.min() <= 51


@pytest.mark.parametrize("make", [effects.Noise, effects.Speckle])
def test_noise_leaves_the_mean(make: Callable[..., Effect]) -> None:
    grey = np.full((100, 400), 128, np.uint8)
    changed = make()(grey, HashedRandom("a")).astype(float)
    assert changed.std() > 0.5 and changed.mean() == pytest.approx(128, abs=0.3)
