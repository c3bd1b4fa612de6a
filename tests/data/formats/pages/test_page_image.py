"""The image of a page is found under the name that its XML gives it, and turned as its XML means it."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageDraw

from ocrtrain.data.formats import open_lines
from ocrtrain.data.formats.pages.page_image import NO_IMAGE
from ocrtrain.data.images.image import as_stored, image_turn, read_image
from ocrtrain.errors import InputError

TEXT = "Typing jumps"


def letters(size: tuple[int, int], boxes: list[tuple[int, int, int, int]]) -> Image.Image:
    """A page with a line of letters in each box."""
    page = Image.new("L", size, 250)
    for x0, y0, _, y1 in boxes:
        ImageDraw.Draw(page).text((x0 + 5, y0 + 4), TEXT, fill=0, font_size=round(0.75 * (y1 - y0)))
    return page


def write_page(folder: Path, page: Image.Image, boxes: list[tuple[int, int, int, int]], turn: int) -> None:
    """Write a page as a camera does that was held in a way, and its XML with these lines."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = turn
    page.save(folder / "p.png", exif=exif)
    lines = "".join(
        f'<TextLine id="l{n}"><Coords points="{x0},{y0} {x1},{y0} {x1},{y1} {x0},{y1}"/>'
        f'<Baseline points="{x0},{y0 + round(0.83 * (y1 - y0))} {x1},{y0 + round(0.83 * (y1 - y0))}"/>'
        f"<TextEquiv><Unicode>{TEXT}</Unicode></TextEquiv></TextLine>"
        for n, (x0, y0, x1, y1) in enumerate(boxes)
    )
    (folder / "p.xml").write_text(
        '<PcGts xmlns="page"><Page imageFilename="p.png" imageWidth="400" imageHeight="300">'
        f"<TextRegion>{lines}</TextRegion></Page></PcGts>"
    )


BOXES = [(30, 40, 260, 80), (30, 100, 260, 140)]
EVEN = [(85, 60, 315, 100), (85, 200, 315, 240)]  # in the same places when the page is turned around


@pytest.mark.parametrize("boxes", [BOXES, EVEN])
@pytest.mark.parametrize("turn", [1, 2, 3, 4, 5, 6, 7, 8])
@pytest.mark.parametrize("made_on", ["stored", "upright"])
def test_exif(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    turn: int,
    made_on: str,
    boxes: list[tuple[int, int, int, int]],
) -> None:
    if turn == 2 and made_on == "upright" and boxes is EVEN:
        return  # a mirrored page tells nothing but to who reads it
    page = letters((400, 300), boxes)
    stored = page if made_on == "stored" else Image.fromarray(as_stored(np.asarray(page), turn))
    write_page(tmp_path, stored, boxes, turn)
    with caplog.at_level(logging.WARNING):
        source = open_lines(tmp_path)
    for number, (x0, y0, x1, y1) in enumerate(boxes):
        assert np.array_equal(source.line(number, 0).image, np.asarray(page)[y0:y1, x0:x1])
    warned = [r.getMessage() for r in caplog.records if "EXIF turn" in r.getMessage()]
    # Turned by a quarter, the sizes tell; else the ink does, which is no certainty.
    assert len(warned) == (turn in (2, 3, 4))
    assert not warned or made_on.replace("upright", "turned") in warned[0]


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("turn", range(1, 9))
def test_pixels_as_they_are_stored(tmp_path: Path, turn: int, suffix: str) -> None:
    stored = np.random.default_rng(0).integers(0, 256, (20, 30), dtype=np.uint8)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = turn
    file = tmp_path / f"p.{suffix}"
    Image.fromarray(stored).save(file, exif=exif)
    assert image_turn(file) == turn
    assert np.array_equal(read_image(file, 1, upright=False), stored)
    assert np.array_equal(as_stored(read_image(file, 1), turn), stored)


def renamed(file: Path, name: str) -> Path:
    file.write_text(file.read_text().replace("page.png", name))
    return file


@pytest.mark.parametrize(
    "name",
    [
        "/home/somebody/export/scan.png",
        "C:\\\\Users\\\\somebody\\\\scan.png",
        "../../../../../elsewhere/scan.png",
        "https://example.org/iiif/scan.png",
        "images\\\\scan.png",
        "SCAN.PNG",
        "file:///data/scan.png",
    ],
)
def test_names_of_another_machine(make: SimpleNamespace, tmp_path: Path, name: str) -> None:
    file = renamed(make.page(tmp_path / "a", ["one"]), name)
    (tmp_path / "a" / "page.png").rename(tmp_path / "a" / "scan.png")
    assert list(open_lines(file).originals) == ["one"]


def test_names_that_are_followed(make: SimpleNamespace, tmp_path: Path) -> None:
    file = make.page(tmp_path / "doc" / "page", ["one"])
    (tmp_path / "doc" / "images").mkdir()
    (tmp_path / "doc" / "page" / "page.png").rename(tmp_path / "doc" / "images" / "ü 1.png")
    content = file.read_text()
    for name in (
        "../images/ü 1.png",
        "images/ü 1.png",
        "..\\images\\u\u0308 1.png",
        f"{tmp_path}/doc/images/ü 1.png",
    ):
        file.write_text(content.replace("page.png", name))
        assert list(open_lines(file).originals) == ["one"]
    (tmp_path / "doc" / "page" / "ü 1.png").symlink_to("../images/ü 1.png")
    file.write_text(content.replace("page.png", "http://example.org/%C3%BC%201.png"))
    assert list(open_lines(file).originals) == ["one"]


def test_a_name_does_not_lead_out_of_the_folder_above(make: SimpleNamespace, tmp_path: Path) -> None:
    file = renamed(make.page(tmp_path / "a" / "b", ["one"]), "../../far.png")
    (tmp_path / "a" / "b" / "page.png").rename(tmp_path / "far.png")
    with pytest.raises(InputError, match=NO_IMAGE):
        open_lines(file)


@pytest.mark.parametrize("name", ["x" * 5000, "..", ".", "/", "\\", " ", "%00.png", "a\u0301" * 200])
def test_odd_names(make: SimpleNamespace, tmp_path: Path, name: str) -> None:
    file = renamed(make.page(tmp_path / "a", ["one"]), name)
    assert list(open_lines(file).originals) == ["one"]  # the image has the XML's own name
    (tmp_path / "a" / "page.png").unlink()
    with pytest.raises(InputError, match=NO_IMAGE):
        open_lines(file)


def test_equal_faults_take_one_line(make: SimpleNamespace, tmp_path: Path) -> None:
    for number in range(30):
        file = make.page(tmp_path / "all" / f"{number:03}", ["one"])
        renamed(file, f"{number:03}.png").rename(tmp_path / "all" / f"{number:03}.xml")
    told = f"30 x page cannot be used: {NO_IMAGE}: 000.xml, 001.xml, 002.xml and 27 more\n"
    with pytest.raises(InputError) as error:
        open_lines(tmp_path / "all")
    assert told in str(error.value)


@pytest.mark.parametrize("value", ["nan", "1e308", "8e-305", "-400", "9" * 5000, "wide", "0.25", "2000000"])
def test_sizes_that_no_page_has(make: SimpleNamespace, tmp_path: Path, value: str) -> None:
    for file, old in (
        (make.page(tmp_path / "page", ["one"]), 'imageWidth="400"'),
        (make.alto(tmp_path / "alto", ["one"]), 'WIDTH="400"'),
    ):
        file.write_text(file.read_text().replace(old, old.replace("400", value)))
        with pytest.raises(InputError, match=r"WIDTH of the page|imageWidth of the page"):
            open_lines(file)
    file = make.page(tmp_path / "both", ["one"])
    file.write_text(file.read_text().replace('"400"', '"400000"').replace('"300"', '"300000"'))
    with pytest.raises(InputError, match="of another shape"):
        open_lines(file)
    file.write_text(file.read_text().replace('"400000"', '"0"').replace('"300000"', '""'))
    assert open_lines(file).line(0, 0).image.shape == (35, 110)
