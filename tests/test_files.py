"""Files that are whole or not there."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from ocrtrain.errors import InputError
from ocrtrain.files import atomic_path, write_text_atomically


def test_the_text_is_there_whole_with_its_folders(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "text.txt"
    write_text_atomically(path, "grün\n")
    write_text_atomically(path, "schön\r\n")
    assert path.read_bytes() == "schön\r\n".encode()
    assert os.listdir(path.parent) == ["text.txt"]


def test_others_may_read_it_as_the_umask_allows(tmp_path: Path) -> None:
    write_text_atomically(tmp_path / "atomic", "")
    (tmp_path / "plain").write_text("")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("atomic", "plain")]
    assert modes[0] == modes[1]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_interrupted_writer_leaves_the_old_file(error: type[BaseException], tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("old")
    with pytest.raises(error), atomic_path(path) as temporary:
        temporary.write_text("half of the n")
        raise error
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["text.txt"]


def test_a_disk_that_takes_no_more_is_said(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")  # absent on Windows
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(InputError, match=r"big\.txt: cannot be written: File too large") as caught:
            write_text_atomically(tmp_path / "big.txt", "x" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.way_on and os.listdir(tmp_path) == []


def test_a_file_where_a_folder_is_needed_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here")
    for path in (tmp_path / "file" / "x.txt", tmp_path / "file" / "deeper" / "x.txt"):
        with pytest.raises(InputError) as caught:
            write_text_atomically(path, "")
        assert caught.value.what == str(path) and "a file stands" in caught.value.way_on


def test_a_folder_under_the_final_name_is_said(tmp_path: Path) -> None:
    (tmp_path / "taken" / "x").mkdir(parents=True)
    with pytest.raises(InputError, match="taken: cannot be written"):
        write_text_atomically(tmp_path / "taken", "")
    assert os.listdir(tmp_path) == ["taken"]


def test_a_long_name_leaves_room_for_the_temporary_one(tmp_path: Path) -> None:
    write_text_atomically(tmp_path / ("n" * 250), "text")
    with pytest.raises(InputError, match="too long"):
        write_text_atomically(tmp_path / ("n" * 300), "text")
    assert os.listdir(tmp_path) == ["n" * 250]
