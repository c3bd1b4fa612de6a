"""What the package keeps for itself: damaged, it is made anew or passed over, and never believed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from fuzz.kind import Kind
from fuzz.lines import make_manifest, make_page

GENERATED = '{"version": "0.1", "count": 2, "seed": 1, "format": "labels", "files": ["labels.txt"]}\n'


def in_cache(case: Path, do: Callable[[], object]) -> object:
    """Run `do` with `case` as the cache."""
    before = os.environ.get("OCRTRAIN_CACHE", "")
    os.environ["OCRTRAIN_CACHE"] = str(case)
    try:
        return do()
    finally:
        os.environ["OCRTRAIN_CACHE"] = before


def lines(case: Path, fixed: Path, file: str) -> object:
    from ocrtrain.data.formats import open_lines

    def look() -> object:
        source = open_lines(str(fixed / file))
        images = [source.line(index, 0).image for index in range(len(source))]
        return list(source.names), list(source.originals), source.widths(0).tolist(), source.skipped, images

    return in_cache(case, look)


def filled(folder: Path, make: Callable[[Path], None], file: str) -> None:
    """Make lines that stay, and a cache of them."""
    make(folder)
    (folder / "case").rename(folder / "fixed")
    (folder / "case").mkdir()
    lines(folder / "case", folder / "fixed", file)


def scan(case: Path, fixed: Path) -> object:
    """Ask which letters the bundled fonts have."""
    from ocrtrain.fonts.coverage import FontScan
    from ocrtrain.fonts.finding import bundled_folder

    def look() -> object:
        found = []
        with FontScan(shaping=False) as fonts:
            for path in sorted(Path(bundled_folder() or ".").rglob("*.ttf"))[:2]:
                for face in fonts.faces(path):
                    found.append((face.name, sorted(fonts.drawn(face, frozenset("aé\u05d0\u4e00")))))
        return found

    return in_cache(case, look)


def make_fonts(folder: Path) -> None:
    (folder / "case").mkdir(parents=True)
    scan(folder / "case", folder / "fixed")


def make_ledger(folder: Path) -> None:
    from ocrtrain.cache import record

    (folder / "case/drawn").mkdir(parents=True)
    (folder / "case/runs/a").mkdir(parents=True)
    (folder / "case/drawn/generate.json").write_text(GENERATED)
    (folder / "case/runs/a/.ocrtrain-run").write_text('{"pid": 1, "host": "none", "version": "0.1"}\n')
    entries = (("data", "drawn"), ("run", "runs/a"), ("run", "/tmp/no"))
    in_cache(folder / "case", lambda: [record(*entry) for entry in entries])


def clean(case: Path, fixed: Path) -> object:
    """List what earlier runs left."""
    from ocrtrain.commands.clean import find

    return in_cache(case, lambda: repr(find(case / "runs", ("data", "runs", "cache"))))


KINDS = {
    "cache table": Kind(
        lambda folder: filled(folder, lambda f: make_manifest(f, "jsonl", True), "lines.jsonl"),
        lambda case, fixed: lines(case, fixed, "lines.jsonl"),
        4,
        (".table",),
    ),
    "cache page": Kind(
        lambda folder: filled(folder, lambda f: make_page(f, False), "page.xml"),
        lambda case, fixed: lines(case, fixed, "page.xml"),
        4,
        (".table", ".images"),
    ),
    "cache fonts": Kind(make_fonts, scan, 2, (".json",)),
    "ledger": Kind(make_ledger, clean, 2),
}
