"""All ink lies on the line, where and how the layout says."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from ocrtrain.synthesis.fonts import bundled_folder
from ocrtrain.synthesis.render import Layout, draw_ink, lay_out, open_face

FOLDER = bundled_folder()


def face(size: int = 24, name: str = "DejaVuSans") -> ImageFont.FreeTypeFont:
    return open_face(f"{FOLDER}/{name}.ttf", 0, size, False)


def layout(
    text: str = "Hamburg", size: int = 24, name: str = "DejaVuSans", **changes: float | None
) -> Layout:
    options = {
        "height": 32,
        "width": None,
        "degrees": 0.0,
        "shift": 0.0,
        "left": 3.0,
        "right": 5.0,
        **changes,
    }
    return lay_out(text, face(size, name), **options)  # type: ignore[arg-type]


def whole(ink: Layout) -> np.ndarray:
    """Draw on a much larger line, so that nothing can be cut off."""
    size = {"width": ink.width + 100, "height": ink.height + 100}
    larger = replace(ink, x=ink.x + 50, y=ink.y + 50, **size)
    return np.asarray(draw_ink(larger))


@settings(max_examples=60, deadline=None)
@given(
    text=st.text("ABgjpqyÅÇ|l1W .,", min_size=1, max_size=30).filter(lambda text: text.strip()),
    size=st.integers(8, 32),
    name=st.sampled_from(["DejaVuSans", "DejaVuSerif-BoldItalic", "STIXGeneralItalic"]),
    degrees=st.floats(-45, 45),
    shift=st.floats(-20, 20),
    margins=st.tuples(st.floats(0, 10), st.floats(0, 10)),
    width=st.sampled_from([None, 64, 320]),
)
def test_no_ink_is_cut_off(
    text: str,
    size: int,
    name: str,
    degrees: float,
    shift: float,
    margins: tuple[float, float],
    width: int | None,
) -> None:
    left, right = margins
    placed = layout(text, size, name, degrees=degrees, shift=shift, left=left, right=right, width=width)
    assert width is None or placed.width == width
    drawn = whole(placed)
    # What a resampling spreads to the next pixel is no part of a letter.
    beyond = drawn.astype(int).copy()
    beyond[50:-50, 50:-50] = 0
    assert beyond.max() <= 64
    inside = np.asarray(draw_ink(placed))
    np.testing.assert_allclose(inside.astype(int), drawn[50:-50, 50:-50], atol=3)  # another rounding


def test_straight_text_is_what_pillow_draws() -> None:
    placed = layout(left=3.0)
    x0, y0, x1, y1 = face().getbbox("Hamburg", anchor="ls")
    plain = Image.new("L", (int(x1 - x0), int(y1 - y0)))
    ImageDraw.Draw(plain).text((-x0, -y0), "Hamburg", 255, face(), anchor="ls")
    drawn = draw_ink(placed)
    box, plain_box = drawn.getbbox(), plain.getbbox()
    assert box is not None and plain_box is not None
    np.testing.assert_array_equal(np.asarray(drawn.crop(box)), np.asarray(plain.crop(plain_box)))
    assert drawn.size == (math.ceil(3 + (x1 - x0) + 5), 32)


def test_letters_keep_their_height_on_the_line_whatever_is_beside_them() -> None:
    small, mixed = (np.asarray(draw_ink(layout(text))) for text in ("cos", "coslpgj"))
    rows = [np.flatnonzero(image[:, : small.shape[1] - 6].max(1) > 128) for image in (small, mixed)]
    assert rows[0].max() == pytest.approx(32 / 2 + 0.36 * 24, abs=1.5)  # the baseline
    lower = np.asarray(draw_ink(layout("cosx")))
    upper = np.asarray(draw_ink(layout("COSX")))
    tops = [np.flatnonzero(image.max(1) > 128).min() for image in (lower, upper)]
    assert tops[0] - tops[1] >= 3


def test_positive_degrees_lift_the_right_end() -> None:
    ink = np.asarray(draw_ink(layout("nnnnnn", degrees=5.0))).astype(float)
    columns = np.arange(ink.shape[1])
    heights = [
        (np.arange(32) @ ink[:, part]).sum() / ink[:, part].sum() for part in (columns < 40, columns >= 40)
    ]
    assert heights[1] < heights[0] - 2


@pytest.mark.parametrize("degrees", [-5.0, 5.0, 30.0])
def test_turning_turns_about_the_middle(degrees: float) -> None:
    placed = layout("HOXOH", degrees=degrees, width=200)
    ink = np.asarray(draw_ink(placed)).astype(float)
    centre = [(np.arange(n) + 0.5) @ ink.sum(axis) / ink.sum() for n, axis in ((200, 0), (32, 1))]
    assert centre == pytest.approx([placed.x, placed.y], abs=0.6)
    rows, columns = np.nonzero(ink > 64)
    slope = -np.polyfit(columns, rows, 1)[0]
    assert slope == pytest.approx(math.tan(placed.angle), abs=0.02)


def test_long_lines_are_turned_less() -> None:
    assert layout("abc", degrees=5.0).angle == pytest.approx(math.radians(5))
    long = layout("a long line of sixty characters or so, which would not fit", degrees=5.0)
    assert 0 < long.angle < math.radians(1.5)
    assert long.scale > 0.7


@pytest.mark.parametrize("blur", [0.3, 1.0, 2.5])
def test_blur_is_that_of_the_whole_line(blur: float) -> None:
    placed = layout("Hamburg", degrees=3.0, width=320)
    expected = draw_ink(placed).filter(ImageFilter.GaussianBlur(blur))
    np.testing.assert_array_equal(np.asarray(draw_ink(placed, blur)), np.asarray(expected))


def test_no_margins_in_a_fixed_width_put_the_text_in_the_middle() -> None:
    assert layout("abc", width=320, left=0.0, right=0.0).x == pytest.approx(160)
