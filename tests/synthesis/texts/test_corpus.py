"""Texts out of files are those of the files, at most broken between words or put together anew."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocrtrain.errors import InputError
from ocrtrain.synthesis.texts import Lines, Words
from ocrtrain.synthesis.texts.corpus import _broken
from ocrtrain.text import Charset
from ocrtrain.text.alphabets import charset_of

Drawer = Callable[..., list[str]]
Writer = Callable[..., str]


def test_lines_are_those_that_are_not_blank(drawn: Drawer, write: Writer) -> None:
    file = write("\ufeffcafe\u0301\r\n\n  a sentence,\t too \n\u3000\nlast")
    lines = Lines(files=file)
    texts = drawn(lines, Charset.from_texts(["café a sentence, too last"]))
    assert set(texts) == {"café", "a sentence, too", "last"}


def test_long_lines_are_broken_as_a_page_is(drawn: Drawer, write: Writer) -> None:
    text = "In a village of La Mancha the name of which I have no desire to call to mind"
    words = text.split()
    source = Lines(files=write(" ".join(words)), max_length=20)
    drawn(source, charset_of("english"))
    assert " ".join(source.texts) == " ".join(words)
    assert all(len(text) <= 20 for text in source.texts)
    assert all(
        len(text) + 1 + len(after.split()[0]) > 20
        for text, after in zip(source.texts, source.texts[1:], strict=False)
    )


@given(st.text("ab \u0915\u093f\u0301", max_size=40), st.integers(2, 10))
def test_breaking_keeps_all_letters_and_tears_no_mark_off(text: str, longest: int) -> None:
    text = " ".join(unicodedata.normalize("NFC", text).split())
    parts = _broken(text, longest)
    assert "".join(parts).replace(" ", "") == text.replace(" ", "")
    assert all(0 < len(part) <= longest and part == part.strip() for part in parts)
    if max((len(word) for word in text.split()), default=0) <= longest:
        assert " ".join(parts) == text


def test_words_come_as_often_as_they_do_in_the_file(drawn: Drawer, write: Writer) -> None:
    texts = drawn(Words(files=write("the the cat\nthe dog"), words=[2, 4]), Charset("thecadog "), 2000)
    lengths = Counter(len(text.split()) for text in texts)
    assert set(lengths) == {2, 3, 4} and min(lengths.values()) > 600
    words = Counter(word for text in texts for word in text.split())
    assert set(words) == {"the", "cat", "dog"}
    assert words["the"] / words.total() == pytest.approx(0.6, abs=0.02)


def test_texts_stay_below_their_length(drawn: Drawer, write: Writer) -> None:
    texts = drawn(Words(files=write("one three fifteen"), words=[9, 9], max_length=20), charset_of("english"))
    assert all(12 < len(text) <= 20 and set(text.split()) <= {"one", "three", "fifteen"} for text in texts)


def test_variants_have_their_shares_and_stay_in_the_charset(drawn: Drawer, write: Writer) -> None:
    file = write("straße ěščř lamp")
    source = Words(files=file, words=[3, 3], capitals_share=0.2, title_share=0.3, punctuation_share=0.3)
    texts = drawn(source, charset_of(["german", "ěščř"]), 2000)  # no capitals for the Czech letters
    possible = [text for text in texts if "ě" not in text]
    assert sum(text.isupper() for text in possible) / len(possible) == pytest.approx(0.2, abs=0.05)
    assert any("STRASSE" in text for text in possible) and not any("Ě" in text for text in texts)
    words = [word for text in texts for word in text.split() if "traße" in word]
    assert sum("Straße" in word for word in words) / len(words) == pytest.approx(0.3, abs=0.04)
    assert any(word == "„straße“" for word in words) and any(word.endswith(",") for word in words)
    plain = drawn(Words(files=file, words=[3, 3]), charset_of(["german", "ěščř"]))
    assert {word for text in plain for word in text.split()} == {"straße", "ěščř", "lamp"}


def test_folders_and_lists_of_files_are_read(drawn: Drawer, write: Writer, tmp_path: Path) -> None:
    write("b", "b.txt")
    write("not a text", "notes.md")
    other = write("a", "other.text")
    source = Lines(files=[str(tmp_path), other])
    assert set(drawn(source, Charset("ab"))) == {"a", "b"}
    assert source.identity() != Lines(files=other).identity()


@pytest.mark.parametrize(
    ("content", "message"), [(b"one\ntw\xff\n", "line 2 is not UTF-8"), (b"\n \n", "has no text")]
)
def test_files_without_texts_are_refused(write: Writer, content: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Lines(files=write(content)).symbols()


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        Lines(files=str(tmp_path / "none.txt")).symbols()
    with pytest.raises(InputError, match="no text file is named"):
        Words().symbols()
    with pytest.raises(InputError, match=r"has no \.txt file"):
        Words(files=str(tmp_path)).symbols()


def test_texts_outside_the_charset_are_named(write: Writer) -> None:
    file = write("abc\nnaïve\n")
    with pytest.raises(InputError, match=r"U\+00EF LATIN SMALL LETTER I WITH DIAERESIS\) in 'naïve'"):
        Lines(files=file).open(Charset("abcnve"))
    Lines(files=file).open(Charset("abcnveï"))
    with pytest.raises(InputError, match="lacks the space"):
        Words(files=file).open(Charset("abcnveï"))
    Words(files=file, words=[1, 1]).open(Charset("abcnveï"))
