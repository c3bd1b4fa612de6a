"""`audit` names what is wrong with lines, and writes it down for people and for programs."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from shutil import copyfile
from subprocess import CompletedProcess
from typing import Any

import pytest
from PIL import Image, ImageDraw

Command = Callable[..., CompletedProcess[str]]


def found(folder: str = "audit") -> dict[tuple[str, str], dict[str, Any]]:
    """The findings of audit.json by set and kind."""
    report = json.loads(Path(folder, "audit.json").read_text(encoding="utf-8"))
    return {(finding["set"], finding["kind"]): finding for finding in report["findings"]}


def names(finding: dict[str, Any]) -> list[str]:
    return [example["name"] for example in finding["examples"]]


def write(folder: Path, name: str, text: str) -> None:
    (folder / f"{name}.gt.txt").write_text(text + "\n", encoding="utf-8")


@pytest.fixture
def sets(tmp_path: Path) -> tuple[Path, Path]:
    """Thirty training lines and ten others; every one different from all others, and without a fault."""
    draws = random.Random(1)
    for name, count in (("train", 30), ("val", 10)):
        (tmp_path / name).mkdir()
        for i in range(count):
            # Wide and narrow ones, so that no two lines have their letters in the same places.
            text = " ".join("".join(draws.choices("mwil\u00e4", k=draws.randint(4, 8))) for _ in range(4))
            image = Image.new("L", (9 * len(text) + 12, 24), 235)
            ImageDraw.Draw(image).text((6, 4), text, fill=20, font_size=14)
            image.save(tmp_path / name / f"{i:02}.png")
            write(tmp_path / name, f"{i:02}", text)
    return tmp_path / "train", tmp_path / "val"


def test_sound_lines(sets: tuple[Path, Path], command: Command) -> None:
    done = command("audit", "data.train=train", "data.val=val", "strict=true")
    assert done.returncode == 0, done.stdout
    assert not {kind for _, kind in found()} - {"rare", "same_text"}
    assert re.search(r"lines that can be used +30 +10\n", done.stdout)
    report = json.loads(Path("audit/audit.json").read_text(encoding="utf-8"))
    assert report["flawed"] is False and report["charset"] == [" ", "i", "l", "m", "w", "ä"]
    assert report["writing"] == {"normalization": "NFC", "direction": "ltr"}
    train = report["sets"][0]
    texts = [file.read_text(encoding="utf-8").strip() for file in Path("train").glob("*.gt.txt")]
    assert train["lines"] == 30 and train["dropped"] == 0
    assert train["characters"] == sum(map(len, texts)) == sum(c["count"] for c in train["charset"])
    assert sum(train["lengths"].values()) == 30


def test_every_fault_is_named(sets: tuple[Path, Path], command: Command) -> None:
    train, val = sets
    write(train, "00", "")
    (train / "01.png").write_bytes((train / "01.png").read_bytes()[:-40])
    write(train, "02", "ab" * 100)
    write(train, "03", " a")
    write(train, "04", "a  b")
    write(train, "05", "a\u0308b")
    write(train, "06", "ab\ufffd")
    write(train, "07", "a\u00a0b")
    write(train, "08", "cа")  # the second is Cyrillic
    Image.new("L", (362, 24), 230).save(train / "09.png")
    Image.open(train / "10.png").resize((400, 11)).save(train / "10.png")
    copyfile(train / "11.png", train / "x11.png")
    write(train, "x11", (train / "11.gt.txt").read_text().strip())
    copyfile(train / "12.png", train / "x12.png")
    write(train, "x12", "cab")
    copyfile(train / "13.png", val / "x13.png")
    write(val, "x13", (train / "13.gt.txt").read_text().strip())
    write(val, "00", "abq")
    (train / "lonely.gt.txt").write_text("ab")

    done = command("audit", "data.train=train", "data.val=val", "output=seen", "examples=50")
    assert done.returncode == 0
    findings = found("seen")
    by_kind = {kind: names(finding) for (place, kind), finding in findings.items() if place == "train"}
    assert by_kind["unreadable"] == ["01.png"]
    assert "02.png" in by_kind["too_long"]
    assert by_kind["outer_spaces"] == ["03.png"] and by_kind["double_spaces"] == ["04.png"]
    assert by_kind["not_normal"] == ["05.png"] and by_kind["stray"] == ["06.png"]
    assert by_kind["invisible"] == ["07.png"] and by_kind["mixed_scripts"] == ["08.png"]
    assert by_kind["blank"] == ["09.png"]
    assert by_kind["low"] == by_kind["size"] == ["10.png"] and "10.png" in by_kind["width"]
    assert by_kind["duplicate"] == ["x11.png"] and by_kind["conflict"] == ["x12.png"]
    assert names(findings["val", "leak"]) == ["x13.png"]
    assert names(findings["val", "unseen"]) == ["00.png"]
    assert "'q' (U+0071 LATIN SMALL LETTER Q)" in findings["val", "unseen"]["examples"][0]["detail"]
    report = json.loads(Path("seen/audit.json").read_text(encoding="utf-8"))
    skipped = {f["title"]: names(f) for f in report["findings"] if f["kind"] == "skipped"}
    assert skipped == {"empty text": ["00.png"], "text without an image": ["lonely.gt.txt"]}
    assert report["sets"][0]["dropped"] == 4 and report["sets"][0]["lines"] == 29
    assert report["flawed"] is True
    for told in (
        "empty text",
        "00.png",
        "one image with different texts",
        "image of another set: 13.png"[:20],
    ):
        assert told in done.stdout
    assert command("audit", "data.train=train", "strict=true").returncode == 2


def test_given_characters_are_those_of_a_model(sets: tuple[Path, Path], command: Command) -> None:
    command("audit", "data.train=train", "data.val=val", "data.charset='milw '")
    findings = found()
    assert {("train", "unknown"), ("val", "unknown")} <= findings.keys() and ("val", "unseen") not in findings


class Page(HTMLParser):
    """Every tag with its attributes, and the text outside of tags."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.said = ""
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.said += data


def test_the_page_loads_nothing_and_runs_nothing(sets: tuple[Path, Path], command: Command) -> None:
    train, _ = sets
    hostile = "<script>alert(1)</script> <img src=http://evil/x>&\"'\u202e"
    wide = Image.new("L", (900, 24), 235)
    wide.paste(0, (5, 5, 50, 20))
    for name in ("<b onclick=x>", "plain"):
        wide.save(train / f"{name}.png")
        write(train, name, hostile)
    command("audit", "data.train=train")
    page = Page(Path("audit/audit.html").read_text(encoding="utf-8"))
    assert not {"script", "link", "iframe", "b onclick=x"} & {tag for tag, _ in page.tags}
    assert not any(key.startswith("on") for _, attributes in page.tags for key in attributes)
    sources = [attributes["src"] for tag, attributes in page.tags if tag == "img"]
    assert sources and all(str(source).startswith("data:image/jpeg;base64,") for source in sources)
    assert "<script>alert(1)</script>" in page.said and "\\u202e" in page.said
    assert "default-src 'none'" in str(page.tags)


def test_right_to_left_texts_are_shown_so(draw_lines: Callable[..., Path], command: Command) -> None:
    draw_lines(Path("lines"), count=3)
    for i in range(3):
        write(Path("lines"), f"{i:02}", " \u05d0\u05d1 12")
    done = command("audit", "data.train=lines")
    assert "direction rtl" in done.stdout
    page = Page(Path("audit/audit.html").read_text(encoding="utf-8"))
    spans = [
        attributes for tag, attributes in page.tags if tag == "span" and attributes.get("class") == "text"
    ]
    assert spans and all(attributes["dir"] == "rtl" for attributes in spans)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["data.train=nowhere"], "does not exist"),
        (["data.train=train", "examples=0"], "examples=0"),
        (["data.train=train", "workers=none"], "workers=none"),
        (["data.train=train", "data.direction=up"], "direction=up"),
        (["data.train=train", "data.height=0"], "height=0"),
        (["data.train=train", "data.charset=aa"], "twice"),
    ],
)
def test_settings_without_sense_are_named(
    words: list[str], named: str, sets: tuple[Path, Path], command: Command
) -> None:
    done = command("audit", *words)
    assert done.returncode == 2 and named in done.stderr and "Traceback" not in done.stderr
    assert not Path("audit").exists()


def test_real_lines_that_are_there_twice(real_lines: Callable[[str], Path], command: Command) -> None:
    """Pages of this set were scanned twice: of the first lines of both, eleven pairs are the same print."""
    listed = [f"{real_lines('fraktur/train') / f'{i:05}'}.png\n" for i in range(1480, 1600)]
    Path("some.txt").write_text("".join(listed))
    command("audit", "data.train=some.txt", "workers=1")
    near = found()["train", "near_duplicate"]
    texts = {line.strip(): Path(line.strip()).with_suffix(".gt.txt").read_text() for line in listed}
    assert near["count"] >= 5
    for example in near["examples"]:
        assert texts[example["name"]] == texts[example["detail"].removeprefix("like ")]
