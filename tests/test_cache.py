"""What runs wrote is on record, whoever writes at the same time, and nothing depends on it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ocrtrain import cache
from ocrtrain.cache import Output


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCRTRAIN_CACHE", str(tmp_path / "cache"))


def test_outputs_come_back_once_each_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache.recorded() == []
    monkeypatch.chdir(tmp_path)
    cache.record("data", "é\nlines")
    cache.record("run", tmp_path / "runs")
    cache.record("data", tmp_path / "é\nlines")
    assert cache.recorded() == [Output("data", tmp_path / "é\nlines"), Output("run", tmp_path / "runs")]


def test_damaged_entries_are_passed_over(tmp_path: Path) -> None:
    cache.record("data", tmp_path / "a")
    with cache.ledger().open("ab") as file:
        file.write(b'{"kind": "da\n[1]\n\xff\xfe\n{"kind": "data"}\n\n')
    cache.record("data", tmp_path / "b")
    assert [output.path.name for output in cache.recorded()] == ["a", "b"]


def test_processes_that_write_together_lose_nothing(tmp_path: Path) -> None:
    code = "import sys; from ocrtrain.cache import record\n"
    code += "for i in range(200): record('data', f'{sys.argv[1]}/{i}')"
    writers = [subprocess.Popen([sys.executable, "-c", code, f"{tmp_path}/{n}"]) for n in range(3)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert len(cache.recorded()) == 600


def test_a_place_that_cannot_be_written_stops_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("OCRTRAIN_CACHE", str(tmp_path / "file" / "cache"))
    cache.record("data", tmp_path)
    assert cache.recorded() == []


@pytest.mark.parametrize(
    ("system", "variables", "expected"),
    [
        ("linux", {"XDG_CACHE_HOME": ""}, "/me/.cache/ocrtrain"),
        ("linux", {"XDG_CACHE_HOME": "/big"}, "/big/ocrtrain"),
        ("darwin", {}, "/me/Library/Caches/ocrtrain"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/ocrtrain/cache"),
        ("linux", {"OCRTRAIN_CACHE": "/mine"}, "/mine"),
    ],
)
def test_every_system_has_its_place(
    monkeypatch: pytest.MonkeyPatch, system: str, variables: dict[str, str], expected: str
) -> None:
    monkeypatch.delenv("OCRTRAIN_CACHE")
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(Path, "home", lambda: Path("/me"))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache.cache_folder().as_posix() == expected
