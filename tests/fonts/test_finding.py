"""Fonts are found wherever they lie, in an order that does not depend on it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from fontTools.ttLib import TTCollection, TTFont

from ocrtrain.errors import InputError
from ocrtrain.fonts.finding import bundled_folder, find_fonts, font_files, system_folders

Copier = Callable[..., list[str]]
LETTERS = "ABCabc123"


def test_bundled_fonts_are_found_without_importing_matplotlib() -> None:
    code = (
        "import sys; from ocrtrain.fonts.finding import bundled_folder; print(bundled_folder());"
        "sys.exit('matplotlib' in sys.modules or 'torch' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (Path(found.stdout.strip()) / "DejaVuSans.ttf").is_file()


def test_bundled_fonts_cover_letters_and_digits_by_their_own_maps() -> None:
    fonts = find_fonts(LETTERS, ["bundled"])
    whole = [font for font in fonts if font.characters == set(LETTERS)]
    assert len(whole) >= 15
    for font in whole:
        with TTFont(font.path, fontNumber=font.index) as tables:
            mapped = tables.getBestCmap()
        assert all(mapped[ord(c)] != ".notdef" for c in LETTERS)
    assert not {"cmsy10", "cmex10", "Last Resort"} & {font.name.rsplit(maxsplit=1)[0] for font in fonts}


def test_the_order_is_that_of_the_names(bundled: Copier) -> None:
    (first,) = bundled("DejaVuSans", "cmr10", "STIXGeneral", into="z")
    (other,) = bundled("cmtt10", into="a")
    here = find_fonts(LETTERS, [first, other])
    there = find_fonts(LETTERS, [other, first])
    assert [font.name for font in here] == [font.name for font in there]
    assert [font.name.split()[0] for font in here] == ["cmr10", "cmtt10", "DejaVu", "STIXGeneral"]


def test_each_name_comes_once(bundled: Copier, tmp_path: Path) -> None:
    folders = bundled("cmr10", into="a") + bundled("cmr10", into="b")
    (font,) = find_fonts(LETTERS, folders)
    assert font.path == str(tmp_path / "a" / "cmr10.ttf")
    (same,) = (font for font in find_fonts(LETTERS, [folders[1], "bundled"]) if font.name == "cmr10 Regular")
    assert Path(same.path).parent == bundled_folder()
    assert same.digest == font.digest


def test_names_can_be_excluded(bundled: Copier) -> None:
    folder = bundled("cmr10", "cmtt10", "DejaVuSans")
    assert [font.name for font in find_fonts(LETTERS, folder, exclude=["CM*", "*nothing*"])] == [
        "DejaVu Sans Book"
    ]


def test_collections_count_face_by_face(bundled: Copier, tmp_path: Path) -> None:
    (folder,) = bundled("cmr10", "cmtt10")
    collection = TTCollection()
    collection.fonts = [TTFont(Path(folder, name)) for name in ("cmtt10.ttf", "cmr10.ttf")]
    collection.save(tmp_path / "both.ttc")
    fonts = find_fonts(LETTERS, [str(tmp_path / "both.ttc")])
    assert [(font.name.split()[0], font.index) for font in fonts] == [("cmr10", 1), ("cmtt10", 0)]


def test_what_is_no_font_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match="does not exist"):
        font_files([str(tmp_path / "none")])
    with pytest.raises(InputError, match="is not a font file"):
        font_files([str(tmp_path / "notes.txt")])
    with pytest.raises(InputError, match=r"no font in .* draws any"):
        find_fonts(LETTERS, [str(tmp_path)])
    with pytest.raises(InputError, match="no font in an empty list"):
        find_fonts(LETTERS, [])


def test_font_packages_are_found_by_their_entry_points(
    bundled: Copier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder,) = bundled("cmr10", "cmtt10", into="site/font_of_mine")
    (tmp_path / "site/font_of_mine/__init__.py").write_text(
        "import os\nhere = os.path.dirname(__file__)\n"
        "font_files = {n: os.path.join(here, n + '.ttf') for n in ('cmr10', 'cmtt10')}\n"
    )
    for name, target in {"mine": "font_of_mine:font_files", "broken": "font_of_nobody:font_files"}.items():
        record = tmp_path / f"site/font_{name}-1.0.dist-info"
        record.mkdir()
        (record / "METADATA").write_text(f"Metadata-Version: 2.1\nName: font-{name}\nVersion: 1.0\n")
        (record / "entry_points.txt").write_text(f"[fonts_ttf]\n{name} = {target}\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert {str(Path(folder, "cmr10.ttf")), str(Path(folder, "cmtt10.ttf"))} <= set(
        map(str, font_files(["packages"]))
    )
    fonts = find_fonts(LETTERS, ["packages"])
    assert {"cmr10 Regular", "cmtt10 Regular"} <= {font.name for font in fonts}
    assert {font.family for font in fonts} >= {"cmr10", "cmtt10"}


@pytest.mark.parametrize(
    ("system", "variables", "expected"),
    [
        (
            "linux",
            {"XDG_DATA_DIRS": "/opt/share", "XDG_DATA_HOME": "/me/data"},
            ["/opt/share/fonts", "/me/data/fonts"],
        ),
        ("darwin", {}, ["/System/Library/Fonts", "/Library/Fonts"]),
        (
            "win32",
            {"WINDIR": "/win", "LOCALAPPDATA": "/local"},
            ["/win/Fonts", "/local/Microsoft/Windows/Fonts"],
        ),
    ],
)
def test_every_system_has_its_folders(
    monkeypatch: pytest.MonkeyPatch, system: str, variables: dict[str, str], expected: list[str]
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert [folder.as_posix() for folder in system_folders()][: len(expected)] == expected
