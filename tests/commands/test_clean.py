from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from ocrtrain import cache
from ocrtrain.commands import clean
from ocrtrain.errors import InputError


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to stand in, with a cache of its own."""
    monkeypatch.setenv("OCRTRAIN_CACHE", str(tmp_path / "cache"))
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path / "home")
    return tmp_path / "home"


def cleaned(what: str = "all", yes: bool = True) -> None:
    clean.run(OmegaConf.create({"what": what, "runs": "runs", "yes": yes}))


def data(folder: Path, count: int = 3) -> Path:
    """A folder as generate leaves it, on record."""
    (folder / "images").mkdir(parents=True)
    for i in range(count):
        (folder / "images" / f"{i:06}.png").write_bytes(b"pixels")
    (folder / "labels.txt").write_text("".join(f"{i:06}.png\ttext\n" for i in range(count)))
    record = {"version": "0.1.0", "count": count, "seed": 0, "synthesis": {}}
    (folder / "generate.json").write_text(json.dumps(record))
    cache.record("data", folder)
    return folder


def run(folder: Path, mark: str = "{}") -> Path:
    """A run's folder with a checkpoint."""
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "checkpoints" / "best.ckpt").write_bytes(bytes(5000))
    (folder / clean.RUN_MARK).write_text(mark)
    return folder


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


def test_nothing_goes_without_yes(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data(home / "lines")
    run(home / "runs" / "first")
    before = files(home)
    cleaned(yes=False)
    assert files(home) == before
    printed = capsys.readouterr().out
    assert "lines" in printed and "runs/first" in printed and "5.0 KB" in printed
    assert "nothing was removed" in printed and "clean yes=true" in printed


def test_what_is_ours_goes_and_the_rest_stays(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = data(home / "lines")
    (lines / "images" / "mine.png").write_bytes(b"mine")
    (lines / "notes.txt").write_text("mine")
    data(home / "more")
    run(home / "runs" / "first")
    cleaned()
    assert files(home) == {"lines/images/mine.png", "lines/notes.txt"}
    assert not (home / "more").exists() and not (home / "runs" / "first").exists()
    printed = capsys.readouterr().out
    assert "2 files that generate did not write" in printed
    assert "Removed 12 files and freed 5.3 KB" in printed  # a checkpoint of 5,000 bytes, and small things


@pytest.mark.parametrize("what", ["data", "runs", "cache"])
def test_the_filter_spares_the_other_kinds(home: Path, what: str) -> None:
    paths = {"data": data(home / "lines"), "runs": run(home / "runs" / "first")}
    paths["cache"] = cache.cache_folder() / "fonts-plain.json"
    paths["cache"].write_text("{}")
    cleaned(what)
    assert {kind for kind, path in paths.items() if not path.exists()} == {what}


def test_runs_elsewhere_are_found_by_the_record(home: Path, tmp_path: Path) -> None:
    elsewhere = run(tmp_path / "elsewhere" / "second")
    cache.record("run", elsewhere)
    cleaned()
    assert not elsewhere.exists()


def test_a_folder_on_record_without_our_mark_stays(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "photos").mkdir()
    (home / "photos" / "000000.png").write_bytes(b"mine")
    (home / "photos" / "generate.json").write_text("[]")
    cache.record("data", home / "photos")
    cache.record("run", home / "photos")
    cleaned()
    assert files(home) == {"photos/000000.png", "photos/generate.json"}
    assert "without ocrtrain's mark" in capsys.readouterr().out


def test_a_run_of_another_program_stays(home: Path) -> None:
    foreign, ours = home / "runs" / "foreign", home / "runs" / "ours"
    for folder, target in ((foreign, "torch.nn.Linear"), (ours, "ocrtrain.model.Recognizer")):
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text(f"model:\n  _target_: {target}\n")
        (folder / "metrics.csv").write_text("step,loss\n")
    cleaned()
    assert foreign.exists() and not ours.exists()


def test_links_are_not_followed(home: Path, tmp_path: Path) -> None:
    precious = run(tmp_path / "precious")
    drawn = data(tmp_path / "drawn")
    (home / "runs").mkdir()
    (home / "runs" / "link").symlink_to(precious)
    inside = run(home / "runs" / "real")
    (inside / "best").symlink_to(precious / "checkpoints" / "best.ckpt")
    (inside / "all").symlink_to(precious)
    linked = data(home / "linked", count=0)
    (linked / "images").rmdir()
    (linked / "images").symlink_to(drawn / "images")
    (home / "alias").symlink_to(linked)
    cache.record("data", home / "alias")
    cache.ledger().write_text("".join(line + "\n" for line in cache.ledger().read_text().splitlines()[1:]))
    cleaned()
    assert not inside.exists() and not (linked / "labels.txt").exists()
    assert len(files(precious)) == 2 and len(files(drawn)) == 5


def test_the_folder_one_stands_in_stays(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = run(home / "runs" / "here")
    cache.record("run", here)
    monkeypatch.chdir(here / "checkpoints")
    cleaned()
    assert (here / "checkpoints" / "best.ckpt").exists()


@pytest.mark.skipif(os.name != "posix", reason="asks for a process by its number")
def test_a_run_at_work_stays(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    marks = {"working": os.getpid(), "ended": ended.pid}
    for name, process in marks.items():
        run(home / "runs" / name, json.dumps({"pid": process, "host": platform.node()}))
        cache.record("run", home / "runs" / name)
    cleaned()
    assert (home / "runs" / "working").exists() and not (home / "runs" / "ended").exists()
    assert "still at work" in capsys.readouterr().out


def test_the_record_lasts_as_long_as_what_it_names(home: Path) -> None:
    data(home / "lines")
    (cache.cache_folder() / "fonts-plain.json").write_text("{}")
    (cache.cache_folder() / "mine.txt").write_text("mine")
    cleaned("cache")
    assert files(cache.cache_folder()) == {"outputs.jsonl", "mine.txt"}
    cleaned()
    assert files(cache.cache_folder()) == {"mine.txt"}


def test_a_file_that_cannot_be_removed_is_named(home: Path) -> None:
    lines = data(home / "lines")
    if os.geteuid() == 0:
        pytest.skip("root may remove anything")
    lines.chmod(0o500)
    try:
        with pytest.raises(InputError, match=r"lines.*cannot be removed"):
            cleaned()
    finally:
        lines.chmod(0o700)


def test_settings_that_make_no_sense_are_refused(home: Path) -> None:
    with pytest.raises(InputError, match="what=dat"):
        cleaned("dat")
    with pytest.raises(InputError, match="yes=maybe"):
        clean.run(OmegaConf.create({"what": "all", "runs": "runs", "yes": "maybe"}))


@settings(max_examples=30, deadline=None)
@given(names=st.sets(st.text("0a._-é", min_size=1, max_size=6).filter(lambda name: name.strip("."))))
def test_only_numbered_images_count_as_generated(
    names: set[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("lines")
    (folder / "images").mkdir()
    for name in names:
        (folder / "images" / name).write_bytes(b"")
        (folder / "images" / f"{name}.png").write_bytes(b"")
    clean.remove(clean.generated(folder))
    left = files(folder / "images") if folder.exists() else set()
    assert left == names | {f"{name}.png" for name in names if set(name) != {"0"}}
