"""Texts are what a picture can show: in the charset, in NFC, nothing invisible at their ends."""

from __future__ import annotations

import unicodedata
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocrtrain.errors import InputError
from ocrtrain.synthesis.draws import Draws
from ocrtrain.synthesis.text import RandomStrings, Words, check_charset
from ocrtrain.text import Charset


def strings(symbols: str, shortest: int, longest: int, count: int) -> list[str]:
    source = RandomStrings(Charset(symbols), shortest, longest)
    return [source.draw(Draws(f"test:{i}", 1 + 2 * longest)) for i in range(count)]


def test_lengths_and_symbols_are_equally_likely() -> None:
    texts = strings("abcdé", 3, 6, 8000)
    lengths = Counter(map(len, texts))
    assert set(lengths) == {3, 4, 5, 6} and min(lengths.values()) > 1800
    symbols = Counter("".join(texts))
    assert set(symbols) == set("abcdé") and max(symbols.values()) < 1.06 * min(symbols.values())


# Marks and late letters first, so that the charset's own normalization has nothing to put together.
SYMBOLS = "\u0323\u0301\u0e34\u093f\u11a8\u1161\u1100\u0e01\u0915\u200c\u0628abé \u00a0"


@given(
    st.sets(st.sampled_from(SYMBOLS)),
    st.integers(0, 10**6),
    st.integers(1, 8),
)
def test_strings_show_all_they_say(symbols: set[str], number: int, length: int) -> None:
    charset = Charset([*sorted(symbols, key=SYMBOLS.index), "x"])
    text = RandomStrings(charset, length, length).draw(Draws(f"any:{number}", 1 + 2 * length))
    assert len(text) == length
    assert set(text) <= set(charset.symbols)
    assert unicodedata.is_normalized("NFC", text)
    assert text == text.strip()
    assert not any(a.isspace() and b.isspace() for a, b in pairwise(text))
    assert unicodedata.category(text[0]) not in ("Mn", "Mc")


def test_spaces_do_occur_inside() -> None:
    assert any(" " in text for text in strings("ab ", 3, 10, 50))


def test_charsets_that_show_nothing_are_refused() -> None:
    with pytest.raises(InputError, match="nothing but spaces"):
        RandomStrings(Charset(" \u0301"), 3, 10)
    with pytest.raises(InputError, match=r"U\+0009"):
        check_charset(Charset("ab\t"))


def test_words_are_the_lines_that_are_not_blank(tmp_path: Path) -> None:
    file = tmp_path / "words.txt"
    file.write_bytes("\ufeffcafe\u0301\r\n\n  a sentence, too \n\u3000\nlast".encode())
    words = Words(file)
    assert words.texts == ("café", "a sentence, too", "last")
    assert {words.draw(Draws(f"w:{i}", 1)) for i in range(50)} == set(words.texts)


@pytest.mark.parametrize(
    ("content", "message"), [(b"one\ntw\xff\n", "line 2 is not UTF-8"), (b"\n \n", "has no text")]
)
def test_files_without_words_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "words.txt"
    file.write_bytes(content)
    with pytest.raises(InputError, match=message):
        Words(file)
    with pytest.raises(InputError, match="No such file"):
        Words(tmp_path / "none.txt")


def test_words_outside_the_charset_are_named(tmp_path: Path) -> None:
    file = tmp_path / "words.txt"
    file.write_text("abc\nnaïve\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"U\+00EF LATIN SMALL LETTER I WITH DIAERESIS\) in 'naïve'"):
        Words(file).check(Charset("abcnve"))
    Words(file).check(Charset("abcnveï"))
