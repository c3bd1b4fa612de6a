"""Real lines read from disk, with every fault that a file can have."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ocrtrain.data.formats.folder import FolderSource
from ocrtrain.data.formats.pairing import NO_TEXT
from ocrtrain.data.lines.sources import LineSource
from ocrtrain.data.lines.stored import CHUNK
from ocrtrain.errors import InputError
from ocrtrain.text import normalize


def write(
    folder: Path, name: str, text: bytes | str | None, size: tuple[int, int] = (40, 10), shade: int = 200
) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, shade).save(path)
    if text is not None:
        path.with_suffix(".gt.txt").write_bytes(text.encode() if isinstance(text, str) else text)


def test_a_line_is_its_pixels_its_text_and_its_path(tmp_path: Path) -> None:
    write(tmp_path, "b.png", "zwei\n", size=(30, 20), shade=7)
    write(tmp_path, "sub/a.png", "eins")
    source: LineSource = FolderSource(tmp_path)
    assert len(source) == 2
    line = source.line(0, epoch=5)
    assert (line.image == np.full((20, 30), 7)).all() and line.image.dtype == np.uint8
    assert (line.text, line.source) == ("zwei", str(tmp_path / "b.png"))
    assert source.line(1, 0).text == "eins"
    assert source.widths(0).tolist() == [1.5, 4.0] and source.widths(3).dtype == np.float32
    assert FolderSource(tmp_path, channels=3).line(0, 0).image.shape == (20, 30, 3)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (b"abc", "abc"),
        (b"abc\n", "abc"),
        (b"abc\r\n", "abc"),
        (b"abc\n\n", "abc"),
        (b"\xef\xbb\xbfabc\n", "abc"),
        (b"  a  c \n", "  a  c "),
        (b"a\tb\n", "a\tb"),
        ("e\u0301\n".encode(), "\u00e9"),
        ("a\u2028b\u0085\n".encode(), "a\u2028b\u0085"),
    ],
)
def test_only_the_line_end_is_taken_off(tmp_path: Path, written: bytes, read: str) -> None:
    write(tmp_path, "a.png", written)
    source = FolderSource(tmp_path)
    assert source.texts() == [read]
    assert normalize(source.line(0, 0).text) == read  # a line's text is as it is written


def test_what_cannot_be_used_is_gathered_by_reason(tmp_path: Path) -> None:
    write(tmp_path, "good.png", "good")
    write(tmp_path, "lonely.png", None)
    write(tmp_path, "empty.png", "\n")
    write(tmp_path, "blank.png", " \u00a0\n")
    write(tmp_path, "latin1.png", b"\xe4\n")
    write(tmp_path, "utf16.png", "wide\n".encode("utf-16"))
    write(tmp_path, "page.png", "one\ntwo\n")
    write(tmp_path, "void.png", "void")
    (tmp_path / "void.png").write_bytes(b"")
    write(tmp_path, "letter.png", "letter")
    (tmp_path / "letter.png").write_text("no image")
    write(tmp_path, "bomb.png", "bomb")
    (tmp_path / "bomb.ppm").write_bytes(b"P6 20000 20000 255\n")
    (tmp_path / "bomb.png").unlink()
    write(tmp_path, "dangling.png", "dangling")
    (tmp_path / "dangling.png").unlink()
    (tmp_path / "dangling.png").symlink_to(tmp_path / "nothing")
    source = FolderSource(tmp_path)
    assert source.names == ["good.png"]
    found = {reason.split(":")[0]: names for reason, names in source.skipped.items()}
    not_an_image = next(reason for reason in found if reason.startswith("is not an image"))
    assert found == {
        NO_TEXT: ["lonely.png"],
        "empty text": ["blank.png", "empty.png"],
        "text is not UTF-8": ["latin1.png"],
        "text is UTF-16, not UTF-8": ["utf16.png"],
        "text of several lines": ["page.png"],
        "is empty (0 bytes)": ["void.png"],
        not_an_image: ["letter.png"],
        "has more pixels than any line of text (67,108,864 at most)": ["bomb.ppm"],
        "does not exist": ["dangling.png"],
    }


def test_no_usable_line_is_an_error_with_all_reasons(tmp_path: Path) -> None:
    write(tmp_path, "a.png", None)
    write(tmp_path, "b.png", "")
    with pytest.raises(InputError) as caught:
        FolderSource(tmp_path)
    message = str(caught.value)
    assert "has no line that can be used" in message
    assert "1 x image without a text (no NAME.gt.txt beside it): a.png" in message
    assert "1 x empty text: b.png" in message


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere: does not exist"):
        FolderSource(tmp_path / "nowhere")


def test_damage_behind_the_header_is_an_error_when_the_line_is_read(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 200), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    (tmp_path / "a.gt.txt").write_text("a")
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:4000])
    source = FolderSource(tmp_path)
    assert source.skipped == {}
    with pytest.raises(InputError, match=r"a\.png: is damaged or truncated"):
        source.line(0, 0)
    with pytest.raises(InputError, match=r"a\.png"):
        pickle.loads(pickle.dumps(source)).line(0, 0)


def test_lists_and_labels(tmp_path: Path) -> None:
    write(tmp_path / "images", "b.png", "unread")
    write(tmp_path / "images", "a.png", "read")
    (tmp_path / "list.txt").write_text("images/b.png\nimages/a.png\n")
    assert FolderSource(tmp_path / "list.txt").texts() == ["unread", "read"]
    (tmp_path / "labels.txt").write_text("b.png\tB \na.png\n")
    source = FolderSource(tmp_path / "labels.txt")
    assert source.texts() == ["B "] and source.line(0, 0).source == str(tmp_path / "images" / "b.png")
    assert source.skipped == {"empty text": ["images/a.png"]}


def test_order_survives_the_threads(tmp_path: Path) -> None:
    count = 2 * CHUNK + 3
    for number in range(count):
        write(tmp_path, f"{number:04}.png", f"line {number}", size=(number + 1, 1))
    source = FolderSource(tmp_path)
    assert source.texts() == [f"line {number}" for number in range(count)]
    assert source.widths(0).tolist() == list(range(1, count + 1))


def test_the_working_folder_may_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "lines", "a.png", "a")
    monkeypatch.chdir(tmp_path)
    source = FolderSource("lines")
    monkeypatch.chdir("/")
    assert source.line(0, 0).text == "a"


def test_a_copy_in_a_worker_reads_the_same(tmp_path: Path) -> None:
    write(tmp_path, "a.png", "a")
    source = FolderSource(tmp_path, channels=3)
    copy = pickle.loads(pickle.dumps(source))
    assert (copy.line(0, 0).image == source.line(0, 0).image).all()
    assert copy.names == source.names and copy.widths(0).tolist() == source.widths(0).tolist()


def test_shared_widths_cannot_be_changed(tmp_path: Path) -> None:
    write(tmp_path, "a.png", "a")
    with pytest.raises(ValueError, match="read-only"):
        FolderSource(tmp_path).widths(0)[0] = 1


@pytest.mark.parametrize(("name", "lines"), [("fraktur/val", 340), ("arabic/val", 150)])
def test_real_lines(real_lines: Callable[[str], Path], name: str, lines: int) -> None:
    source: Any = FolderSource(real_lines(name))
    assert len(source) == lines and source.skipped == {}
    line = source.line(lines - 1, 0)
    assert line.image.shape[1] / line.image.shape[0] == pytest.approx(source.widths(0)[-1])
    assert normalize(line.text) == source.texts()[-1] != ""
