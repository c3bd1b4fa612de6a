"""What the texts hold, found before training."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from ocrtrain.data.checks.texts import CHARACTERS_SHOWN, Findings, conflicts, inspect, slips
from ocrtrain.text import Charset, Writing, frames_needed

CHARSET = Charset(" abcde\u00e9")


def inspected(texts: Sequence[str], frames: int = 100, charset: Charset = CHARSET) -> Findings:
    names = [f"{i}.png" for i in range(len(texts))]
    return inspect(names, texts, [1.0] * len(texts), charset, lambda width: int(frames * width))


def test_clean_texts_give_nothing_to_tell() -> None:
    findings = inspected(["abc", "a b", "\u00e9"])
    assert findings.lines() == [] and findings.leave_out == [] and findings.total == 3


def test_unknown_characters_are_counted_by_line_with_examples() -> None:
    findings = inspected(["a\u017fa\u017f", "abc", "\u017f", "x\u017f", "\u017f", "ee"])
    assert findings.unknown_lines == findings.leave_out == [0, 2, 3, 4]
    assert findings.lines() == [
        "not in the charset: '\u017f' (U+017F LATIN SMALL LETTER LONG S) in 4 lines: "
        "0.png, 2.png, 3.png and 1 more",
        "not in the charset: 'x' (U+0078 LATIN SMALL LETTER X) in 1 line: 3.png",
    ]


def test_a_foreign_script_does_not_fill_the_screen() -> None:
    findings = inspected(["".join(chr(0x4E00 + i) for i in range(50))])
    assert len(findings.unknown) == 50
    assert len(findings.lines()) == CHARACTERS_SHOWN + 1
    assert findings.lines()[-1] == "not in the charset: 30 more characters"


def test_repeats_need_a_frame_more() -> None:
    findings = inspected(["abc", "aab", "abcd", "aaa"], frames=3)
    assert findings.too_long_lines == findings.leave_out == [1, 2, 3]
    assert findings.lines() == [
        "text too long for the image's frames in 3 lines: "
        "1.png (needs 4, has 3), 2.png (needs 4, has 3), 3.png (needs 5, has 3)"
    ]


def test_every_line_has_the_frames_of_its_own_width() -> None:
    findings = inspect(["a", "b"], ["abcd", "abcd"], [4.0, 3.9], CHARSET, int)
    assert findings.too_long_lines == [1]


def test_slips_are_told_but_kept() -> None:
    findings = inspected(
        [" a", "a ", "a  b", "e\u0301", "a\tb", "a\ufffd", "a\u00a0"],
        charset=Charset(" ab\u00e9\t\ufffd\u00a0"),
    )
    assert findings.lines() == [
        "leading or trailing space in 3 lines: 0.png, 1.png, 6.png",
        "two or more spaces in a row in 1 line: 2.png",
        "control or replacement character in 2 lines: 4.png, 5.png",
        "text not in NFC (brought to it when read) in 1 line: 3.png",
    ]
    assert findings.leave_out == []


@given(st.lists(st.text("abc e\u0301\u00e9x"), max_size=30), st.integers(0, 12))
def test_agrees_with_the_definitions(texts: list[str], frames: int) -> None:
    findings = inspected(texts, frames)
    composed = [unicodedata.normalize("NFC", text) for text in texts]
    needed = [frames_needed([ord(c) for c in text]) for text in composed]
    assert findings.unknown_lines == [i for i, text in enumerate(composed) if CHARSET.unknown(text)]
    assert findings.too_long_lines == [i for i, need in enumerate(needed) if need > frames]
    assert findings.not_normal.count == sum(text != nfc for text, nfc in zip(texts, composed, strict=True))
    assert set(findings.unknown) == set("".join(composed)) - set(CHARSET.symbols)
    assert findings.leave_out == sorted(set(findings.unknown_lines) | set(findings.too_long_lines))


def test_words_of_two_scripts_are_named() -> None:
    word = "b\u0430d"  # its second letter is Cyrillic
    findings = inspected([f"a {word}", "abc"], charset=Charset(" abcd\u0430"))
    assert findings.lines() == [f"word with letters of two scripts in 1 line: 0.png ({word})"]
    assert findings.leave_out == []


def test_orders_that_an_image_cannot_tell_are_named() -> None:
    charset = Charset("\u05d0ab12 ", Writing("NFC", "rtl"))
    findings = inspected(["\u05d0 ab 12", "\u05d0 12 ab", "\u05d0 12"], charset=charset)
    assert findings.ambiguous.examples == ["1.png"]


def test_equal_files_with_different_texts_are_found(tmp_path: Path) -> None:
    for name, content in (("a", b"1234"), ("b", b"1234"), ("c", b"1234"), ("d", b"4321"), ("e", b"12345")):
        (tmp_path / name).write_bytes(content)
    names = ["a", "b", "c", "d", "e", "gone"]
    texts = ["\u00e9", "e\u0301", "x", "y", "z", "\u00e9"]
    found = conflicts(str(tmp_path), names, texts, [2.0] * 6)
    assert (found.count, found.examples) == (1, ["a and c"])
    assert conflicts(str(tmp_path), names, texts, [float(i) for i in range(6)]).count == 0


def test_printed_bytes_are_a_doubt() -> None:
    writing = Writing("NFC", "none")
    for text in (r"b'\xc3\xa4'", "b'plain'", 'b"it\'s"'):
        assert "printed_bytes" in slips(text, text, writing)
    for text in ("b'open", "bread's", "it's b'"):
        assert "printed_bytes" not in slips(text, text, writing)
