"""All ink lies on the line, where and how the layout says."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, features

from ocrtrain.fonts.finding import bundled_folder
from ocrtrain.synthesis.render import Layout, Placement, draw_ink, lay_out
from ocrtrain.synthesis.typeface import Typeface, open_face

FOLDER = bundled_folder()


def face(size: int = 24, name: str = "DejaVuSans") -> Typeface:
    return open_face(f"{FOLDER}/{name}.ttf", 0, size, False)


def layout(
    text: str = "Hamburg",
    size: int = 24,
    name: str = "DejaVuSans",
    width: int | None = None,
    **changes: float | tuple[float, float] | None,
) -> Layout:
    placement = Placement(size, **{"left": 3.0, "right": 5.0, **changes})  # type: ignore[arg-type]
    return lay_out(text, face(size, name), placement, 32, width)


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
    x0, y0, x1, y1 = face().font.getbbox("Hamburg", anchor="ls")
    plain = Image.new("L", (int(x1 - x0), int(y1 - y0)))
    ImageDraw.Draw(plain).text((-x0, -y0), "Hamburg", 255, face().font, anchor="ls")
    drawn = Image.fromarray(draw_ink(placed))
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


def test_letters_of_one_pitch_stand_in_cells_of_one_width() -> None:
    for name in ("DejaVuSans", "cmr10"):
        boxes = [face(24, name).typeset(text, pitch=0.6).box for text in ("iM", "MM", "Mi", "WW")]
        cell = round(0.6 * 24)
        assert all(right <= 2 * cell for _, _, right, _ in boxes)
        starts = [x for _, x, _ in face(24, name).typeset("MMM", pitch=0.6).pictures]
        assert [b - a for a, b in pairwise(starts)] == [cell, cell]
        assert max(ink.shape[1] for ink, _, _ in face(24, name).typeset("WMi", pitch=0.6).pictures) <= cell


def test_letters_and_words_move_apart_as_asked() -> None:
    def width(**gaps: float) -> int:
        left, _, right, _ = face(40).typeset("to be or", **gaps).box
        return right - left

    assert width(spacing=0.1) - width() == pytest.approx(0.1 * 40 * 7, abs=1)
    assert width(word_spacing=0.5) - width() == pytest.approx(0.5 * 40 * 2, abs=1)
    assert width(spacing=-0.05) < width()


@pytest.mark.skipif(not features.check("raqm"), reason="Pillow without libraqm here")
def test_pairs_are_kerned_as_harfbuzz_does() -> None:
    for text in ("AVATAR", "To, Type. Wave", "Yes"):
        for name in ("DejaVuSans", "DejaVuSerif", "cmr10"):
            left, _, right, _ = face(100, name).typeset(text).box
            shaped = open_face(f"{FOLDER}/{name}.ttf", 0, 100, True).font
            x0, _, x1, _ = shaped.getbbox(text, anchor="ls")
            assert (left, right) == pytest.approx((x0, x1), abs=4)


def test_stretched_and_slanted_ink_is_as_wide_as_said() -> None:
    plain = layout("HHHH")
    ink_width, ink_height = 2 * plain.half_width, plain.letters.box[3] - plain.letters.box[1]
    assert layout("HHHH", stretch=1.5).half_width * 2 == pytest.approx(1.5 * ink_width)
    leaning = layout("HHHH", slant=0.5)
    assert leaning.half_width * 2 == pytest.approx(ink_width + 0.5 * ink_height)
    ink = draw_ink(leaning).astype(float)
    rows = np.flatnonzero(ink.max(1) > 128)
    starts = [np.flatnonzero(ink[row] > 128)[0] for row in rows]
    assert np.polyfit(rows, starts, 1)[0] == pytest.approx(-0.5, abs=0.05)


@pytest.mark.parametrize("text", ["Hamburg", "cosmos", "ÅÇgj", "-"])
def test_a_line_cut_out_along_its_ink_has_the_room_asked_for(text: str) -> None:
    ink = draw_ink(layout(text, room=(3.0, 6.0)))
    rows = np.flatnonzero(ink.max(1) > 100)
    assert rows[0] == pytest.approx(3, abs=1.5) and rows[-1] == pytest.approx(32 - 6 - 1, abs=1.5)


def test_no_margins_in_a_fixed_width_put_the_text_in_the_middle() -> None:
    assert layout("abc", width=320, left=0.0, right=0.0).x == pytest.approx(160)
