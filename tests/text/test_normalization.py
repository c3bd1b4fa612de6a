"""One form for every text."""

from __future__ import annotations

import pytest

from ocrtrain.errors import InputError
from ocrtrain.text import Charset, Writing, normalize
from ocrtrain.text.normalization import is_normal

LIGATURE, DECOMPOSED, PRIVATE = "\ufb01", "e\u0301", "\ue8bf\U000f1234"


def test_the_forms() -> None:
    text = LIGATURE + DECOMPOSED + PRIVATE
    assert normalize(text) == normalize(text, "NFC") == f"{LIGATURE}\u00e9{PRIVATE}"
    assert normalize(text, "NFKC") == f"fi\u00e9{PRIVATE}"
    assert normalize(text, "none") == text
    assert [is_normal(text, form) for form in ("NFC", "NFKC", "none")] == [False, False, True]


def test_a_charset_spells_as_it_is_told() -> None:
    texts = [LIGATURE + DECOMPOSED]
    assert Charset.from_texts(texts, Writing("NFKC")).symbols == ("f", "i", "\u00e9")
    assert Charset.from_texts(texts, Writing("none")).symbols == ("e", "\u0301", LIGATURE)
    charset = Charset.from_texts(texts, Writing("none"))
    assert charset.decode(charset.encode(DECOMPOSED)) == DECOMPOSED
    assert charset.unknown("\u00e9") == ["\u00e9"]


def test_single_symbols_are_not_changed_without_a_form() -> None:
    angstrom = "\u212b"  # NFC makes it the letter with a ring
    assert Charset([angstrom], Writing("none")).symbols == (angstrom,)
    assert Charset([angstrom]).symbols == ("\u00c5",)


@pytest.mark.parametrize(("settings", "named"), [(("NFD", "ltr"), "NFD"), (("NFC", "up"), "up")])
def test_other_words_are_refused(settings: tuple[str, str], named: str) -> None:
    with pytest.raises(InputError, match=f"={named}"):
        Writing(*settings)  # type: ignore[arg-type]
