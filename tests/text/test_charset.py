"""The charset: symbols to class indices and back."""

from __future__ import annotations

import pickle
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocrtrain.errors import InputError
from ocrtrain.text import Charset, UnknownCharacters


def test_indices_start_after_the_blank():
    charset = Charset("abc")
    assert charset.encode("cab") == [3, 1, 2]
    assert len(charset) == 4
    assert Charset.blank == 0


@given(st.text(min_size=1, alphabet=st.characters(exclude_categories=["Cs"])))
def test_what_is_encoded_is_decoded_as_its_nfc(text):
    charset = Charset.from_texts([text])
    assert charset.decode(charset.encode(text)) == unicodedata.normalize("NFC", text)


def test_space_is_a_symbol_and_symbols_are_sorted():
    assert Charset.from_texts(["b a", "a"]).symbols == (" ", "a", "b")


def test_a_decomposed_letter_is_its_composed_symbol():
    assert Charset("é").encode("e\u0301") == [1]


def test_unknown_characters_are_named_with_code_points():
    with pytest.raises(UnknownCharacters, match=r"U\+017F LATIN SMALL LETTER LONG S") as caught:
        Charset("abc").encode("aſbſ")
    assert caught.value.characters == ("ſ",)
    assert pickle.loads(pickle.dumps(caught.value)).characters == ("ſ",)


def test_neighbours_in_a_list_of_symbols_do_not_merge():
    charset = Charset.from_texts(["az x\u0301"])
    assert charset.symbols == (" ", "a", "x", "z", "\u0301")
    assert charset.decode(charset.encode("zx\u0301")) == "zx\u0301"
    with pytest.raises(InputError, match="not one code point"):
        Charset(["ab"])


def test_a_symbol_twice_is_an_error_even_in_two_spellings():
    with pytest.raises(InputError, match="twice"):
        Charset(["é", "e\u0301"])


def test_an_empty_charset_is_an_error():
    with pytest.raises(InputError, match="empty"):
        Charset("")
