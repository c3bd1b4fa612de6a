"""Which image gets which text, and what is told about the rest."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocrtrain.data.formats.pairing import (
    NO_IMAGE,
    NO_LABEL,
    NO_TEXT,
    NOT_UTF8,
    SECOND_IMAGE,
    SECOND_TEXT,
    files_under,
    find_pairs,
    read_list,
    split_label,
)
from ocrtrain.errors import InputError


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def paired(path: Path) -> dict[str, str]:
    pairs = find_pairs(path)
    return dict(zip(pairs.names, pairs.texts, strict=True))


def test_a_folder_pairs_by_name_in_any_depth_and_case(tmp_path: Path) -> None:
    touch(tmp_path, "b.PNG", "b.gt.txt", "a.b.png", "a.b.gt.txt", "deep/er/c.jpeg", "deep/er/c.gt.txt")
    touch(tmp_path, "deep/d.TIFF", "deep/d.GT.TXT", "deep/notes.txt", ".hidden/e.png", "._b.png")
    assert list(paired(tmp_path).items()) == [
        ("a.b.png", "a.b.gt.txt"),
        ("b.PNG", "b.gt.txt"),
        ("deep/d.TIFF", "deep/d.GT.TXT"),
        ("deep/er/c.jpeg", "deep/er/c.gt.txt"),
    ]
    assert find_pairs(tmp_path).skipped == {}


def test_normalized_and_binarized_images_share_the_plain_name(tmp_path: Path) -> None:
    touch(tmp_path, "a.nrm.png", "a.gt.txt", "b.bin.png", "b.gt.txt", "c.bin.png", "c.bin.gt.txt")
    assert paired(tmp_path) == {
        "a.nrm.png": "a.gt.txt",
        "b.bin.png": "b.gt.txt",
        "c.bin.png": "c.bin.gt.txt",
    }


def test_of_several_images_the_plain_one_is_taken_and_the_others_are_named(tmp_path: Path) -> None:
    touch(tmp_path, "a.bin.png", "a.nrm.png", "a.png", "a.gt.txt")
    pairs = find_pairs(tmp_path)
    assert pairs.names == ["a.png"]
    assert pairs.skipped == {SECOND_IMAGE: ["a.bin.png", "a.nrm.png"]}


def test_halves_of_pairs_are_named(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "a.gt.txt", "b.png", "sub/c.png", "d.gt.txt", "sub/a.gt.txt")
    pairs = find_pairs(tmp_path)
    assert pairs.names == ["a.png"]
    assert pairs.skipped == {NO_TEXT: ["b.png", "sub/c.png"], NO_IMAGE: ["d.gt.txt", "sub/a.gt.txt"]}


def test_a_folder_without_images_tells_what_is_there(tmp_path: Path) -> None:
    touch(tmp_path, "a.heic", "b.heic", "c.xml", "README")
    with pytest.raises(InputError, match=r"looked for \.png \.jpg .* there is: 2 \.heic, .*1 \.xml"):
        find_pairs(tmp_path)
    (tmp_path / "void").mkdir()
    with pytest.raises(InputError, match="there is: nothing"):
        find_pairs(tmp_path / "void")


def test_paths_that_lead_nowhere(tmp_path: Path) -> None:
    touch(tmp_path, "a.png")
    (tmp_path / "data.bin").write_bytes(b"\0\1\2\3")
    for name, why in {
        "none": "does not exist",
        "a.png": "is one image",
        "data.bin": "is not a text file",
    }.items():
        with pytest.raises(InputError, match=f"{name}: {why}"):
            find_pairs(tmp_path / name)


def test_linked_folders_are_walked_once(tmp_path: Path) -> None:
    touch(tmp_path / "elsewhere", "a.png")
    (tmp_path / "lines").mkdir()
    (tmp_path / "lines" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "lines")
    assert list(files_under(str(tmp_path / "lines"))) == ["linked/a.png"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_closed_folder_is_an_error(tmp_path: Path) -> None:
    touch(tmp_path, "closed/a.png")
    (tmp_path / "closed").chmod(0)
    try:
        with pytest.raises(InputError, match="closed: cannot be read"):
            list(files_under(str(tmp_path)))
    finally:
        (tmp_path / "closed").chmod(0o700)


def test_a_list_keeps_its_order(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "x/b.png",
        "x/b.gt.txt",
        "x/a.nrm.png",
        "x/a.gt.txt",
        "far/c d.png",
        "far/c d.gt.txt",
        "x/e.png",
    )
    absolute = tmp_path / "far" / "c d.png"
    listing = tmp_path / "x" / "train.lst"
    listing.write_bytes(
        f"\ufeff# made by hand\r\nb.png\r\n\r\n  a.nrm.png\r\n{absolute}\n..\\x\\b.png\ne.png\nf.png".encode()
    )
    pairs = find_pairs(listing)
    assert pairs.root == str(tmp_path / "x")
    assert pairs.names == ["b.png", "a.nrm.png", str(absolute), "../x/b.png"]
    assert pairs.texts == ["b.gt.txt", "a.gt.txt", str(tmp_path / "far" / "c d.gt.txt"), "../x/b.gt.txt"]
    assert pairs.skipped == {NO_TEXT: ["e.png"], "does not exist": ["f.png"]}


def test_bad_lines_of_a_list_are_named(tmp_path: Path) -> None:
    listing = tmp_path / "all.txt"
    listing.write_bytes(b"a.png\n\xff\xfe.png\n# \xff\nb.png\n")
    assert read_list(str(listing)) == (["a.png", "b.png"], ["all.txt line 2", "all.txt line 3"])


@pytest.mark.parametrize("given_as", ["folder", "file"])
def test_labels_beside_images(tmp_path: Path, given_as: str) -> None:
    touch(tmp_path, "images/a.png", "images/b c.png", "images/sub/d.jpg", "e.png")
    labels = tmp_path / "labels.txt"
    labels.write_text(
        "a.png\ttab and  spaces \nb c.png spaces only\nimages/sub/d.jpg   three\ne.png x\n\n",
        encoding="utf-8-sig",
    )
    assert list(paired(tmp_path if given_as == "folder" else labels).items()) == [
        ("images/a.png", "tab and  spaces "),
        ("images/b c.png", "spaces only"),
        ("images/sub/d.jpg", "three"),
        ("e.png", "x"),
    ]


def test_faults_of_labels_are_named(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.png", "images/b.png", "images/c.png")
    labels = tmp_path / "labels.txt"
    labels.write_bytes(b"a.png\tone\r\na.png\ttwo\r\na.png\tone\r\nnone.png\tx\r\nb.png\t\xff\r\n")
    pairs = find_pairs(tmp_path)
    assert pairs.names == ["images/a.png", "images/a.png"] and pairs.texts == ["one", "one"]
    faults = {
        SECOND_TEXT: ["images/a.png (labels.txt line 2)"],
        NO_IMAGE: ["none.png (labels.txt line 4)"],
        NOT_UTF8: ["labels.txt line 5"],
    }
    assert pairs.skipped == {**faults, NO_LABEL: ["images/b.png", "images/c.png"]}
    assert find_pairs(labels).skipped == faults  # the file itself may name a part of the images


def test_a_file_with_tabs_is_a_labels_file(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.png", "images/b.png")
    part = tmp_path / "train.tsv"
    part.write_text("# no\tlabel\nb.png\t# b\n")
    assert find_pairs(part).texts == ["# b"]


def test_two_forms_in_one_folder_are_told_apart_by_the_user(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.png", "images/a.gt.txt")
    (tmp_path / "labels.txt").write_text("a.png x\n")
    with pytest.raises(InputError, match=r"both labels\.txt and texts named \*\.gt\.txt"):
        find_pairs(tmp_path)
    assert find_pairs(tmp_path / "labels.txt").texts == ["x"]


@given(
    stem=st.text("ab .-_é", min_size=1).filter(lambda stem: not stem[0].isspace()),
    suffix=st.sampled_from([".png", ".JPG", ".tiff"]),
    text=st.text("ab .,é\u3000", min_size=1),
)
def test_labels_come_apart_as_they_were_joined(stem: str, suffix: str, text: str) -> None:
    assert split_label(f"{stem}{suffix}\t{text}") == (stem + suffix, text)
    assert split_label(f"{stem}{suffix} {text}") == (stem + suffix, text.lstrip(" "))


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("a.png", ("a.png", "")),
        ("a.png\t", ("a.png", "")),
        ("a.png \tx", ("a.png", "x")),
        ("a.png\t\tx", ("a.png", "\tx")),
        ("a.png b.png", ("a.png", "b.png")),
        ("a b.png c", ("a b.png", "c")),
        ("a.png x\ty", ("a.png", "x\ty")),
        ("1234 some text", ("1234", "some text")),
        ("1234", ("1234", "")),
    ],
)
def test_labels_by_example(line: str, parts: tuple[str, str]) -> None:
    assert split_label(line) == parts


def test_labels_with_spaces_are_told_from_lists(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "b c.png", "b c.gt.txt", "images/d.png")
    (tmp_path / "gt.txt").write_text("# comment\na.png one  two\nd.png three\n")
    pairs = find_pairs(tmp_path / "gt.txt")
    assert (pairs.names, pairs.texts) == (["a.png", "images/d.png"], ["one  two", "three"])
    (tmp_path / "list").write_text("b c.png\n")
    assert paired(tmp_path / "list") == {"b c.png": "b c.gt.txt"}


def test_labels_with_commas_are_told_what_they_lack(tmp_path: Path) -> None:
    touch(tmp_path, "a.png")
    for line in ('a.png, "one"', "a.png,one, two"):
        (tmp_path / "gt.txt").write_text(line + "\n")
        with pytest.raises(InputError, match="has commas between images and texts, where a tab is needed"):
            find_pairs(tmp_path / "gt.txt")


def test_a_folder_without_pairs_names_the_file_that_may_hold_the_texts(tmp_path: Path) -> None:
    touch(tmp_path, "train/a.png", "gt.txt")
    with pytest.raises(
        InputError, match=r"has no NAME\.gt\.txt beside its images .* but gt\.txt\n.*/gt\.txt"
    ):
        find_pairs(tmp_path)
