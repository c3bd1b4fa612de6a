"""Complex scripts are found out, shaped in full, or refused with the reason."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from fontTools.feaLib.builder import addOpenTypeFeaturesFromString
from fontTools.ttLib import TTFont
from PIL import features

from ocrtrain.errors import InputError
from ocrtrain.fonts.finding import bundled_folder
from ocrtrain.fonts.shaping import covers_text, is_complex, is_invisible, needs_shaping, require_shaping
from ocrtrain.synthesis import build_generator
from ocrtrain.synthesis.texts import Lines
from ocrtrain.text import Charset
from ocrtrain.text.alphabets import ALPHABETS

FontMaker = Callable[..., Path]
DEJAVU = f"{bundled_folder()}/DejaVuSans.ttf"


def test_scripts_that_need_shaping_are_known() -> None:
    needing = {name for name, symbols in ALPHABETS.items() if needs_shaping(Charset(list(symbols)))}
    assert needing == {"hebrew", "arabic", "persian", "devanagari", "thai"}
    # Invisible characters alone do not: they are left out of the picture.
    assert not needs_shaping(Charset("abc\u200c\u00ad\ufe0f"))
    assert all(map(is_complex, "\u0301ا\u05d0\u0e34\u094d\u1820\u1100\u0600"))


def test_invisible_is_what_unicode_calls_ignorable() -> None:
    assert all(
        map(is_invisible, "\u00ad\u034f\u200b\u200c\u200d\u200e\u202b\u2060\u2066\ufe00\ufe0f\U000e0100")
    )
    assert not any(map(is_invisible, "a \u00a0\u0301\u0600\u06dd\u3000"))


def test_without_libraqm_the_scripts_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "check", lambda feature: False)
    require_shaping(Charset("abcé"))
    with pytest.raises(
        InputError, match=r"\(Arabic, Devanagari\), and Pillow has no libraqm here.*\n.*fribidi"
    ):
        require_shaping(Charset("abاक\u093f"))
    with pytest.raises(InputError, match=r"synthesis\.vertical: columns need libraqm"):
        require_shaping(Charset("abc"), "ttb")


def test_it_is_not_imported_for_simple_scripts() -> None:
    code = (
        "import sys; from ocrtrain.synthesis import build_generator as G; G(fonts=['bundled']).line(0, 0, 0);"
        "sys.exit('uharfbuzz' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_font_covers_what_it_has_glyphs_for_after_shaping() -> None:
    assert covers_text(DEJAVU, 0, "سلام \u0644\u0627 ab\u200cc x\u0301")
    assert not covers_text(DEJAVU, 0, "क")
    assert not covers_text(DEJAVU, 0, "中")


def test_glyphs_that_shaping_puts_in_their_place_must_exist(make_font: FontMaker) -> None:
    """A ligature that leads to .notdef is no coverage, although both letters are in the font's map."""
    font = make_font({"a": (60, 0, 200, 700), "b": (60, 0, 300, 500), "c": (60, 0, 300, 400)})
    assert covers_text(str(font), 0, "abc")
    tables = TTFont(font)
    addOpenTypeFeaturesFromString(tables, "feature liga { sub uni0061 uni0062 by .notdef; } liga;")
    broken = font.with_name("broken.ttf")
    tables.save(broken)
    assert covers_text(str(broken), 0, "acb ba")
    assert not covers_text(str(broken), 0, "c ab")


def test_marks_without_a_letter_are_not_covered(make_font: FontMaker) -> None:
    """HarfBuzz puts them on a dotted circle, which no label has."""
    shapes = {"\u0915": (60, 0, 300, 500), "\u093f": (60, 0, 100, 700), "\u25cc": (60, 0, 400, 600)}
    font = str(make_font(shapes, family="Deva"))
    assert covers_text(font, 0, "\u0915\u093f")
    assert not covers_text(font, 0, "\u093f")
    assert not covers_text(font, 0, "\u0915\u093f\u093f\u093f\u0915 \u093f")


@pytest.mark.skipif(not features.check("raqm"), reason="Pillow without libraqm here")
def test_texts_that_no_font_covers_once_shaped_are_drawn_never_and_announced(
    make_font: FontMaker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shapes = {"\u0915": (60, 0, 300, 500), "\u093f": (60, 0, 100, 700), "\u25cc": (60, 0, 400, 600)}
    font = make_font(shapes, family="Deva")
    (tmp_path / "lines.txt").write_text("\u0915\u093f\n\u093f\u0915\n", encoding="utf-8")
    source = Lines(1, str(tmp_path / "lines.txt"))
    with caplog.at_level("WARNING"):
        generator = build_generator(charset=None, texts={"lines": source}, fonts=[str(font)])
    assert "of 200 texts have what no font has glyphs for once it is shaped" in caplog.text
    assert {generator.text(0, 0, i) for i in range(50)} == {"\u0915\u093f"}
    assert generator.line(0, 0, 0).text == "\u0915\u093f"
    (tmp_path / "lines.txt").write_text("\u093f\u0915\n", encoding="utf-8")
    nothing = build_generator(
        charset=None, texts={"lines": Lines(1, str(tmp_path / "lines.txt"))}, fonts=[str(font)]
    )
    with pytest.raises(InputError, match="none has glyphs for what shaping makes of"):
        nothing.text(0, 0, 0)
