"""Fonts to test with, made or copied where the test can change them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen

from ocrtrain.fonts.finding import bundled_folder


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep what a test remembers of fonts away from the user's cache."""
    monkeypatch.setenv("OCRTRAIN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def bundled(tmp_path: Path) -> Callable[..., list[str]]:
    """Copy fonts of matplotlib's wheel into a folder of their own, and name it."""

    def copy(*names: str, into: str = "fonts") -> list[str]:
        source = bundled_folder()
        assert source is not None
        (tmp_path / into).mkdir(parents=True, exist_ok=True)
        for name in names:
            shutil.copy(source / f"{name}.ttf", tmp_path / into)
        return [str(tmp_path / into)]

    return copy


Outline = tuple[int, int, int, int] | None


@pytest.fixture
def make_font(tmp_path: Path) -> Callable[..., Path]:
    """Make a font whose glyphs are rectangles (x0, y0, x1, y1 of 1000 units), or blank with None."""

    def make(
        glyphs: dict[str, Outline],
        names: dict[str, str] | None = None,
        family: str = "Made",
        notdef: Outline = (50, 0, 450, 700),
    ) -> Path:
        names = names or {}
        outlines: dict[str, Outline] = {".notdef": notdef}
        outlines |= {names.get(c, f"uni{ord(c):04X}"): box for c, box in glyphs.items()}
        builder = FontBuilder(1000, isTTF=True)
        builder.setupGlyphOrder(list(outlines))
        builder.setupCharacterMap({ord(c): names.get(c, f"uni{ord(c):04X}") for c in glyphs})
        builder.setupGlyf({name: _rectangle(box) for name, box in outlines.items()})
        builder.setupHorizontalMetrics({name: (500, 50) for name in outlines})
        builder.setupHorizontalHeader(ascent=800, descent=-200)
        builder.setupNameTable({"familyName": family, "styleName": "Regular"})
        builder.setupOS2()
        builder.setupPost()
        path = tmp_path / f"{family}.ttf"
        builder.save(path)
        return path

    return make


def _rectangle(box: Outline) -> object:
    pen = TTGlyphPen(None)
    if box is not None:
        x0, y0, x1, y1 = box
        pen.moveTo((x0, y0))
        for corner in ((x0, y1), (x1, y1), (x1, y0)):
            pen.lineTo(corner)
        pen.closePath()
    return pen.glyph()
