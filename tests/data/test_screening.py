"""What is passed over is what a closer look finds nothing in."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ocrtrain.data.inspection import inspect
from ocrtrain.data.screening import suspects, symbols_of
from ocrtrain.text import Charset, Writing

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


def test_sound_lines_are_passed_over() -> None:
    texts = ["ab a", "é", "b a b"] * 5000
    found = suspects(texts, np.full(15000, 99, np.float32), Charset("ab é"), lambda a: a.astype(np.int64))
    assert found.tolist() == []
    texts[9000] = "a  b"
    found = suspects(texts, np.full(15000, 99, np.float32), Charset("ab é"), lambda a: a.astype(np.int64))
    assert found.tolist() == [9000]
