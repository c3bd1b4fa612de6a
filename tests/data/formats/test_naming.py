"""Names that were written on another system find their files, and never the wrong ones."""

from __future__ import annotations

import json
import os
import unicodedata
from pathlib import Path
from types import SimpleNamespace

import pytest

from ocrtrain.commands.line_input import find_images
from ocrtrain.data.formats import open_lines
from ocrtrain.data.formats.naming import AMBIGUOUS, AmbiguousNameError, resolve
from ocrtrain.data.formats.pairing import NO_TEXT, find_pairs

NFC, NFD = (unicodedata.normalize(form, "Seite_\u00e4") for form in ("NFC", "NFD"))


def test_the_exact_name_comes_before_all_that_are_like_it(tmp_path: Path) -> None:
    for name in ("a.png", "A.png", NFC, NFD, "x\\y.png"):
        (tmp_path / name).touch()
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "y.png").touch()
    for name in ("a.png", "A.png", NFC, NFD, "x\\y.png", "x/y.png"):
        assert resolve(tmp_path, name) == tmp_path / name
    with pytest.raises(AmbiguousNameError, match=r"a\.PNG: name fits several files"):
        resolve(tmp_path, "a.PNG")


@pytest.mark.parametrize(
    ("there", "written"),
    [
        ("imgs/a.png", "imgs\\a.png"),
        ("imgs/a.png", ".\\imgs\\a.png"),
        ("imgs/a.png", "imgs//./a.png"),
        (f"{NFD}/{NFD}.png", f"{NFC}/{NFC}.png"),
        (f"{NFC}.png", f"{NFD}.png"),
        ("Scans/P1.TIF", "scans/p1.tif"),
        (f"{NFD.upper()}/x.PNG", f"{NFC}\\X.png"),
    ],
)
def test_names_of_other_systems(tmp_path: Path, there: str, written: str) -> None:
    (tmp_path / there).parent.mkdir(exist_ok=True)
    (tmp_path / there).touch()
    found = resolve(tmp_path, written)
    assert found is not None and found.samefile(tmp_path / there)
    whole = resolve("/nowhere", str(tmp_path / written.replace("\\", "/")))
    assert whole is not None and whole.samefile(tmp_path / there)


def test_another_unicode_form_is_nearer_than_another_case(tmp_path: Path) -> None:
    (tmp_path / f"{NFD}.png").touch()
    (tmp_path / f"{NFD.upper()}.png").touch()
    assert resolve(tmp_path, f"{NFC}.png") == tmp_path / f"{NFD}.png"


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "C:\\scans\\a.png",
        "\\\\server\\a.png",
        "a\0b",
        "\udcff.png",
        "\ud800",
        "x" * 5000,
        "sub",
    ],
)
def test_names_of_no_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "sub").mkdir()
    assert resolve(tmp_path, name) is None
    assert resolve(tmp_path / "missing", name) is None


def test_a_file_that_comes_later_is_found(tmp_path: Path) -> None:
    assert resolve(tmp_path, "a.png") is None
    os.utime(tmp_path, (1e9, 1e9))  # old enough to be remembered
    assert resolve(tmp_path, "a.png") is None
    (tmp_path / "A.png").touch()
    assert resolve(tmp_path, "a.png") == tmp_path / "A.png"


@pytest.mark.parametrize("sizes", [False, True])
@pytest.mark.parametrize("suffix", ["tsv", "csv", "jsonl"])
def test_tables_name_files_of_another_system(
    make: SimpleNamespace, tmp_path: Path, suffix: str, sizes: bool
) -> None:
    file = make.manifest(tmp_path / "m", suffix, ["one", "two", "three"], sizes)
    images = tmp_path / "m" / "Bilder" / NFD
    images.mkdir(parents=True)
    for number in range(3):
        os.replace(tmp_path / "m" / f"{number}.png", images / f"{number}.PNG")
    content = file.read_text(encoding="utf-8")
    for number in range(3):
        written = f"bilder\\{NFC}\\{number}.png"
        content = content.replace(
            f"{number}.png", json.dumps(written)[1:-1] if suffix == "jsonl" else written
        )
    file.write_text(content, encoding="utf-8")
    source = open_lines(file)
    assert (list(source.originals), source.skipped) == (["one", "two", "three"], {})
    assert [source.images.encoded(i) for i in range(3)] == [make.picture(i) for i in range(3)]
    assert [source.line(i, 0).image.shape[1] for i in range(3)] == [30, 31, 32]


def test_an_image_named_in_two_spellings_has_one_text(make: SimpleNamespace, tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "0.png").write_bytes(make.picture(0))
    (tmp_path / "a.tsv").write_text("image\ttext\nx/0.png\tone\nx\\0.png\tother\nX/0.png\tone\n")
    source = open_lines(tmp_path / "a.tsv")
    assert list(source.originals) == ["one", "one"]
    assert source.skipped == {"image listed again with another text": ["x/0.png"]}


def test_labels_and_lists_name_files_of_another_system(make: SimpleNamespace, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / f"{NFD}.PNG").write_bytes(make.picture(0))
    (tmp_path / "images" / f"{NFD}.gt.txt").write_text("a")
    (tmp_path / "labels.txt").write_text(f"{NFC}.png\ta\n", encoding="utf-8")
    (tmp_path / "list").write_text(f".\\Images\\{NFC}.png\n", encoding="utf-8")
    for name in ("labels.txt", "list"):
        source = open_lines(tmp_path / name)
        assert (list(source.originals), source.skipped) == (["a"], {})
    labelled = find_pairs(tmp_path / "labels.txt")
    assert labelled.names == [f"images/{NFD}.PNG"]
    assert find_images(str(tmp_path / "list")) == [str(tmp_path / "images" / f"{NFD}.PNG")]


def test_pairs_in_two_unicode_forms_belong_together(tmp_path: Path) -> None:
    for name in (f"{NFD}.png", f"{NFD}.bin.png", f"{NFC}.gt.txt", "B.png", "b.gt.txt", "b.PNG", "c.png"):
        (tmp_path / name).touch()
    pairs = find_pairs(tmp_path)
    assert dict(zip(pairs.names, pairs.texts, strict=True)) == {
        f"{NFD}.png": f"{NFC}.gt.txt",
        "b.PNG": "b.gt.txt",
    }
    assert pairs.skipped[NO_TEXT] == ["B.png", "c.png"]


def test_doubtful_pairs_are_named(tmp_path: Path) -> None:
    for name in ("Ab.png", "aB.png", "ab.gt.txt", "Cd.gt.txt", "cD.gt.txt", "cd.png"):
        (tmp_path / name).touch()
    (tmp_path / "e.png").touch()
    (tmp_path / "e.gt.txt").touch()
    pairs = find_pairs(tmp_path)
    assert pairs.names == ["e.png"]
    assert pairs.skipped[AMBIGUOUS] == [
        "Ab.png (ab.gt.txt)",
        "aB.png (ab.gt.txt)",
        "cd.png (Cd.gt.txt, cD.gt.txt)",
    ]
