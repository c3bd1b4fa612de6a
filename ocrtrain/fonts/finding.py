"""The fonts that can be drawn with: the system's, the user's, those of font packages and matplotlib's."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

from ocrtrain.errors import InputError
from ocrtrain.fonts.coverage import Face, FontScan

_log = logging.getLogger(__name__)
SUFFIXES = (".ttf", ".otf", ".ttc", ".otc")


@dataclass(frozen=True, slots=True)
class Font:
    """A face of a font file, and the characters, of those asked for, that it really draws.

    `name` is `family` and style, `digest` a hash of the file, the same wherever the file is the same.
    """

    name: str
    family: str
    path: str
    index: int
    digest: str
    characters: frozenset[str]


def system_folders() -> list[Path]:
    """List the folders where this system keeps fonts."""
    home = Path(os.path.expanduser("~"))
    if sys.platform == "darwin":
        return [Path("/System/Library/Fonts"), Path("/Library/Fonts"), home / "Library/Fonts"]
    if sys.platform == "win32":
        local = Path(os.environ.get("LOCALAPPDATA", home / "AppData" / "Local"))
        return [
            Path(os.environ.get("WINDIR", r"C:\Windows")) / "Fonts",
            local / "Microsoft" / "Windows" / "Fonts",
        ]
    shared = os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    own = Path(os.environ.get("XDG_DATA_HOME") or home / ".local/share")
    return [
        *(Path(folder) / "fonts" for folder in shared.split(":") if folder),
        own / "fonts",
        home / ".fonts",
    ]


def bundled_folder() -> Path | None:
    """Find the fonts in matplotlib's wheel (DejaVu, STIX, Computer Modern) without importing matplotlib."""
    spec = find_spec("matplotlib")
    for place in (spec and spec.submodule_search_locations) or ():
        folder = Path(place) / "mpl-data" / "fonts" / "ttf"
        if folder.is_dir():
            return folder
    return None


def packaged_files() -> list[Path]:
    """List the fonts of installed packages that offer them by entry points, as PyPI's font-* do."""
    files: set[Path] = set()
    for group in ("fonts_ttf", "fonts_otf"):
        for entry_point in entry_points(group=group):
            try:
                files.update(Path(path).absolute() for path in dict(entry_point.load()).values())
            except Exception as error:  # it is their code that runs, and one broken package is not all
                _log.warning("fonts of package %s left out: %s", entry_point.value, error)
    return sorted(path for path in files if path.name.lower().endswith(SUFFIXES))


def font_files(sources: Sequence[str]) -> list[Path]:
    """List the font files of `sources` ("bundled", "system", "packages", folders, files), bundled first.

    Raises `InputError` for a path that does not exist or a file that is not a font.
    """
    files: dict[Path, None] = {}
    # Of two fonts of one name the first stays. Bundled first: what else a machine has then changes less.
    for source in sorted(sources, key=lambda source: source != "bundled"):
        if source == "bundled":
            folders = [folder] if (folder := bundled_folder()) else []
        elif source == "system":
            folders = system_folders()
        elif source == "packages":
            files.update(dict.fromkeys(packaged_files()))
            continue
        elif (path := Path(source).expanduser()).is_dir():
            folders = [path]
        elif path.suffix.lower() in SUFFIXES and path.is_file():
            files[path.absolute()] = None
            continue
        else:
            raise InputError(
                f"synthesis.fonts: {source}",
                "is not a font file (.ttf, .otf, .ttc)" if path.exists() else "does not exist",
                "name font files, folders of font files, 'system', 'packages' or 'bundled'.",
            )
        for folder in folders:
            files.update(dict.fromkeys(_walk(folder)))
    return list(files)


def _walk(folder: Path) -> Iterable[Path]:
    for place, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(place, name).absolute() for name in sorted(names) if name.lower().endswith(SUFFIXES))


def find_fonts(
    characters: Iterable[str], sources: Sequence[str], exclude: Sequence[str] = (), shaping: bool = False
) -> list[Font]:
    """Find the fonts that draw some of `characters`, by name, each name once.

    `exclude` holds patterns of names, such as "*Barcode*". The order does not depend on where the files lie.
    Raises `InputError` if there are none.
    """
    wanted = frozenset(characters)
    fonts: dict[str, Font] = {}
    with FontScan(shaping) as scan:
        for path in font_files(sources):
            for face in scan.faces(path):
                if face.name in fonts or _matches(face, exclude):
                    continue
                if drawn := scan.drawn(face, wanted):
                    fonts[face.name] = Font(face.name, face.family, face.path, face.index, face.digest, drawn)
    if not fonts:
        raise InputError(
            "synthesis.fonts",
            f"no font in {', '.join(sources) or 'an empty list'} draws any of the characters",
            "install fonts for them, or name a folder that has some: synthesis.fonts=[FOLDER].",
        )
    return sorted(fonts.values(), key=lambda font: (font.name.casefold(), font.name))


def _matches(face: Face, patterns: Sequence[str]) -> bool:
    return any(matches(face.name, pattern) for pattern in patterns)


def matches(name: str, pattern: str) -> bool:
    """Tell whether a font's name fits a pattern such as "*Barcode*", whatever the case."""
    return fnmatch(name.casefold(), pattern.casefold())
