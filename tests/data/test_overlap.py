"""Validation lines that are trained on are found, whatever they are stored as."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ocrtrain.data import overlap
from ocrtrain.data.formats import open_lines
from ocrtrain.data.lines.generated import GeneratedLines
from ocrtrain.data.lines.mixture import Part
from ocrtrain.data.lines.stored import StoredLines
from ocrtrain.data.overlap import trained_on


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCRTRAIN_CACHE", str(tmp_path / "cache"))


def picture(shade: int) -> bytes:
    """A PNG of 60 x 20; all of them have one size in bytes."""
    file = io.BytesIO()
    Image.new("L", (60, 20), shade).save(file, "BMP")
    return file.getvalue()


def pairs(folder: Path, shades: list[int]) -> StoredLines:
    folder.mkdir()
    for number, shade in enumerate(shades):
        (folder / f"{number}.bmp").write_bytes(picture(shade))
        (folder / f"{number}.gt.txt").write_text(f"text {number}")
    return open_lines(folder)


def shard(file: Path, shades: list[int]) -> StoredLines:
    with tarfile.open(file, "w") as tar:
        for number, shade in enumerate(shades):
            for suffix, content in (("bmp", picture(shade)), ("txt", b"x")):
                member = tarfile.TarInfo(f"{number}.{suffix}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return open_lines(file)


def found(training: list[Part], validation: list[Part]) -> list[tuple[str, str]]:
    pairs = trained_on(training, validation)
    assert pairs is not None
    return [(mine.names[i], theirs.names[j]) for (mine, i), (theirs, j) in pairs]


def test_the_same_bytes_in_two_formats(tmp_path: Path) -> None:
    train, val = pairs(tmp_path / "train", [1, 2, 3]), shard(tmp_path / "val.tar", [9, 3, 8, 1])
    assert found([Part("", train)], [Part("", val)]) == [("1.bmp", "2.bmp"), ("3.bmp", "0.bmp")]
    other = pairs(tmp_path / "other", [7])
    assert found([Part("a", other), Part("b", train)], [Part("", val)])[0] == ("1.bmp", "2.bmp")


def test_one_file_in_two_lists_and_under_two_names(tmp_path: Path) -> None:
    train = pairs(tmp_path / "train", [1, 2])
    (tmp_path / "val").mkdir()
    os.symlink(tmp_path / "train" / "1.bmp", tmp_path / "val" / "linked.bmp")
    (tmp_path / "val" / "linked.gt.txt").write_text("other")
    assert found([Part("", train)], [Part("", open_lines(tmp_path / "val"))]) == [("linked.bmp", "1.bmp")]


def test_what_is_kept_aside_is_compared_with_the_rest(tmp_path: Path) -> None:
    source = pairs(tmp_path / "lines", [1, 2, 1, 3])
    training = Part("", source, indices=np.array([0, 1]))
    assert found([training], [Part("", source, indices=np.array([2, 3]))]) == [("2.bmp", "0.bmp")]
    assert found([training], [Part("", source, indices=np.array([3]))]) == []


def test_too_many_to_compare_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = pairs(tmp_path / "lines", [1, 2, 1, 3])
    monkeypatch.setattr(overlap, "MOST", 7)
    assert trained_on([Part("", source)], [Part("", source)]) is None


def test_drawn_lines_are_not_looked_at(tmp_path: Path) -> None:
    source = pairs(tmp_path / "lines", [1])
    drawn = GeneratedLines.__new__(GeneratedLines)
    assert found([Part("", drawn)], [Part("", source)]) == []
