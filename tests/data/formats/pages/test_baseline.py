"""Lines stand upright however they were drawn, and an outline that is another line's is not cut."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ocrtrain.data.formats import open_lines
from ocrtrain.data.formats.pages.baseline import extent, place
from ocrtrain.data.formats.pages.page import read_page
from ocrtrain.errors import InputError

PAGE = """<PcGts xmlns="http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15">
<Page imageFilename="p.png" imageWidth="{w}" imageHeight="{h}"><TextRegion {region}>
{lines}</TextRegion></Page></PcGts>"""
LINE = """<TextLine id="{n}" {line}><Coords points="{outline}"/><Baseline points="{baseline}"/>
<TextEquiv><Unicode>{text}</Unicode></TextEquiv></TextLine>"""

# An upright line of 200 x 40 at (50, 100) on a page of 300 x 240, with a mark at the upper left.
W, H = 300, 240
BOX = [(50, 100), (250, 100), (250, 140), (50, 140)]
BASE, MIDDLE, TOP = (130, 120, 103)
HEBREW, LATIN, HINDI, DIGITS = "שלום", "word", "शब्द", "1914"


def turned(points: list[tuple[int, int]], quarters: int) -> list[tuple[int, int]]:
    """Where points of the page lie when it is turned anticlockwise by quarters."""
    w, h = W, H
    for _ in range(quarters):
        points, (w, h) = [(y, w - 1 - x) for x, y in points], (h, w)
    return points


def write(points: list[tuple[int, int]]) -> str:
    return " ".join(f"{x},{y}" for x, y in points)


@pytest.fixture
def cut(tmp_path: Path) -> Callable[..., str]:
    """Cut out the one line of a page that is turned anticlockwise; tells the corner in which the mark is."""

    def cut_one(
        baseline: list[tuple[int, int]],
        text: str = LATIN,
        quarters: int = 0,
        line: str = "",
        region: str = 'id="r"',
        others: str = "",
    ) -> str:
        pixels = np.full((H, W), 255, np.uint8)
        pixels[104:114, 54:74] = 0
        page = np.rot90(pixels, quarters)
        Image.fromarray(page).save(tmp_path / "p.png")
        drawn = LINE.format(
            n="l",
            outline=write(turned(BOX, quarters)),
            baseline=write(turned(baseline, quarters)),
            text=text,
            line=line,
        )
        xml = PAGE.format(w=page.shape[1], h=page.shape[0], region=region, lines=drawn + others)
        (tmp_path / "p.xml").write_text(xml, encoding="utf-8")
        image = open_lines(tmp_path).line(0, 0).image
        rows, columns = np.nonzero(image < 100)
        across = "left" if columns.mean() < image.shape[1] / 2 else "right"
        return f"{'upper' if rows.mean() < image.shape[0] / 2 else 'lower'} {across}"

    return cut_one


def level(y: int, left: int = 50, right: int = 250) -> list[tuple[int, int]]:
    return [(left, y), (right, y)]


@pytest.mark.parametrize("y", [BASE, MIDDLE, TOP])
@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
@pytest.mark.parametrize("text", [LATIN, HINDI, DIGITS])
def test_a_line_drawn_from_left_to_right_stands_as_it_was_drawn(
    cut: Callable[..., str], text: str, quarters: int, y: int
) -> None:
    if quarters == 2 and (y < BASE or text == HINDI):
        return  # a level line to the left, of which see below
    if y == TOP and quarters in (1, 3) and text != HINDI:
        return  # as of one drawn from its end, of which see below
    assert cut(level(y), text, quarters) == "upper left"


@pytest.mark.parametrize("lean", [-6, -2, 2, 6])
@pytest.mark.parametrize("quarters", [1, 3])
def test_a_leaning_line_on_its_side(cut: Callable[..., str], quarters: int, lean: int) -> None:
    assert cut([(50, MIDDLE + lean), (250, MIDDLE - lean)], LATIN, quarters) == "upper left"


@pytest.mark.parametrize("y", [BASE, MIDDLE, TOP])
@pytest.mark.parametrize("text", [HEBREW, "سلام", LATIN, HINDI])
def test_a_level_line_drawn_from_right_to_left(cut: Callable[..., str], text: str, y: int) -> None:
    if text == LATIN and y == TOP:
        return  # so is a line drawn that is upside down
    assert cut(level(y)[::-1], text) == "upper left"


@pytest.mark.parametrize(
    ("attributes", "upright"),
    [
        ('readingDirection="right-to-left"', True),
        ('custom="readingDirection {value:right-to-left;}"', True),
        ('orientation="0"', True),
        ('orientation="178.5"', False),
        ('orientation="-180"', False),
        ('custom="orientation {angle:180;}"', False),
        ('custom="structure {type:topline;}"', True),
        ("", False),
    ],
)
@pytest.mark.parametrize("place", ["line", "region"])
def test_what_the_file_says_decides(
    cut: Callable[..., str], place: str, attributes: str, upright: bool
) -> None:
    wanted = "upper left" if upright else "lower right"
    assert cut(level(TOP)[::-1], **{place: attributes or 'custom=""'}) == wanted


@pytest.mark.parametrize(("quarters", "degrees"), [(1, 90), (2, 180), (2, -180), (3, -90), (0, 0)])
def test_an_orientation_holds_for_lines_drawn_from_either_end(
    cut: Callable[..., str], quarters: int, degrees: int
) -> None:
    # PAGE: the angle by which the region is to be turned clockwise; the page here is turned anticlockwise.
    for drawn in (level(MIDDLE), level(MIDDLE)[::-1], [(150, MIDDLE)]):
        assert cut(drawn, quarters=quarters, region=f'orientation="{degrees}"') == "upper left"


def test_a_page_tells_how_its_steep_lines_are_drawn(cut: Callable[..., str]) -> None:
    box = [(5, 200), (100, 200), (100, 230), (5, 230)]
    fields = {"outline": write(box), "text": HEBREW, "line": "", "n": "other"}
    leftwards = LINE.format(baseline="100,222 5,222", **fields)
    rightwards = LINE.format(baseline="5,222 100,222", **fields)
    assert cut(level(MIDDLE)[::-1], HEBREW, 1, others=leftwards) == "upper left"
    assert cut(level(MIDDLE), HEBREW, 1, others=rightwards) == "upper left"
    assert cut(level(BASE)[::-1], HEBREW, 1) == "upper left"
    assert cut(level(BASE), HEBREW, 1) == "upper left"


def test_a_line_without_text_is_as_those_around_it(cut: Callable[..., str]) -> None:
    box = [(5, 200), (100, 200), (100, 230), (5, 230)]
    other = LINE.format(outline=write(box), baseline="100,222 5,222", text=HEBREW, line="", n="other")
    assert cut(level(TOP)[::-1], DIGITS, others=other) == "upper left"
    assert cut(level(TOP)[::-1], DIGITS, region='primaryScript="Hebr - Hebrew"') == "upper left"


@pytest.mark.parametrize("shift", [-80, -60, 60, 80])
@pytest.mark.parametrize("quarters", [0, 1])
def test_an_outline_of_another_line_is_not_cut(cut: Callable[..., str], quarters: int, shift: int) -> None:
    with pytest.raises(InputError, match="1 x outline and baseline of the line do not belong together"):
        cut(level(BASE + shift), quarters=quarters)
    with pytest.raises(InputError, match="do not belong together"):
        cut([(5, BASE), (40, BASE)])  # beside it


@pytest.mark.parametrize("y", [97, 100, 103, 140, 143])
def test_a_baseline_at_the_edge_of_its_outline_belongs_to_it(cut: Callable[..., str], y: int) -> None:
    assert cut(level(y)) == "upper left"


def test_the_place_of_a_baseline() -> None:
    outline, base = np.array(BOX, float), np.array(level(BASE), float)
    found = place(outline, base)
    assert (found.covered, found.share, found.height) == (1.0, pytest.approx(0.75), pytest.approx(40.0))
    assert place(outline, base[::-1]).share == pytest.approx(0.25)  # seen from below
    assert place(outline, base + np.array([100.0, 0.0])).covered == pytest.approx(0.5, abs=0.03)
    assert not extent(base[:1]) and not extent(base[[0, 0]]) and not extent(None) and extent(base)


def test_lines_of_real_pages_have_outlines_of_their_own(real_pages: Path) -> None:
    """7,222 lines that were looked at: none is left out, and one page number was drawn from its end."""
    lines = runs = 0
    for file in sorted(real_pages.glob("*/*/*.xml")):
        page = read_page(str(file))
        assert page is not None
        for line in page.lines:
            if line.outline is not None and line.baseline is not None:
                lines += 1
                runs += line.backwards
                assert place(line.outline, line.baseline).fits, (file.name, line.name)
    assert lines == 7222 and runs == 1
