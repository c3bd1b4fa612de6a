"""A font covers what it draws: not its .notdef, not blanks, not other characters than it says."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ocrtrain.fonts.coverage import FontScan

FontMaker = Callable[..., Path]
A, B, C = (60, 0, 200, 700), (60, 0, 300, 500), (60, 100, 400, 600)


def drawn(path: Path, characters: str, shaping: bool = False) -> set[str]:
    with FontScan(shaping) as scan:
        return {c for face in scan.faces(path) for c in scan.drawn(face, frozenset(characters))}


def test_missing_boxed_and_blank_glyphs_are_not_covered(make_font: FontMaker) -> None:
    font = make_font({"a": A, "b": (50, 0, 450, 700), "c": None, "d": B, " ": None})
    assert drawn(font, "abcde ") == {"a", "d", " "}


def test_one_picture_for_both_cases_covers_neither(make_font: FontMaker) -> None:
    assert drawn(make_font({"x": A, "X": A, "y": B, "Y": C, "1": B}), "xXyY1") == {"y", "Y", "1"}


def test_one_picture_for_everything_covers_nothing(make_font: FontMaker) -> None:
    assert drawn(make_font(dict.fromkeys("ABCabcg123", A)), "ABC123") == set()


def test_glyphs_named_for_other_characters_are_not_covered(make_font: FontMaker) -> None:
    font = make_font({"a": A, "1": B, "<": C, "À": B}, {"<": "exclamdown", "À": "AE"})
    assert drawn(font, "a1<À") == {"a", "1"}
    symbols = make_font({"a": A, "b": B, "1": C}, {"b": "lozenge"}, family="Symbols")
    assert drawn(symbols, "ab1") == set()


def test_real_symbol_fonts_are_seen_through(bundled: Callable[..., list[str]]) -> None:
    (folder,) = bundled("cmsy10", "cmex10", "cmmi10", "cmr10", "cmti10", "LastResortHE-Regular", "DejaVuSans")
    ascii_ = "".join(map(chr, range(33, 127)))
    assert drawn(Path(folder, "cmsy10.ttf"), ascii_) == set()
    assert drawn(Path(folder, "cmex10.ttf"), ascii_) == set()
    assert drawn(Path(folder, "cmmi10.ttf"), ascii_) == set()
    assert drawn(Path(folder, "LastResortHE-Regular.ttf"), ascii_ + "éжب中") == set()
    assert drawn(Path(folder, "DejaVuSans.ttf"), ascii_ + "中") == set(ascii_)
    # TeX's text encoding is ASCII but for these; its italic has a pound sign in the dollar's place.
    others = set("\"'<>\\^_`{|}~")
    assert set(ascii_) - drawn(Path(folder, "cmr10.ttf"), ascii_) == others
    assert set(ascii_) - drawn(Path(folder, "cmti10.ttf"), ascii_) == others | {"$"}


def test_letters_that_join_need_their_joined_forms(bundled: Callable[..., list[str]]) -> None:
    pytest.importorskip("PIL").features.check("raqm") or pytest.skip("Pillow without libraqm here")
    (folder,) = bundled("DejaVuSans", "DejaVuSerif")
    assert drawn(Path(folder, "DejaVuSans.ttf"), "بحا", shaping=True) == set("بحا")
    assert drawn(Path(folder, "DejaVuSerif.ttf"), "بحا", shaping=True) == set()


def test_broken_files_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "broken.ttf").write_bytes(b"\0\1\0\0 not a font")
    with FontScan(False) as scan:
        assert scan.faces(tmp_path / "broken.ttf") == []
        assert scan.faces(tmp_path / "none.ttf") == []


def test_findings_are_remembered_until_the_file_changes(make_font: FontMaker, own_cache: Path) -> None:
    font = make_font({"a": A, "b": B})
    assert drawn(font, "ab") == {"a", "b"}
    (memory,) = own_cache.iterdir()
    before = memory.stat().st_mtime_ns
    assert drawn(font, "ab") == {"a", "b"}
    assert memory.stat().st_mtime_ns == before
    assert drawn(font, "abc") == {"a", "b"}
    assert memory.stat().st_mtime_ns > before

    old = font.stat()
    make_font({"a": A, "b": None})
    os.utime(font, ns=(old.st_atime_ns, old.st_mtime_ns + 1))
    assert drawn(font, "ab") == {"a"}


@pytest.mark.parametrize("content", [b"", b"{", b'{"rules": 0}', b'{"rules": 1}', b"[]", b"\xff"])
def test_a_damaged_memory_is_made_anew(make_font: FontMaker, own_cache: Path, content: bytes) -> None:
    font = make_font({"a": A})
    drawn(font, "a")
    (memory,) = own_cache.iterdir()
    memory.write_bytes(content)
    assert drawn(font, "a") == {"a"}
    assert len(memory.read_bytes()) > 50


@pytest.mark.parametrize(
    ("was", "became"),
    [('"drawn": "a"', '"drawn": ""'), ('"drawn": "a"', '"drawn": true'), ('"tested"', '"asked"'), ("[", "{")],
)
def test_what_was_changed_in_the_memory_is_found_anew(
    make_font: FontMaker, own_cache: Path, was: str, became: str
) -> None:
    font = make_font({"a": A})
    drawn(font, "a")
    (memory,) = own_cache.iterdir()
    whole = memory.read_text()
    memory.write_text(whole.replace(was, became))
    assert memory.read_text() != whole
    assert drawn(font, "a") == {"a"}
    assert memory.read_text() == whole


def test_without_a_place_to_remember_all_the_same(
    make_font: FontMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("OCRTRAIN_CACHE", str(tmp_path / "file" / "cache"))
    assert drawn(make_font({"a": A}), "ab") == {"a"}


def test_what_is_invisible_needs_no_glyph(make_font: FontMaker) -> None:
    font = make_font({"a": A, "b": B})
    invisible = "\u200c\u200d\u200e\ufe0f\u00ad\u034f\U000e0100"
    assert drawn(font, "a" + invisible) == {"a", *invisible}
    # Arabic's number sign is of the same category, but has a picture.
    assert drawn(font, "a\u0600") == {"a"}
