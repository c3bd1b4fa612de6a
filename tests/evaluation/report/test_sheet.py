"""The sheet of lines, judged by its pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from ocrtrain.errors import InputError
from ocrtrain.evaluation.report.figures import SheetLine, draw_sheet
from ocrtrain.evaluation.report.sheet import LABEL, MARGIN, WIDTH, _best_font, _fonts_for

GREY = np.full((32, 200), 90, np.uint8)


def drawn(path: Path, *lines: SheetLine | tuple[NDArray[np.uint8], str, str]) -> NDArray[np.int64]:
    draw_sheet(lines, path)
    with Image.open(path) as image:
        assert image.mode == "RGB" and image.width == WIDTH
        return np.asarray(image).astype(np.int64)


def reddish(pixels: NDArray[np.int64]) -> NDArray[np.bool_]:
    red: NDArray[np.bool_] = pixels[..., 0] - pixels[..., 1] > 30
    return red


def test_right_lines_have_no_red_and_wrong_ones_do(tmp_path: Path) -> None:
    right = drawn(tmp_path / "right.png", SheetLine(GREY, "Weg und Ziel", "Weg und Ziel"))
    wrong = drawn(tmp_path / "wrong.png", SheetLine(GREY, "Weg und Ziel", "Weg nnd Ziel"))
    assert not reddish(right).any()
    columns = np.flatnonzero(reddish(wrong).any(axis=0))
    # The u of "und" in both texts, after "Weg " and before "nd Ziel".
    assert columns.min() > MARGIN + LABEL + 30 and columns.max() < MARGIN + LABEL + 80
    assert reddish(wrong).sum() > 100


@pytest.mark.parametrize(("truth", "read"), [("ab cd", "abcd"), ("abcd", "ab cd"), ("abc", ""), ("", "abc")])
def test_missing_and_extra_characters_show_in_both_texts(truth: str, read: str, tmp_path: Path) -> None:
    pixels = drawn(tmp_path / "sheet.png", SheetLine(GREY, truth, read))
    rows = np.flatnonzero(reddish(pixels).any(axis=1))
    assert len(np.flatnonzero(np.diff(rows) > 1)) == 1  # two bands: one in the truth, one in the reading


def test_the_image_is_shown_as_it_is(tmp_path: Path) -> None:
    colours = np.zeros((48, 300, 3), np.uint8)
    colours[:, :150], colours[:, 150:] = (200, 30, 30), (30, 30, 200)
    pixels = drawn(tmp_path / "sheet.png", (colours, "", ""))
    shown = pixels[MARGIN : MARGIN + 48, MARGIN + LABEL : MARGIN + LABEL + 300]
    assert np.abs(shown[:, :140] - (200, 30, 30)).max() <= 2
    assert np.abs(shown[:, 160:] - (30, 30, 200)).max() <= 2


def test_a_very_long_line_is_folded_and_stays_inside(tmp_path: Path) -> None:
    long = np.full((32, 6000), 60, np.uint8)
    pixels = drawn(tmp_path / "sheet.png", SheetLine(long, "lange Zeile " * 40, "lange Zelle " * 40))
    assert (pixels[:, WIDTH - MARGIN + 1 :] == 255).all()
    dark = (pixels[:, MARGIN + LABEL + 5] == 60).all(axis=1)
    assert dark.sum() == 5 * 24  # 6000 x 32 becomes 4500 x 24, in strips of 1096


@pytest.mark.parametrize(
    ("truth", "read"),
    [
        ("بسم الله", "بسم اله"),
        ("عام 1948 م", "عام 1943 م"),
        ("cafe\u0301", "cafe"),
        ("a\tb\x1b\u2028c", "\udcffx\n"),
        ("日本", "日木"),
        (" ", "  "),
    ],
)
def test_any_text_can_be_drawn(truth: str, read: str, tmp_path: Path) -> None:
    assert reddish(drawn(tmp_path / "sheet.png", SheetLine(GREY[:1, :1], truth, read))).any()


def test_no_lines_give_an_empty_sheet(tmp_path: Path) -> None:
    assert (drawn(tmp_path / "sheet.png") == 255).all()


def test_a_text_beyond_dejavu_gets_a_font_that_has_it() -> None:
    letter = "\U0001d4d0"  # MATHEMATICAL BOLD SCRIPT CAPITAL A: in STIX, which matplotlib brings along
    fonts = _fonts_for("Text " + letter)
    assert fonts[0].name.startswith("DejaVu Sans") and letter not in fonts[0].characters
    assert _best_font([letter], fonts).path != fonts[0].path
    assert _best_font(["Text"], fonts).path == fonts[0].path


def test_a_sheet_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here")
    with pytest.raises(InputError, match=r"sheet\.png: cannot be written"):
        draw_sheet([], tmp_path / "file" / "sheet.png")
