"""Random strings are what a picture can show: in the charset, in NFC, nothing invisible at their ends."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocrtrain.errors import InputError
from ocrtrain.synthesis.hashed_random import HashedRandom
from ocrtrain.synthesis.texts import RandomStrings
from ocrtrain.text import Charset

Drawer = Callable[..., list[str]]


def test_lengths_and_symbols_are_equally_likely(drawn: Drawer) -> None:
    texts = drawn(RandomStrings(1.0, 3, 6), Charset("abcdé"), 8000)
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
    source = RandomStrings(1.0, length, length)
    source.open(charset)
    text = source.draw(HashedRandom(f"any:{number}", 1 + 2 * length))
    assert len(text) == length
    assert set(text) <= set(charset.symbols)
    assert unicodedata.is_normalized("NFC", text)
    assert text == text.strip()
    assert not any(a.isspace() and b.isspace() for a, b in pairwise(text))
    assert unicodedata.category(text[0]) not in ("Mn", "Mc")
    for before, symbol in pairwise(text):
        # A joiner is seen between letters that join, an Indian vowel sign on its own script's consonants.
        assert symbol != "\u200c" or before == "\u0628"
        assert symbol != "\u093f" or before == "\u0915"


def test_spaces_do_occur_inside(drawn: Drawer) -> None:
    assert any(" " in text for text in drawn(RandomStrings(), Charset("ab ")))


def test_a_source_may_have_an_alphabet_of_its_own(drawn: Drawer) -> None:
    texts = drawn(RandomStrings(alphabet=["digits", "-"]), Charset("abc-0123456789"))
    assert set("".join(texts)) == set("0123456789-")
    with pytest.raises(InputError, match=r"the charset lacks '0'"):
        RandomStrings(alphabet="digits").open(Charset("abc"))


def test_charsets_that_show_nothing_are_refused() -> None:
    with pytest.raises(InputError, match="only spaces"):
        RandomStrings().open(Charset(" \u0301"))
    with pytest.raises(InputError, match=r"\[min_length,max_length\]=\[4, 3\]: must be two numbers"):
        RandomStrings(1.0, 4, 3)
