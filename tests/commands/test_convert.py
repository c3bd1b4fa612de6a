"""`convert`: from any format to any, and back, without loss."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from PIL import Image

from ocrtrain.data.formats import open_lines

Command = Callable[..., CompletedProcess[str]]
FORMATS = ("pairs", "jsonl", "lmdb", "shards")
# A byte order mark that is text, outer spaces, quotes, another spelling, a control character.
TEXTS = ["\ufeffmark", " x ", '"a" ""', "e\u0301", "tab\there", "\x1b", "a\u2028b", "ſ", "a" * 300]


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    """Pairs whose images are PNG, JPEG, GIF and TIFF, some in folders of their own."""
    folder = tmp_path / "lines"
    for number, text in enumerate(TEXTS):
        name = f"{number % 2}/{number}{('.png', '.jpg', '.gif', '.tif')[number % 4]}"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.effect_noise((40 + 7 * number, 20), 90).save(folder / name)
        content = (b"\xef\xbb\xbf" if text.startswith("\ufeff") else b"") + text.encode()
        (folder / name).with_suffix(".gt.txt").write_bytes(content)
    return folder


def content(path: Path) -> list[tuple[bytes, str]]:
    source = open_lines(path)
    assert source.skipped == {}
    return [(source.images.encoded(i), source.originals[i]) for i in range(len(source))]


@pytest.mark.parametrize("form", FORMATS)
def test_nothing_is_lost_on_the_way_there_and_on(command: Command, lines: Path, form: str) -> None:
    before = content(lines)
    assert sorted(text for _, text in before) == sorted(TEXTS)
    ended = command("convert", "input=lines", "output=there", f"format={form}")
    assert ended.returncode == 0, ended.stderr
    assert f"{len(TEXTS)} lines, {form}" in ended.stdout
    assert content(Path("there")) == before
    assert open_lines("there").widths(0).tolist() == open_lines(lines).widths(0).tolist()
    for other in FORMATS:
        assert command("convert", "input=there", f"output=on-{other}", f"format={other}").returncode == 0
        assert content(Path(f"on-{other}")) == before


def test_others_read_what_is_written(command: Command, lines: Path) -> None:
    """Each format by the library that people read it with."""
    before = content(lines)
    for form in FORMATS:
        assert command("convert", "input=lines", f"output={form}", f"format={form}").returncode == 0
    lmdb = pytest.importorskip("lmdb")
    with lmdb.open("lmdb", readonly=True, lock=False) as environment, environment.begin() as transaction:
        assert int(transaction.get(b"num-samples")) == len(TEXTS)
        for number, (image, text) in enumerate(before, start=1):
            assert transaction.get(f"image-{number:09d}".encode()) == image
            assert transaction.get(f"label-{number:09d}".encode()).decode() == text
    import tarfile

    with tarfile.open("shards/shard-000000.tar") as tar:
        names = tar.getnames()
    assert names[:2] == ["000000000.png", "000000000.txt"] and len(names) == 2 * len(TEXTS)
    rows = [json.loads(row) for row in Path("jsonl/metadata.jsonl").read_text().split("\n") if row]
    assert [row["text"] for row in rows] == [text for _, text in before]
    assert all(Image.open(f"jsonl/{row['file_name']}").size == (row["width"], row["height"]) for row in rows)


def test_training_reads_any_of_them(
    fit: Command, command: Command, draw_lines: Callable[..., Path], tmp_path: Path
) -> None:
    draw_lines(tmp_path / "drawn", count=10)
    assert command("convert", "input=drawn", "output=small", "format=lmdb").returncode == 0
    ended = fit("data.train=small", "data.val=drawn", "trainer.max_steps=2", "run=a")
    assert (
        "data.train=small is LMDB" in ended.stderr and "data.val=drawn is a folder of pairs" in ended.stderr
    )


def test_what_cannot_be_used_stops_it_unless_allowed(command: Command, lines: Path) -> None:
    (lines / "1" / "1.gt.txt").write_text("")
    (lines / "0" / "0.png").write_bytes(b"")
    ended = command("convert", "input=lines", "output=there", "format=lmdb")
    assert ended.returncode == 2 and "2 samples cannot be used" in ended.stderr
    assert "set max_skipped=2" in ended.stderr and not Path("there").exists()
    ended = command("convert", "input=lines", "output=there", "format=pairs", "max_skipped=2")
    assert ended.returncode == 0 and "1 x empty text: 1/1.jpg" in ended.stderr
    assert len(content(Path("there"))) == len(TEXTS) - 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["format=zip"], "format=zip: no such format\n  choose pairs, jsonl, lmdb, shards"),
        (["input=nowhere"], "nowhere: does not exist"),
        (["output=lines"], "is there already"),
    ],
)
def test_mistakes_leave_nothing(command: Command, lines: Path, words: list[str], message: str) -> None:
    ended = command("convert", "input=lines", "output=there", "format=lmdb", *words)
    assert ended.returncode == 2 and message in ended.stderr
    assert {path.name for path in Path().iterdir()} <= {"lines", ".cache"}
