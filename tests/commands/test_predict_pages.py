"""Reading the lines of pages: what is read of a line alone is read of it in its page, and goes back there."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from PIL import Image

from ocrtrain import Recognizer
from ocrtrain.commands.page_output import set_text, write_page
from ocrtrain.data.formats.pages.page import Page, read_page
from ocrtrain.decoding import Character, Transcript
from ocrtrain.errors import InputError

etree = pytest.importorskip("lxml.etree")

Command = Callable[..., CompletedProcess[str]]
Box = tuple[int, int, int, int]

PAGE = """<?xml version='1.0' encoding='UTF-8'?>
<PcGts xmlns="http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15"><!-- kept -->
<Metadata><Creator>someone</Creator><LastChange>2001-01-01T00:00:00</LastChange></Metadata>
<Page imageFilename="p.png" imageWidth="{width}" imageHeight="{height}"><TextRegion id="r">
{lines}<TextEquiv><Unicode>old</Unicode></TextEquiv></TextRegion></Page></PcGts>
"""
PAGE_LINE = """<TextLine id="l{number}" custom="kept {{}}">
<Coords points="{x0},{y0} {x1},{y0} {x1},{y1} {x0},{y1}"/>
<Word id="w{number}"><Coords points="0,0 1,1 2,2"/><TextEquiv><Unicode>old</Unicode></TextEquiv></Word>
<TextEquiv index="1"><Unicode>worse</Unicode></TextEquiv><TextStyle fontSize="9"/></TextLine>
"""
ALTO = """<?xml version='1.0' encoding='UTF-8'?>
<alto xmlns="http://www.loc.gov/standards/alto/ns-v4#"><Description>
<MeasurementUnit>pixel</MeasurementUnit><sourceImageInformation><fileName>p.png</fileName>
</sourceImageInformation></Description><Layout><Page WIDTH="{width}" HEIGHT="{height}"><PrintSpace><TextBlock>
{lines}</TextBlock></PrintSpace></Page></Layout></alto>
"""
ALTO_LINE = """<TextLine ID="l{number}" HPOS="{x0}" VPOS="{y0}" WIDTH="{w}" HEIGHT="{h}">
<String CONTENT="old"/><SP/><String CONTENT="text"/></TextLine>
"""


@pytest.fixture
def best(trained: Path) -> Path:
    return trained / "runs/tiny/checkpoints/best.ckpt"


def write_pages(folder: Path, template: str, line: str, images: list[Path]) -> list[Box]:
    """Put line images below each other on a page; gives the box of each."""
    folder.mkdir(parents=True)
    pictures = [Image.open(image).convert("L") for image in images]
    page = Image.new(
        "L", (max(p.width for p in pictures) + 60, 20 + sum(p.height + 20 for p in pictures)), 255
    )
    boxes, y = [], 20
    for number, picture in enumerate(pictures):
        page.paste(picture, (30 + number, y))
        boxes.append((30 + number, y, 30 + number + picture.width, y + picture.height))
        y += picture.height + 20
    page.save(folder / "p.png")
    lines = [
        line.format(number=i, x0=x0, y0=y0, x1=x1 - 1, y1=y1 - 1, w=x1 - x0 - 1, h=y1 - y0 - 1)
        for i, (x0, y0, x1, y1) in enumerate(boxes)
    ]
    text = template.format(width=page.width, height=page.height, lines="".join(lines))
    (folder / "p.xml").write_text(text, encoding="utf-8")
    return boxes


@pytest.fixture
def images(trained: Path) -> list[Path]:
    return sorted((trained / "lines").glob("*.png"))


def texts_of(file: Path) -> list[str]:
    page = read_page(str(file))
    assert page is not None
    return [line.text for line in page.lines]


def without(root: etree._Element, *names: str) -> bytes:
    """The XML without the elements of these names, and without the space around them."""
    for element in list(root.iter(*(f"{{*}}{name}" for name in names))):
        element.getparent().remove(element)
    for element in root.iter():
        element.text, element.tail = (element.text or "").strip(), (element.tail or "").strip()
    return etree.tostring(root)


def test_the_lines_of_a_page(
    command: Command, best: Path, images: list[Path], trained: Path, tmp_path: Path
) -> None:
    boxes = write_pages(tmp_path / "book", PAGE, PAGE_LINE, images)
    with Image.open(tmp_path / "book/p.png") as page:
        # An outline's points are within it: its box ends a pixel before that of an array.
        cut = [page.crop((x0, y0, x1 - 1, y1 - 1)) for x0, y0, x1, y1 in boxes]
    read = Recognizer.load(best).read(cut)
    assert len({transcript.text for transcript in read}) >= 3
    ended = command("predict", f"checkpoint={best}", "input=book", "format=jsonl")
    assert ended.returncode == 0, ended.stderr
    rows = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [row["image"] for row in rows] == [f"book/p.xml#l{i}" for i in range(12)]
    assert [row["text"] for row in rows] == [transcript.text for transcript in read]
    assert [row["confidence"] for row in rows] == pytest.approx([t.confidence for t in read], abs=1e-3)
    # An image of lines beside pages is a page's; named itself, it is a line.
    ended = command("predict", f"checkpoint={best}", "input=book/p.png")
    assert [row[0] for row in csv.reader(io.StringIO(ended.stdout), "excel-tab")] == ["image", "book/p.png"]


def test_page_xml_is_written_again(command: Command, best: Path, images: list[Path], tmp_path: Path) -> None:
    write_pages(tmp_path / "book/page", PAGE, PAGE_LINE, images)
    ended = command("predict", f"checkpoint={best}", "input=book", "output=read")
    assert ended.returncode == 0, ended.stderr
    assert "read 12 of 12 lines into read" in ended.stderr
    ended = command("predict", f"checkpoint={best}", "input=book")
    read = [row[2] for row in csv.reader(io.StringIO(ended.stdout), "excel-tab")][1:]
    written = tmp_path / "read/page/p.xml"
    assert texts_of(written) == read

    before, after = (etree.parse(file).getroot() for file in (tmp_path / "book/page/p.xml", written))
    for line in after.iter("{*}TextLine"):
        # The order that the schema wants, and nothing of the old text.
        assert [etree.QName(child).localname for child in line] == ["Coords", "TextEquiv", "TextStyle"]
        assert line.get("custom") == "kept {}" and 0 <= float(line[1].get("conf")) <= 1
    region = after.find(".//{*}TextRegion/{*}TextEquiv/{*}Unicode")
    assert region.text == "\n".join(read)
    assert after.find(".//{*}LastChange").text > "2026" and b"kept" in etree.tostring(after[0])
    gone = ("Word", "TextEquiv", "LastChange")
    assert without(before, *gone) == without(after, *gone)


def test_alto_is_written_again(command: Command, best: Path, images: list[Path], tmp_path: Path) -> None:
    boxes = write_pages(tmp_path / "book", ALTO, ALTO_LINE, images)
    ended = command("predict", f"checkpoint={best}", "input=book/p.xml", "output=read.xml")
    assert ended.returncode == 0, ended.stderr
    ended = command("predict", f"checkpoint={best}", "input=book", "format=jsonl")
    rows = [json.loads(line) for line in ended.stdout.splitlines()]
    # Spaces at the ends, and two at once, are no words; where there is none, an empty one stands.
    assert texts_of(tmp_path / "read.xml") == [" ".join(row["text"].split()) for row in rows]
    root = etree.parse(tmp_path / "read.xml").getroot()
    for line, row, (x0, y0, x1, y1) in zip(root.iter("{*}TextLine"), rows, boxes, strict=True):
        parts = [etree.QName(child).localname for child in line]
        assert parts[::2] == ["String"] * max(1, len(row["text"].split())) and set(parts[1::2]) <= {"SP"}
        left = x0 - 0.1
        for part in line:
            x, width = float(part.get("HPOS")), float(part.get("WIDTH"))
            assert left <= x + 0.1 and x + width <= x1 + 0.1 and float(part.get("VPOS")) == y0
            left = x + width - 0.1
        for string in line.iter("{*}String"):
            assert float(string.get("HEIGHT")) == y1 - y0 - 1 and 0 <= float(string.get("WC", "1")) <= 1
    before = etree.parse(tmp_path / "book/p.xml").getroot()
    assert without(before, "String", "SP") == without(root, "String", "SP")


def test_what_cannot_be_read_is_named_and_the_rest_is(
    command: Command, best: Path, images: list[Path], tmp_path: Path
) -> None:
    for name in ("a", "b", "c", "d", "e"):
        write_pages(tmp_path / "book" / name, PAGE, PAGE_LINE, images[:2])
    (tmp_path / "book/a/p.png").unlink()
    file = tmp_path / "book/b/p.xml"
    file.write_text(file.read_text().replace('<Coords points="31,', '<Coords points="x', 1))
    file = tmp_path / "book/c/p.xml"
    file.write_text(file.read_text().replace("TextLine", "Other"))
    (tmp_path / "book/d/p.xml").write_text("<PcGts><Page>")
    ended = command("predict", f"checkpoint={best}", "input=book", "output=read")
    assert ended.returncode == 2
    assert "left out: book/a/p.xml: its image is neither beside it" in ended.stderr
    assert "left out: book/b/p.xml#l1: outline of the line cannot be read" in ended.stderr
    assert "book/c/p.xml: PAGE XML without lines" in ended.stderr
    assert "left out: book/d/p.xml: is damaged or no XML" in ended.stderr
    assert "read 3 of 6 lines into read" in ended.stderr and "Traceback" not in ended.stderr
    assert sorted(str(f.relative_to(tmp_path / "read")) for f in tmp_path.glob("read/**/*.xml")) == [
        "b/p.xml",
        "e/p.xml",
    ]
    assert texts_of(tmp_path / "read/b/p.xml")[1] == "worse"  # what was not read stays


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["input=book", "output=book"], "book/a/p.xml, a page of the input, would be written over"),
        (["input=book/a/p.xml", "output=book/a"], "book/a/p.xml, a page of the input, would be written over"),
        (['input="book/*/p.xml"', "output=read"], "book/b/p.xml and book/a/p.xml would be one file"),
        (["input=book", "output=read.xml"], "output=read.xml: is one file for 2 pages"),
        (["input=book", "format=xml"], "format=xml: needs a place to write to"),
        (["input=book/a/p.png", "output=read", "format=xml"], "output=read: is for pages in PAGE or ALTO"),
        (["input=book/a/p.png", "output=read"], "output=read: has no known format"),
    ],
)  # fmt: skip
def test_where_pages_cannot_go(
    command: Command, best: Path, images: list[Path], tmp_path: Path, words: list[str], complaint: str
) -> None:
    for name in ("a", "b"):
        write_pages(tmp_path / "book" / name, PAGE, PAGE_LINE, images[:1])
    before = (tmp_path / "book/a/p.xml").read_bytes()
    ended = command("predict", f"checkpoint={best}", *words)
    assert ended.returncode == 2 and complaint in ended.stderr and "Traceback" not in ended.stderr
    assert (tmp_path / "book/a/p.xml").read_bytes() == before and not list(tmp_path.glob("read*"))


def opened(folder: Path, template: str, lines: str) -> Page:
    """A page of the template with these lines in XML."""
    (folder / "p.xml").write_text(template.format(width=400, height=300, lines=lines), encoding="utf-8")
    page = read_page(str(folder / "p.xml"))
    assert page is not None
    return page


def reading(*words: tuple[str, float, float]) -> Transcript:
    """Words at their places, from where to where."""
    characters: list[Character] = []
    for word, x0, x1 in words:
        if characters:
            characters.append(Character(" ", 0.5, 0, 0, x0, x0))
        characters += [Character(c, 0.75, 0, 0, x0, x1) for c in word]
    return Transcript("".join(c.text for c in characters), 0.9, tuple(characters))


ONE = ALTO_LINE.format(number=0, x0=100, y0=50, w=200, h=20)


def test_spaces_stand_between_words_from_right_to_left(tmp_path: Path) -> None:
    page = opened(tmp_path, ALTO, ONE)
    set_text(page, page.lines[0], reading(("שלום", 80, 100), ("12", 50, 75)), 100)
    parts = [(float(p.get("HPOS")), float(p.get("WIDTH"))) for p in page.lines[0].element]
    assert parts == [(260.0, 40.0), (250.0, 10.0), (200.0, 50.0)]  # two units of the page are a pixel


def test_a_line_in_which_nothing_is_read(tmp_path: Path) -> None:
    for template, line in ((ALTO, ONE), (PAGE, PAGE_LINE.format(number=0, x0=1, y0=1, x1=90, y1=20))):
        page = opened(tmp_path, template, line)
        set_text(page, page.lines[0], reading(), 100)
        write_page(page, tmp_path / "out.xml")
        again = read_page(str(tmp_path / "out.xml"))
        assert again is not None and again.lines[0].text == "" and again.lines[0].fault is None


def test_a_region_has_the_texts_of_all_its_lines_where_the_schema_wants_them(tmp_path: Path) -> None:
    line = PAGE_LINE.format(number=0, x0=1, y0=1, x1=90, y1=20)
    other = line.replace('"l0"', '"l1"').replace('index="1"', 'index="2"').replace(
        "<TextStyle", '<TextEquiv index="1"><Unicode>better</Unicode></TextEquiv><TextStyle'
    )  # fmt: skip
    nested = f"<UserDefined/><Labels/>{line}<TextRegion id='inner'>{other}</TextRegion>"
    page = opened(tmp_path, PAGE, nested)
    set_text(page, page.lines[0], reading(("new", 0, 50)), 100)
    write_page(page, tmp_path / "out.xml")
    region = etree.parse(tmp_path / "out.xml").find(".//{*}TextRegion")
    names = [etree.QName(child).localname for child in region]
    assert names == ["UserDefined", "Labels", "TextLine", "TextRegion", "TextEquiv"]
    # The line that was not read has the reading that counts.
    assert region[-1].findtext("{*}Unicode") == "new\nbetter"


def test_what_xml_cannot_hold(tmp_path: Path) -> None:
    page = opened(tmp_path, ALTO, ONE)
    with pytest.raises(InputError, match=r"p.xml#l0: reads '\\x07', which XML cannot hold"):
        set_text(page, page.lines[0], reading(("\x07", 0, 10)), 100)
