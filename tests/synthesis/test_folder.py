"""Images are numbered files, whole or not there, whoever draws them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from PIL import Image

from ocrtrain.errors import InputError
from ocrtrain.synthesis import LineGenerator, build_generator
from ocrtrain.synthesis.folder import generated_files, image_name, remove_generated, write_images


@pytest.fixture
def generator() -> LineGenerator:
    return build_generator(fonts=["bundled"])


def contents(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_names_sort_by_number_and_do_not_depend_on_the_count() -> None:
    numbers = [0, 9_999, 10_000, 123_456, 99_999_999]
    names = ["000000.png", "009999.png", "0001/010000.png", "0012/123456.png", "9999/99999999.png"]
    assert [image_name(number) for number in numbers] == names


def test_workers_draw_what_one_process_draws(generator: LineGenerator, tmp_path: Path) -> None:
    told: list[int] = []
    assert write_images(generator, tmp_path / "one", 5, 130, 1, told.append) == 130
    assert sum(told) == 130
    assert write_images(generator, tmp_path / "two", 5, 130, 2, told.append) == 130
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    with Image.open(tmp_path / "one/images/000129.png") as image:
        expected = generator.line(5, 0, 129).image
        assert image.size == (expected.shape[1], 32) and image.tobytes() == expected.tobytes()


def test_what_is_there_stays_and_what_is_empty_is_drawn_again(
    generator: LineGenerator, tmp_path: Path
) -> None:
    write_images(generator, tmp_path, 0, 10, 1, lambda _: None)
    whole = contents(tmp_path)
    (tmp_path / "images/000003.png").unlink()
    (tmp_path / "images/000007.png").write_bytes(b"")
    kept = (tmp_path / "images/000001.png").stat().st_mtime_ns
    assert write_images(generator, tmp_path, 0, 10, 1, lambda _: None) == 2
    assert contents(tmp_path) == whole
    assert (tmp_path / "images/000001.png").stat().st_mtime_ns == kept


def test_leftovers_of_killed_runs_go_and_fresh_ones_stay(generator: LineGenerator, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    old, fresh = (tmp_path / f"images/.00000{i}.png.77.partial" for i in (1, 2))
    old.touch()
    os.utime(old, (0, 0))
    fresh.touch()
    write_images(generator, tmp_path, 0, 2, 1, lambda _: None)
    assert not old.exists() and fresh.exists()


def test_only_generated_files_are_listed_and_removed(generator: LineGenerator, tmp_path: Path) -> None:
    (tmp_path / "images/0001").mkdir(parents=True)
    (tmp_path / "images/mine").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/000000.png").touch()
    (tmp_path / "images/0002").symlink_to(tmp_path / "outside")
    before = contents(tmp_path)
    ours = ["labels.txt", "generate.json", "images/000001.png", "images/0001/010000.png"]
    ours.append("images/.000002.png.12.partial")
    theirs = [
        "notes.txt",
        "images/photo.png",
        "images/mine/000001.png",
        "images/1.png",
        "images/000001.gt.txt",
    ]
    for name in ours + theirs:
        (tmp_path / name).touch()
    listed = [str(path.relative_to(tmp_path)) for path in generated_files(tmp_path)]
    assert sorted(listed) == sorted(ours) and listed[-1] == "generate.json"
    remove_generated(tmp_path)
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()} - set(before)
    assert left == set(theirs)
    assert not (tmp_path / "images/0001").exists()


def test_where_nothing_can_be_written_the_image_is_named(generator: LineGenerator, tmp_path: Path) -> None:
    (tmp_path / "images").touch()
    with pytest.raises(InputError, match=r"images.*cannot be written"):
        write_images(generator, tmp_path, 0, 2, 1, lambda _: None)
    with pytest.raises(InputError, match=r"images.*cannot be written"):
        write_images(generator, tmp_path, 0, 200, 2, lambda _: None)
