"""Made-up text uses all of an alphabet, in lines as long as asked for, in one script each."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable

import pytest

from ocrtrain.errors import InputError
from ocrtrain.fonts.shaping import script_of
from ocrtrain.synthesis.texts import MadeUp
from ocrtrain.text import Charset
from ocrtrain.text.alphabets import ALPHABETS, charset_of

Drawer = Callable[..., list[str]]


@pytest.mark.parametrize("alphabet", [name for name in ALPHABETS if name != "digits"])
def test_every_alphabet_gives_text(drawn: Drawer, alphabet: str) -> None:
    texts = drawn(MadeUp(min_length=5, max_length=60), charset_of(alphabet), 300)
    assert all(unicodedata.is_normalized("NFC", text) and text == text.strip() for text in texts)
    assert len(set(texts)) > 290
    seen = set("".join(texts))
    small = {c for c in ALPHABETS[alphabet] if unicodedata.category(c) in ("Ll", "Lo") and c not in "ªº"}
    assert len(seen & small) >= 0.9 * len(small)
    assert " " in seen or " " not in ALPHABETS[alphabet] or alphabet == "thai"


def test_lines_look_like_print(drawn: Drawer) -> None:
    texts = drawn(MadeUp(min_length=10, max_length=70), charset_of("english"), 1000)
    assert sum(map(len, texts)) / len(texts) == pytest.approx(40, abs=4)
    words = [word for text in texts for word in text.split()]
    assert 4 < sum(map(len, words)) / len(words) < 8
    kinds = Counter(unicodedata.category(c) for text in texts for c in text)
    total = kinds.total()
    assert 0.65 < kinds["Ll"] / total < 0.85
    assert 0.02 < kinds["Lu"] / total < 0.12
    assert 0.005 < kinds["Nd"] / total < 0.06
    assert {"Po", "Ps", "Pe", "Pi", "Pf", "Pd"} <= kinds.keys()


def test_scripts_do_not_mix(drawn: Drawer) -> None:
    charset = charset_of(["english", "greek", "russian"])
    scripts = [{script_of(c) for c in text if c.isalpha()} for text in drawn(MadeUp(), charset, 300)]
    assert max(map(len, scripts)) == 1
    assert set().union(*scripts) == {"LATIN", "GREEK", "CYRILLIC"}


def test_without_space_or_small_letters_there_are_texts_too(drawn: Drawer) -> None:
    assert drawn(MadeUp(), Charset("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    assert drawn(MadeUp(), charset_of("letters"))


def test_too_few_letters_are_refused() -> None:
    with pytest.raises(InputError, match="too few letters"):
        MadeUp().open(charset_of("digits"))
