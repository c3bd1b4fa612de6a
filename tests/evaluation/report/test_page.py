"""The report as a page: whole by itself, safe from the texts in it, and alive in a real browser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ocrtrain.decoding import Character, Transcript
from ocrtrain.errors import InputError
from ocrtrain.evaluation import Evaluation, Prediction, compare, evaluate_lines
from ocrtrain.evaluation.report.page import embedded, write_page

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
QUIET += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
EVIL = "</script><script>document.title='caught'</script><img src=x onerror=document.title='caught'>&amp;"


@pytest.fixture
def opened(tmp_path: Path) -> Callable[[Path], str]:
    """Open a page in a browser, let its script run, and give the document that comes out as text."""
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")

    def dump(page: Path) -> str:
        own = f"--user-data-dir={tmp_path / 'profile'}"
        command = [browser, *QUIET, own, "--dump-dom", page.as_uri()]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout

    return dump


class Document(HTMLParser):
    """What a test looks for in a page: elements with their attributes, and text by class."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.title = ""
        self._in_title = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._in_title = tag == "title" and not self.title

    def handle_data(self, data: str) -> None:
        self.title += data if self._in_title else ""
        self._in_title = False

    def count(self, tag: str, kind: str = "") -> int:
        return sum((t == tag and kind in (a.get("class") or "").split()) or (t == tag and not kind)
                   for t, a in self.elements)  # fmt: skip


def transcript(text: str) -> Transcript:
    characters = tuple(Character(c, 0.9, i, i, 10.0 * i, 10.0 * i + 8) for i, c in enumerate(text))
    return Transcript(text, 0.5, characters)


@pytest.fixture
def lines(tmp_path: Path) -> tuple[Evaluation, list[str]]:
    """Latin, Arabic, Hebrew, hostile and empty lines, with an image each but the last."""
    truths = ["der alte Weg", "بسم الله", "\u05e9\u05dc\u05d5\u05dd", EVIL, "tab\there", "gut"]
    reads = ["der altc eg", "بسم اله", "\u05e9\u05dd\u05d5\u05dd!", EVIL[1:], "", "gut"]
    images = []
    for i in range(len(truths) - 1):
        path = tmp_path / f"{i}.png"
        Image.fromarray(np.full((32, 130), 40 * i + 50, np.uint8)).save(path)
        images.append(str(path))
    sources = ["a/1.png", "a/2.png", "b/3.png", f"b/{EVIL}.png", "b/\udcff.png", "gone.png"]
    readings = [transcript(read) for read in reads]
    return evaluate_lines(sources, truths, readings, name=EVIL), [*images, str(tmp_path / "gone.png")]


def test_a_name_that_looks_like_a_place_in_the_page_is_a_name(tmp_path: Path) -> None:
    evaluation = evaluate_lines(["%%SCRIPT%%"], ["a"], [Prediction("%%DATA%%")], name="%%STYLE%%")
    text = write_page([evaluation], [], tmp_path / "report.html").read_text("utf-8")
    assert Document(text).title == "%%STYLE%%" and text.count(":root {") == 3


def test_nothing_is_loaded_from_anywhere(lines: tuple[Evaluation, list[str]], tmp_path: Path) -> None:
    page = write_page([lines[0]], [], tmp_path / "new" / "report.html", lines[1])
    text = page.read_text("utf-8")
    document = Document(text)
    for tag, attributes in document.elements:
        for name in ("src", "href"):
            assert (attributes.get(name) or "#").startswith("#"), (tag, attributes)
    assert not re.search(r"https?://|@import|url\(", text)
    assert document.count("script") == 2 and document.count("svg") == 2
    assert "default-src 'none'" in text
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])  # type: ignore[index]
    assert {line["source"] for line in data["lines"]} >= {"a/1.png", "gone.png"}
    assert sum(line["image"] is not None for line in data["lines"]) == 5


def test_texts_stay_texts(lines: tuple[Evaluation, list[str]], tmp_path: Path) -> None:
    text = write_page([lines[0]], [], tmp_path / "report.html", lines[1]).read_text("utf-8")
    assert "<img" not in text and "<script>document" not in text
    assert Document(text).title == EVIL
    assert json.loads(embedded({"a": EVIL + "\u2028"})) == {"a": EVIL + "\u2028"}
    assert not set("<>&\u2028") & set(embedded(EVIL + "\u2028"))


def test_the_page_lives(
    lines: tuple[Evaluation, list[str]], tmp_path: Path, opened: Callable[[Path], str]
) -> None:
    document = Document(opened(write_page([lines[0]], [], tmp_path / "report.html", lines[1])))
    kinds = [(tag, (attributes.get("class") or "").split()) for tag, attributes in document.elements]
    assert document.title == EVIL
    assert document.count("div", "reading") == 6
    images = [attributes for tag, attributes in document.elements if tag == "img"]
    assert len(images) == 5 and all((i["src"] or "").startswith("data:image/") and i["alt"] for i in images)
    # Arabic stays in two runs of joined letters, from right to left; the others stand in columns.
    assert sum(tag == "bdi" and "run" in kind for tag, kind in kinds) == 2
    assert sum(tag == "div" and "pairs-row" in kind for tag, kind in kinds) == 5
    directions = [a["dir"] for t, a in document.elements if "text" in (a.get("class") or "").split()]
    assert sorted(directions) == ["auto"] * 4 + ["rtl"] * 2
    # "der alte Weg": c for e is wrong, W is missing; both are marked on the image as well.
    marks = [kind[1] for tag, kind in kinds if "mark" in kind]
    assert marks.count("wrong") >= 2 and "missing" in marks and "extra" in marks
    assert "hidden" not in next(a for t, a in document.elements if a.get("id") == "gallery")


def test_several_readers_share_a_page(tmp_path: Path, opened: Callable[[Path], str]) -> None:
    truths, names = ["abcd", "efgh", "ijkl"], ["1.png", "2.png", "3.png"]
    evaluations = [
        evaluate_lines(names, truths, [Prediction(text) for text in reads], name)
        for name, reads in {"old": ["abxd", "exxh", "ijk"], "new": ["abcd", "exgh", "ijkl"]}.items()
    ]
    text = opened(write_page(evaluations, compare(evaluations), tmp_path / "comparison.html"))
    document = Document(text)
    assert "Which is better?" in text and document.count("details") == 2
    assert document.count("div", "reading") == 6 and document.title == "old and new"
    assert "confidence" not in re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)


def test_the_size_follows_the_gallery_and_not_the_lines(tmp_path: Path) -> None:
    def size(lines: int, gallery: int) -> int:
        readings = [Prediction("der altc Weg" if i % 3 else "der alte Weg") for i in range(lines)]
        evaluation = evaluate_lines([f"{i}.png" for i in range(lines)], ["der alte Weg"] * lines, readings)
        return write_page([evaluation], [], tmp_path / "x.html", gallery=gallery).stat().st_size

    assert size(20_000, 10) < size(100, 10) + 2000
    assert size(100, 0) < size(100, 10) < size(100, 50)


def test_a_page_that_cannot_be_written_is_said(lines: tuple[Evaluation, list[str]], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here")
    with pytest.raises(InputError, match=r"report\.html: cannot be written"):
        write_page([lines[0]], [], tmp_path / "file" / "report.html", lines[1])
