"""What is passed over is what a closer look finds nothing in."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ocrtrain.data.checks.screening import printed_bytes, suspects, symbols_of
from ocrtrain.data.checks.texts import inspect
from ocrtrain.data.lines.strings import Strings
from ocrtrain.text import Charset, Writing, frames_needed
from ocrtrain.text.direction import runs_right_to_left
from ocrtrain.text.normalization import Normalization, is_normal
from ocrtrain.text.scripts import script_of

letters = st.sampled_from(list("aab  é\u0301e\t\u00a0\u3000\u2028\ufeff\x7fß\U0001f600ﬁаб(א"))
lines = st.lists(st.text(letters, min_size=1, max_size=8), min_size=1, max_size=20)


writings = st.sampled_from([Writing(), Writing("NFKC", "auto"), Writing("none", "rtl")])


@settings(max_examples=200, deadline=None)
@given(lines, st.integers(1, 12), writings)
def test_every_finding_is_suspected(texts: list[str], frames: int, writing: Writing) -> None:
    charset = Charset("abéаб( ", writing)
    widths = np.full(len(texts), frames, np.float32)

    def all_frames(aspects: Any) -> Any:
        return aspects.astype(np.int64)

    closer = suspects(texts, widths, charset, all_frames).tolist()
    for number, text in enumerate(texts):
        found = inspect([str(number)], [text], [float(frames)], charset, math.floor)
        if found.lines():
            assert number in closer, text


@settings(max_examples=100, deadline=None)
@given(lines, writings)
def test_symbols_are_those_that_the_texts_show(texts: list[str], writing: Writing) -> None:
    assert symbols_of(texts, writing) == set().union(*map(writing.shown, texts))


def is_suspect(text: str, width: float, charset: Charset) -> bool:
    """What `suspects` promises, of one line."""
    writing = charset.writing
    scripts = {script_of(character) for character in text} - {None}
    return (
        not set(text) <= set(charset.symbols)
        or bool(set(text) & set("\t\x7f\u2028\ufeff"))
        or " ".join(text.split()) != text.translate(dict.fromkeys(map(ord, "\u00a0\u3000"), " "))
        or not text
        or len(scripts) > 1
        or frames_needed([ord(character) for character in text]) > width
        or not is_normal(text, writing.normalization)
        or (writing.direction != "none" and runs_right_to_left(text))
        or writing.direction == "rtl"
    )


many = st.lists(st.text(letters, max_size=8), min_size=1, max_size=20)
charsets = st.sampled_from([" ab", " abé\u00a0\u3000ß\U0001f600", " aeбא(", " aé\u0301\ufeffﬁ"])
more_writings = st.sampled_from(
    [
        Writing(),
        Writing("NFC", "auto"),
        Writing("NFKC", "ltr"),
        Writing("none", "auto"),
        Writing("none", "rtl"),
    ]
)


@settings(max_examples=300, deadline=None)
@given(many, charsets, st.integers(1, 12), more_writings)
def test_no_other_line_is_suspected(texts: list[str], symbols: str, frames: int, writing: Writing) -> None:
    charset = Charset(list(dict.fromkeys(c for s in symbols if len(c := writing.normalize(s)) == 1)), writing)
    widths = np.full(len(texts), frames, np.float32)
    found = suspects(texts, widths, charset, lambda aspects: aspects.astype(np.int64)).tolist()
    assert found == [i for i, text in enumerate(texts) if is_suspect(text, frames, charset)]


# Letters and marks that compose, of several scripts: Latin, Bengali, Tamil, hangul, and a mark of no letter.
composing = st.sampled_from(list("aé\u0301\u0323\u09c7\u09be\u0b92\u0bd7\u1100\u1161\u11a8가\u0958Å"))


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.text(composing, max_size=5), min_size=1, max_size=6), st.sampled_from(["NFC", "NFKC", "none"])
)
def test_texts_that_compose_are_normalized_one_by_one(texts: list[str], form: Normalization) -> None:
    writing = Writing(form)
    symbols = symbols_of(texts, writing)
    assert symbols == set().union(*map(writing.shown, texts))
    charset = Charset(
        sorted({*symbols, "a"} & {s for s in symbols | {"a"} if writing.normalize(s) == s}), writing
    )
    found = suspects(texts, np.full(len(texts), 99, np.float32), charset, lambda a: a.astype(np.int64))
    assert all(i in found for i, text in enumerate(texts) if not is_normal(text, form))


def test_a_set_of_several_chunks_is_one() -> None:
    texts = ["ab a", "é", "b a b"] * 25_000 + ["z"]
    assert symbols_of(texts, Writing()) == set("ab éz")
    texts[70_000] += " "
    found = suspects(texts, np.full(75_001, 99, np.float32), Charset("ab é"), lambda a: a.astype(np.int64))
    assert found.tolist() == [70_000, 75_000]


def test_sound_lines_are_passed_over() -> None:
    texts = ["ab a", "é", "b a b"] * 5000
    found = suspects(texts, np.full(15000, 99, np.float32), Charset("ab é"), lambda a: a.astype(np.int64))
    assert found.tolist() == []
    texts[9000] = "a  b"
    found = suspects(texts, np.full(15000, 99, np.float32), Charset("ab é"), lambda a: a.astype(np.int64))
    assert found.tolist() == [9000]


def test_printed_bytes_are_found() -> None:
    texts = [r"b'\xc3\xa4'", "b'plain'", 'b"it\'s"', "b'", "b''", "bread's", "b'open", "ab'c'", "x", "b'a' b"]
    assert printed_bytes(texts).tolist() == [0, 1, 2, 4]
    assert printed_bytes(Strings.of(texts)).tolist() == [0, 1, 2, 4]
