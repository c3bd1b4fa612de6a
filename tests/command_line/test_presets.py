"""The built-in presets are found wherever the package lies: in a checkout, a wheel, a zip."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that is built from this checkout."""
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return next(folder.glob("*.whl"))


def settings_from(place: Path, folder: Path) -> str:
    """Print the settings of `fit` with the package that is at `place`, from a folder that has no conf/."""
    command = [sys.executable, "-m", "ocrtrain", "fit", "--cfg", "job", "experiment=quickstart", "run=here"]
    own = {**os.environ, "PYTHONPATH": str(place)}
    ended = subprocess.run(command, cwd=folder, env=own, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_presets_are_found_in_a_checkout_a_wheel_and_a_zip(wheel: Path, tmp_path: Path) -> None:
    installed = tmp_path / "site-packages"
    with zipfile.ZipFile(wheel) as file:
        file.extractall(installed)
    (tmp_path / "work").mkdir()
    # An editable install puts the checkout on the path, as here.
    places = [ROOT, installed, wheel]
    checkout, from_wheel, from_zip = (settings_from(place, tmp_path / "work") for place in places)
    assert "max_time: 00:00:09:30" in checkout
    assert checkout == from_wheel == from_zip


def test_a_wheel_has_the_presets_and_nothing_beside_the_package(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as file:
        names = [name for name in file.namelist() if ".dist-info/" not in name]
    assert {name.split("/")[0] for name in names} == {"ocrtrain"}
    presets = {path.relative_to(ROOT / "conf").as_posix() for path in (ROOT / "conf").rglob("*.yaml")}
    inside = {n.removeprefix("ocrtrain/conf/") for n in names if n.startswith("ocrtrain/conf/")}
    assert {name for name in inside if name.endswith(".yaml")} == presets
