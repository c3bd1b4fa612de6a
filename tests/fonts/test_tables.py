"""Font files are opened without a word about what does not matter."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fontTools.ttLib import TTFont
from fontTools.ttLib.tables.DefaultTable import DefaultTable

from ocrtrain.fonts.tables import open_tables


def test_bytes_behind_the_names_of_glyphs_are_not_spoken_of(
    make_font: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    path = make_font({"a": (0, 0, 400, 500)}, names={"a": "first.one"})
    with TTFont(path) as font:
        longer = DefaultTable("post")
        longer.data = font.getTableData("post") + b"\0\0\0"
        font["post"] = longer
        font.save(path.with_suffix(".otf"))
    with open_tables(str(path.with_suffix(".otf")), 0) as font:
        assert font["post"].formatType == 2.0
        assert font.getBestCmap() == {ord("a"): "first.one"}
    assert caplog.records == []
