"""Lines of PAGE and ALTO XML: cut out where they lie, straight, and with their own text."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, ImageDraw

from ocrtrain.data.formats import open_lines
from ocrtrain.data.formats.pages.dewarp import cut_line
from ocrtrain.errors import InputError


@pytest.mark.parametrize("year", ["2013-07-15", "2016-07-15", "2017-07-15", "2018-07-15", "2019-07-15"])
def test_page_xml(make: SimpleNamespace, tmp_path: Path, year: str) -> None:
    texts = ["one", "two & three", "שלום"]
    source = open_lines(make.page(tmp_path / "a", texts, year))
    assert list(source.originals) == texts and source.skipped == {}
    for number in range(3):
        line = source.line(number, 0)
        assert line.source == f"{tmp_path / 'a' / 'page.xml'}#l{number}"
        # The outline is 110 (and 20 more for each) by 35, the dark bar in it 101 by 25.
        assert line.image.shape == (35, 110 + 20 * number)
        assert abs(int((line.image < 100).sum()) - 25 * (101 + 20 * number)) < 60
        assert source.widths(0)[number] == pytest.approx((110 + 20 * number) / 35)
    assert source.line(1, 0).image.min() == 31  # its own bar, not a neighbour's


@pytest.mark.parametrize("version", ["v2", "v3", "v4"])
def test_alto_xml(make: SimpleNamespace, tmp_path: Path, version: str) -> None:
    texts = ["one two", 'say "hi"', "three"]
    source = open_lines(make.alto(tmp_path / "a", texts, version))
    assert list(source.originals) == texts
    assert source.line(2, 0).image.min() == 32 and source.line(2, 0).image.shape == (35, 150)


def edited(file: Path, *changes: tuple[str, str]) -> Path:
    content = file.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in content
        content = content.replace(old, new)
    file.write_text(content, encoding="utf-8")
    return file


def test_alto_details(make: SimpleNamespace, tmp_path: Path) -> None:
    file = make.alto(tmp_path / "a", ["one two"])
    edited(file, ('<String CONTENT="two"/>', '<String CONTENT="tw"/><HYP CONTENT="-"/>'))
    assert list(open_lines(file).originals) == ["one tw-"]
    edited(file, ('BASELINE="20 45 120 45"', 'BASELINE="45"'), ("ns-v4", "ns-v3"))
    assert open_lines(file).line(0, 0).image.shape == (35, 110)
    # A tenth of a millimetre: the page's own size gives the scale.
    edited(
        file,
        ("<MeasurementUnit>pixel", "<MeasurementUnit>mm10"),
        ('WIDTH="400" HEIGHT="300"', 'WIDTH="800" HEIGHT="600"'),
    )
    assert open_lines(file).line(0, 0).image.shape == (18, 55)


@pytest.mark.parametrize("baseline", [None, [[40.0, 45.0], [290.0, 45.0]]])
def test_a_level_line_is_cut_out_pixel_by_pixel(baseline: list[list[float]] | None) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (90, 330), dtype=np.uint8)
    outline = np.array([[37.0, 21], [300, 21], [300, 60], [37, 60]])
    line = cut_line(Image.fromarray(pixels), outline, None if baseline is None else np.array(baseline))
    assert np.array_equal(np.asarray(line), pixels[21:60, 37:300])


def test_page_details(make: SimpleNamespace, tmp_path: Path) -> None:
    file = make.page(tmp_path / "doc" / "page", ["one"])
    # As Transkribus exports: the XML in page/, the image above it; the reading that counts has index 0.
    (tmp_path / "doc" / "page" / "page.png").rename(tmp_path / "doc" / "page.png")
    (tmp_path / "doc" / "mets.xml").write_text("<mets xmlns='http://www.loc.gov/METS/'/>")
    edited(
        file,
        ("<TextEquiv>", '<TextEquiv index="1"><Unicode>worse</Unicode></TextEquiv><TextEquiv index="0">'),
        ('imageWidth="400" imageHeight="300"', 'imageWidth="800" imageHeight="600"'),
        ("<Baseline", "<Word><TextEquiv><Unicode>w</Unicode></TextEquiv></Word><Baseline"),
    )
    source = open_lines(tmp_path / "doc")
    assert list(source.originals) == ["one"] and source.line(0, 0).image.shape == (18, 55)


COORDS = 'points="15,15 125,15 125,50 15,50"'


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("page.png", "gone.png", None),  # the image has the XML's name
        (COORDS, 'points="15,15"', "line without an outline"),
        (COORDS, 'points="nonsense"', "outline of the line cannot be read"),
        (COORDS, 'points="nan,15 125,15 1,125,50"', "outline of the line cannot be read"),
        (COORDS, 'points=""', "line without an outline"),
        (COORDS, 'points="15,15 16,16 15,15"', "no extent"),
        (COORDS, 'points="900,15 990,15 990,50 900,50"', "lies outside of the page"),
        (COORDS, 'points="-50,15 125,15 125,50 -50,50"', None),
        ('points="20,45 120,45"', 'points="20,45 20,45"', None),
        ('points="20,45 120,45"', 'points="20,45"', None),
        ('points="20,45 120,45"', 'points="20,4x5 120,45"', "baseline of the line cannot be read"),
        ('points="20,45 120,45"', 'points="120,45 20,45"', None),
        ("<Unicode>one", "<Unicode>", "empty text"),
        ("<TextEquiv><Unicode>one</Unicode></TextEquiv>", "", "line without a text"),
        ("<Unicode>one", "<Unicode>o&#10;ne", "text of several lines"),
        ('imageWidth="400"', 'imageWidth="500"', "is of a page of another shape than its image"),
        ("</Page>", "", "is damaged or no XML"),
        ("<Page ", "<Pages ", "is damaged or no XML"),
        (' encoding="UTF-8"?>', '?><!DOCTYPE x [<!ENTITY e "boom">]>', "declares XML entities"),
        (">one<", ">&e;<", "is damaged or no XML"),
    ],
)  # fmt: skip
def test_faults_of_a_page(make: SimpleNamespace, tmp_path: Path, old: str, new: str, why: str | None) -> None:
    file = edited(make.page(tmp_path / "a", ["one", "two"]), (old, new))
    if why is None:
        assert list(open_lines(file).originals) == ["one", "two"]
        assert open_lines(file).line(0, 0).image.shape[0] == 35
        return
    try:
        source = open_lines(file)
    except InputError as error:
        assert why in str(error)
    else:
        assert list(source.originals) == ["two"] and why in " ".join(source.skipped)


def test_an_external_entity_is_not_read(make: SimpleNamespace, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    doctype = f'<!DOCTYPE x [<!ENTITY e SYSTEM "file://{tmp_path}/secret">]>'
    file = edited(
        make.page(tmp_path / "a", ["one"]),
        ('<?xml version="1.0" encoding="UTF-8"?>', doctype),
        (">one<", ">&e;<"),
    )
    with pytest.raises(InputError, match="declares XML entities"):
        open_lines(file)


def test_xml_without_its_image(make: SimpleNamespace, tmp_path: Path) -> None:
    file = make.page(tmp_path / "a", ["one"])
    (tmp_path / "a" / "page.png").unlink()
    with pytest.raises(
        InputError, match=r"its image is neither beside it nor in the folder above: page\.xml"
    ):
        open_lines(file)


def test_pages_are_cut_once_and_again_when_they_change(
    make: SimpleNamespace, tmp_path: Path, own_cache: Path
) -> None:
    file = make.page(tmp_path / "a", ["one"])
    open_lines(file)
    written = {path.name for path in own_cache.iterdir()}
    assert {name.rpartition(".")[2] for name in written} == {"images", "table"}
    assert open_lines(file).line(0, 0).image.min() == 30
    assert {path.name for path in own_cache.iterdir()} == written
    Image.new("L", (400, 300), 77).save(tmp_path / "a" / "page.png")
    assert open_lines(file).line(0, 0).image.min() == 77
    for path in own_cache.glob("*.images"):
        path.unlink()
    assert open_lines(file).line(0, 0).image.min() == 77


def test_damage_in_the_cache_of_cut_lines_is_not_believed(
    make: SimpleNamespace, tmp_path: Path, own_cache: Path
) -> None:
    file = make.page(tmp_path / "a", ["one", "two"])
    source = open_lines(file)
    before = [source.line(index, 0).image for index in range(2)]
    (blob,) = own_cache.glob("*.images")
    whole = blob.read_bytes()
    blob.write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
    source = open_lines(file)
    assert np.array_equal(source.line(0, 0).image, before[0])
    with pytest.raises(InputError, match=r"page\.xml#.*: was damaged in the cache"):
        source.line(1, 0)
    again = open_lines(file)
    assert all(np.array_equal(again.line(index, 0).image, before[index]) for index in range(2))
    assert blob.read_bytes() == whole
    blob.write_bytes(whole[:-1])
    assert np.array_equal(open_lines(file).line(1, 0).image, before[1])


def test_a_curved_line_becomes_straight() -> None:
    """Rows of dots along an arc: after cutting, each row is level to within a pixel or so."""
    page = Image.new("L", (900, 400), 255)
    x = np.arange(50, 850, 2.0)
    y = 200 + 60 * np.sin((x - 50) / 800 * np.pi)
    draw = ImageDraw.Draw(page)
    for px, py in zip(x, y, strict=True):
        draw.rectangle((px - 2, py - 2, px + 2, py + 1), fill=0)
    edge = np.stack([x, y], 1)
    outline = np.concatenate([edge - np.array([0, 30]), (edge + np.array([0, 12]))[::-1]])
    line = np.asarray(cut_line(page, outline, edge[::33]))
    rows = [np.flatnonzero(column < 128).mean() for column in line.T if (column < 128).any()]
    assert len(rows) > 780 and np.ptp(rows) < 4.0
    assert 40 <= line.shape[0] <= 48
    upright = np.asarray(cut_line(page, outline, None))
    assert upright.shape[0] > 95  # without a baseline, the box


def test_a_line_on_its_side_is_turned() -> None:
    page = Image.new("L", (100, 300), 255)
    ImageDraw.Draw(page).rectangle((40, 50, 60, 70), fill=0)  # at the upper end of a line that runs upwards
    outline = np.array([[30.0, 40], [70, 40], [70, 260], [30, 260]])
    line = np.asarray(cut_line(page, outline, np.array([[65.0, 255], [65, 45]])))
    assert line.shape == (40, 220)
    columns = np.flatnonzero((line < 128).any(0))
    assert 188 <= columns.min() <= 192 and 208 <= columns.max() <= 212


ZIGZAG = " ".join(f"{20 + 100 * (i % 2)},45" for i in range(15_000))


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (COORDS, 'points="1e308,15 125,15 125,50 15,50"', "outline of the line cannot be read"),
        (COORDS, f'points="{"9" * 9999},15 125,15 125,50 15,50"', "outline of the line cannot be read"),
        (COORDS, f'points="{"15,15 " * 30_000}"', "outline of the line cannot be read"),
        (COORDS, 'points="-1e6,-1e6 1e6,-1e6 1e6,1e6 -1e6,1e6"', None),
        ('points="20,45 120,45"', 'points="-1e6,45 1e6,45"', "do not belong together"),
        ('points="20,45 120,45"', 'points="20,15000 15000,15000"', "do not belong together"),
        ('points="20,45 120,45"', f'points="{ZIGZAG}"', "line is longer than any page"),
    ],
)  # fmt: skip
def test_coordinates_far_outside(
    make: SimpleNamespace, tmp_path: Path, old: str, new: str, why: str | None
) -> None:
    source = open_lines(edited(make.page(tmp_path / "a", ["one", "two"]), (old, new)))
    if why is None:
        assert source.line(0, 0).image.shape == (299, 399)  # the page, to its last points
    else:
        assert list(source.originals) == ["two"] and why in " ".join(source.skipped)


def test_an_alto_box_beyond_all_bounds(make: SimpleNamespace, tmp_path: Path) -> None:
    file = make.alto(tmp_path / "a", ["one", "two"])
    edited(file, ('BASELINE="20 45 120 45"', 'BASELINE="45"'), ('WIDTH="110"', 'WIDTH="1e308"'))
    source = open_lines(file)
    told = ["page.xml#l0 ('1e308' is not from -1,000,000 to 1,000,000)"]
    assert source.skipped == {"outline of the line cannot be read": told}


def test_texts_of_a_program_are_told_of(
    make: SimpleNamespace, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = edited(make.page(tmp_path / "a", ["one"]), ("<TextEquiv>", '<TextEquiv conf="0.9">'))
    with caplog.at_level("WARNING"):
        assert list(open_lines(file).originals) == ["one"]
    assert "1 x page with texts that have a confidence" in caplog.text
