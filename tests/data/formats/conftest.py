"""Small sets of lines, each image and each text unlike any other, in every format."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image, ImageDraw

# What a format could lose: outer spaces, quotes, tabs' neighbours, marks, other scripts, another spelling.
TEXTS = [
    "plain",
    " outer ",
    'say "hi"',
    "comma, semi; tab?",
    "e\u0301 not composed",
    "ſtraße \u2e17",
    "שלום 12",
    "0",
]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OCRTRAIN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def picture(number: int) -> bytes:
    """A PNG whose size and shade tell its number."""
    file = io.BytesIO()
    Image.new("L", (30 + number, 10), 10 + number).save(file, "PNG")
    return file.getvalue()


def make_manifest(folder: Path, suffix: str, texts: list[str], sizes: bool = False) -> Path:
    """Write images and a manifest beside them, as the usual libraries write it."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number, text in enumerate(texts):
        (folder / f"{number}.png").write_bytes(picture(number))
        row: dict[str, object] = {"file_name": f"{number}.png", "text": text}
        rows.append({**row, "width": 30 + number, "height": 10} if sizes else row)
    file = folder / f"lines.{suffix}"
    if suffix == "jsonl":
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        import csv

        with open(file, "w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, rows[0], delimiter="\t" if suffix == "tsv" else ",")
            writer.writeheader()
            writer.writerows(rows)
    return file


def make_shard(file: Path, texts: list[str]) -> Path:
    """Write a tar as WebDataset does."""
    with tarfile.open(file, "w") as tar:
        for number, text in enumerate(texts):
            for suffix, content in (("png", picture(number)), ("txt", text.encode())):
                member = tarfile.TarInfo(f"{number:04}.{suffix}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return file


def make_lmdb(folder: Path, texts: list[str]) -> Path:
    """Write an LMDB as deep-text-recognition-benchmark's script does, with the library that it uses."""
    lmdb = pytest.importorskip("lmdb")
    with lmdb.open(str(folder), map_size=2**24) as environment, environment.begin(write=True) as transaction:
        for number, text in enumerate(texts):
            transaction.put(f"image-{number + 1:09d}".encode(), picture(number))
            transaction.put(f"label-{number + 1:09d}".encode(), text.encode())
        transaction.put(b"num-samples", str(len(texts)).encode())
    return folder


PAGE = """<?xml version="1.0" encoding="UTF-8"?>
<PcGts xmlns="http://schema.primaresearch.org/PAGE/gts/pagecontent/{year}">
<Page imageFilename="{image}" imageWidth="400" imageHeight="300"><TextRegion id="r">
{lines}</TextRegion></Page></PcGts>
"""
ALTO = """<?xml version="1.0" encoding="UTF-8"?>
<alto xmlns="http://www.loc.gov/standards/alto/ns-{version}#"><Description>
<MeasurementUnit>pixel</MeasurementUnit>
<sourceImageInformation><fileName>{image}</fileName></sourceImageInformation></Description>
<Layout><Page WIDTH="400" HEIGHT="300"><PrintSpace><TextBlock>
{lines}</TextBlock></PrintSpace></Page></Layout></alto>
"""


def draw_page(file: Path, texts: list[str]) -> None:
    """A page of 400 x 300 with a dark bar for each text, 30 rows high and as long as it."""
    page = Image.new("L", (400, 300), 240)
    for number in range(len(texts)):
        ImageDraw.Draw(page).rectangle(
            (20, 20 + 50 * number, 120 + 20 * number, 44 + 50 * number), 30 + number
        )
    page.save(file)


def make_page(folder: Path, texts: list[str], year: str = "2019-07-15") -> Path:
    """Write a page image and its PAGE XML."""
    from xml.sax.saxutils import escape

    folder.mkdir(parents=True, exist_ok=True)
    draw_page(folder / "page.png", texts)
    lines = "".join(
        f'<TextLine id="l{n}"><Coords points="15,{15 + 50 * n} {125 + 20 * n},{15 + 50 * n}'
        f' {125 + 20 * n},{50 + 50 * n} 15,{50 + 50 * n}"/>'
        f'<Baseline points="20,{45 + 50 * n} {120 + 20 * n},{45 + 50 * n}"/>'
        f"<TextEquiv><Unicode>{escape(text)}</Unicode></TextEquiv></TextLine>\n"
        for n, text in enumerate(texts)
    )
    file = folder / "page.xml"
    file.write_text(PAGE.format(year=year, image="page.png", lines=lines), encoding="utf-8")
    return file


def make_alto(folder: Path, texts: list[str], version: str = "v4") -> Path:
    """Write a page image and its ALTO XML, a String for each word."""
    from xml.sax.saxutils import quoteattr

    folder.mkdir(parents=True, exist_ok=True)
    draw_page(folder / "page.png", texts)
    lines = ""
    for n, text in enumerate(texts):
        words = "<SP/>".join(f"<String CONTENT={quoteattr(word)}/>" for word in text.split(" "))
        lines += (
            f'<TextLine ID="l{n}" HPOS="15" VPOS="{15 + 50 * n}" WIDTH="{110 + 20 * n}" HEIGHT="35"'
            f' BASELINE="20 {45 + 50 * n} {120 + 20 * n} {45 + 50 * n}">{words}</TextLine>\n'
        )
    file = folder / "page.xml"
    file.write_text(ALTO.format(version=version, image="page.png", lines=lines), encoding="utf-8")
    return file


def make_pairs(folder: Path, texts: list[str]) -> Path:
    """Write NAME.png and NAME.gt.txt."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(texts):
        (folder / f"{number:03}.png").write_bytes(picture(number))
        (folder / f"{number:03}.gt.txt").write_text(text, encoding="utf-8")
    return folder


MAKERS: dict[str, Callable[[Path], Path]] = {
    "pairs": lambda folder: make_pairs(folder / "pairs", TEXTS),
    "tsv": lambda folder: make_manifest(folder / "tsv", "tsv", TEXTS),
    "csv": lambda folder: make_manifest(folder / "csv", "csv", TEXTS),
    "jsonl": lambda folder: make_manifest(folder / "jsonl", "jsonl", TEXTS),
    "shard": lambda folder: make_shard(folder / "shard.tar", TEXTS),
    "lmdb": lambda folder: make_lmdb(folder / "lmdb", TEXTS),
}


@pytest.fixture
def make() -> SimpleNamespace:
    """What makes lines in each format, and the texts and images that they are made of."""
    return SimpleNamespace(
        texts=TEXTS,
        picture=picture,
        manifest=make_manifest,
        shard=make_shard,
        lmdb=make_lmdb,
        page=make_page,
        alto=make_alto,
        pairs=make_pairs,
        each=MAKERS,
    )


@pytest.fixture(params=MAKERS)
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """`TEXTS` in one format after the other; image i is `picture(i)`."""
    return MAKERS[request.param](tmp_path)
