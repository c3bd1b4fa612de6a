from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import hydra
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from ocrtrain import cache
from ocrtrain.command_line.presets import built_in
from ocrtrain.commands import clean, generate
from ocrtrain.errors import InputError
from ocrtrain.files import atomic_path
from ocrtrain.run_mark import RUN_MARK
from ocrtrain.synthesis import folder as synthesis_folder
from ocrtrain.synthesis.folder import generated_files

CONF = built_in()


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
    (folder / RUN_MARK).write_text(mark)
    return folder


def unfinished(path: Path) -> None:
    """What a process that is killed leaves when it writes `path`."""
    with suppress(KeyboardInterrupt), atomic_path(path) as temporary:
        raise KeyboardInterrupt
    temporary.write_bytes(b"half")


def drawn(folder: Path, count: int) -> Path:
    """A folder that generate itself fills."""
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        words = ["synthesis=portable", "workers=1", f"count={count}", f"output={folder}"]
        generate.run(hydra.compose("generate", words))
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


def test_all_that_generate_wrote_goes(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(synthesis_folder, "_PER_FOLDER", 4)
    lines = drawn(home / "lines", count=10)
    assert {"images/000003.png", "images/0001/000004.png", "images/0002/000009.png"} < files(lines)
    unfinished(lines / "labels.txt")
    unfinished(lines / "generate.json")
    for name in ("images/.000010.png.77.partial", "images/0002/.000011.png.77.partial"):
        (lines / name).write_bytes(b"half")
    (lines / "images/0003").mkdir()  # of a process that came no further
    capsys.readouterr()
    cleaned("data", yes=False)
    printed = capsys.readouterr().out
    assert "16 files  lines\n" in printed and "left alone" not in printed
    cleaned("data")
    assert not lines.exists()


def test_what_others_put_between_the_generated_lines_stays(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(synthesis_folder, "_PER_FOLDER", 2)
    lines = drawn(home / "lines", count=5)
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious/000009.png").write_bytes(b"mine")
    (lines / "labels.txt").rename(tmp_path / "precious/labels.txt")
    theirs = {"images/0001/photo.png", "images/mine/000001.png", ".labels.txt.partial", "images/12.png"}
    links = {"images/0009": "precious", "images/000009.png": "precious/000009.png"}
    links["labels.txt"] = "precious/labels.txt"
    (lines / "images/mine").mkdir()
    (lines / "images/empty").mkdir()
    for name in theirs:
        (lines / name).write_bytes(b"mine")
    for name, target in links.items():
        (lines / name).symlink_to(tmp_path / target)
    cleaned("data")
    assert files(lines) == theirs | links.keys() - {"images/0009"}  # a link to a folder counts as one here
    assert (lines / "images/0009").is_symlink() and (lines / "images/empty").is_dir()
    assert not (lines / "images/0002").exists()
    assert files(tmp_path / "precious") == {"000009.png", "labels.txt"}


def test_removal_that_was_interrupted_goes_on(home: Path) -> None:
    lines = drawn(home / "lines", count=3)
    leftover = clean.generated(lines)
    assert leftover.files[0].name == "labels.txt" and leftover.files[-1].name == "generate.json"
    for file in leftover.files[:2]:
        file.unlink()
    cleaned("data")
    assert not lines.exists()


def test_data_that_cannot_be_read_is_named_and_the_rest_goes(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    locked, lines = data(home / "locked"), data(home / "more")

    def refused(folder: Path) -> object:  # as root, who runs some of our tests, may read anything
        if folder == locked:
            raise PermissionError(13, "Permission denied", str(folder))
        return generated_files(folder)

    monkeypatch.setattr(clean, "generated_files", refused)
    cleaned("data")
    assert locked.exists() and not lines.exists()
    assert "left alone: locked (cannot be read: Permission denied)" in capsys.readouterr().out


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


@pytest.mark.parametrize("process", [10**400, 2**63, 0, -1, 1.5, True, "1", None, [1]])
def test_a_mark_that_names_no_process_holds_no_run(home: Path, process: object) -> None:
    """In `kill`, 0 and negative numbers mean whole groups of processes."""
    run(home / "runs" / "odd", json.dumps({"pid": process, "host": platform.node()}))
    cleaned()
    assert not (home / "runs" / "odd").exists()


def test_a_run_that_fit_made_goes_whole(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(trained / "runs", tmp_path / "runs")
    monkeypatch.setenv("OCRTRAIN_CACHE", str(tmp_path / ".cache"))
    monkeypatch.chdir(tmp_path)
    tiny = tmp_path / "runs" / "tiny"
    written = {"config.yaml", "metrics.csv", "history.png", "samples.png", RUN_MARK}
    assert files(tiny) == written | {"checkpoints/best.ckpt", "checkpoints/last.ckpt"}
    unfinished(tiny / "checkpoints" / "last.ckpt")
    cleaned()
    assert "still at work" in capsys.readouterr().out  # fit ran in this very process
    assert len(files(tiny)) == 8

    mark = json.loads((tiny / RUN_MARK).read_text())
    assert mark == {"pid": os.getpid(), "host": platform.node()}
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tiny / RUN_MARK).write_text(json.dumps({**mark, "pid": ended.pid}))
    cleaned()
    assert "Removed 8 files" in capsys.readouterr().out
    assert not tiny.exists()


def test_a_run_of_another_machine_stays_while_it_is_written_to(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mark = json.dumps({"pid": 1, "host": "another.example"})
    fresh, old = run(home / "runs" / "fresh", mark), run(home / "runs" / "old", mark)
    for folder, newest in ((fresh, time.time() - 60), (old, time.time() - 7200)):
        for name in files(folder):
            os.utime(folder / name, (0, 0))
        os.utime(folder / "checkpoints" / "best.ckpt", (newest, newest))
    cleaned()
    assert fresh.exists() and not old.exists()
    assert "runs/fresh (written to within the last hour, by process 1 of another.example)" in (
        capsys.readouterr().out
    )


def test_a_run_with_other_folders_below_it_stays(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outer = run(home / "runs" / "outer")
    inner = run(outer / "1", json.dumps({"pid": os.getpid(), "host": platform.node()}))
    cache.record("run", inner)
    before = files(home)
    cleaned()
    assert files(home) == before
    assert "runs/outer (holds the folder 1, which is not the run's)" in capsys.readouterr().out


def test_the_record_lasts_as_long_as_what_it_names(home: Path) -> None:
    data(home / "lines")
    for name in ("fonts-plain.json", "mine.txt", ".mine.partial"):
        (cache.cache_folder() / name).write_text("{}")
    unfinished(cache.cache_folder() / "fonts-shaped.json")
    cleaned("cache")
    assert files(cache.cache_folder()) == {"outputs.jsonl", "mine.txt", ".mine.partial"}
    cleaned()
    assert files(cache.cache_folder()) == {"mine.txt", ".mine.partial"}


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
@given(
    names=st.sets(
        st.text("0a._-é", min_size=1, max_size=6).filter(lambda name: name.strip("."))
        | st.text("0123456789", min_size=4, max_size=8)
    )
)
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
    assert left == names | {f"{name}.png" for name in names if len(name) < 6 or not name.isdecimal()}
