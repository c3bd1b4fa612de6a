"""A named alphabet has the letters of its language, and charsets are put together from names and files."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from ocrtrain.errors import InputError
from ocrtrain.text import Charset
from ocrtrain.text.alphabets import ALPHABETS, charset_of

# Sentences with every letter of their language, from each language's tradition.
PANGRAMS = {
    "english": "The quick brown fox jumps over the lazy dog.",
    "german": "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.",
    "french": "Portez ce vieux whisky au juge blond qui fume, dès Noël où un zéphyr haï me vêt de glaçons.",
    "spanish": "El pingüino hizo kilómetros bajo exhaustiva lluvia y frío, añoraba a su querido cachorro.",
    "czech": "Příliš žluťoučký kůň úpěl ďábelské ódy.",
    "slovak": "Kŕdeľ ďatľov učí koňa žrať kôru; vyžeň dážď.",
    "polish": "Pchnąć w tę łódź jeża lub ośm skrzyń fig.",
    "hungarian": "Árvíztűrő tükörfúrógép.",
    "turkish": "Pijamalı hasta yağız şoföre çabucak güvendi.",
    "danish": "Quizdeltagerne spiste jordbær med fløde, mens cirkusklovnen Walther spillede på xylofon.",
    "icelandic": "Kæmi ný öxi hér, ykist þjófum nú bæði víl og ádrepa.",
    "romanian": "Muzicologă în bej vând whisky și tequila, preț fix.",
    "greek": "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία.",
    "russian": "Съешь же ещё этих мягких французских булок, да выпей чаю.",
    "ukrainian": "Жебракують філософи при ґанку церкви в Гадячі, ще й шатро їхнє п’яне знаємо.",
    "hebrew": "דג סקרן שט בים מאוכזב ולפתע מצא לו חברה",
    "arabic": "نص حكيم له سر قاطع وذو شأن عظيم مكتوب على ثوب أخضر ومغلف بجلد أزرق",
    "thai": "เป็นมนุษย์สุดประเสริฐเลิศคุณค่า",
    "devanagari": "ऋषियों को सताने वाले दुष्ट राक्षसों के राजा रावण का सर्वनाश करने वाले",
}


@pytest.mark.parametrize("name", PANGRAMS)
def test_texts_of_a_language_can_be_written(name: str) -> None:
    assert Charset(list(ALPHABETS[name])).unknown(PANGRAMS[name]) == []
    if PANGRAMS[name].upper() != PANGRAMS[name]:
        assert Charset(list(ALPHABETS[name])).unknown(PANGRAMS[name].upper()) == []


@pytest.mark.parametrize("name", ALPHABETS)
def test_every_alphabet_is_a_charset_of_visible_symbols(name: str) -> None:
    charset = charset_of(name)
    assert "".join(charset.symbols) == ALPHABETS[name]
    for symbol in charset.symbols:
        assert unicodedata.category(symbol) not in ("Cc", "Cn", "Co")


def test_latin_has_all_the_others_written_in_latin() -> None:
    for name in ("english", "czech", "turkish", "icelandic"):
        assert set(ALPHABETS[name]) <= set(ALPHABETS["latin"])


def test_charsets_are_put_together(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("Cafe\u0301\nŒuvre\n", encoding="utf-8")
    assert charset_of("xyz").symbols == ("x", "y", "z")
    of_the_file = sorted(set("CaféŒuvre"))
    assert charset_of("@" + str(tmp_path / "text.txt")).symbols == tuple(of_the_file)
    together = charset_of(["digits", "0x", "@" + str(tmp_path / "text.txt")])
    assert together.symbols == (*"0123456789x", *of_the_file)
    assert charset_of(Charset("ab")) == Charset("ab")
    assert charset_of(["l", "a"]).symbols == ("l", "a")


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="not UTF-8"):
        charset_of(f"@{tmp_path / 'bytes.txt'}")
    with pytest.raises(InputError, match="No such file"):
        charset_of(f"@{tmp_path / 'none.txt'}")
    with pytest.raises(InputError, match="symbols twice"):
        charset_of("abca")


@pytest.mark.parametrize(("typed", "meant"), [("germann", "german"), ("frnch", "french"), ("Czech", "czech")])
def test_a_misspelt_alphabet_is_not_taken_for_characters(typed: str, meant: str) -> None:
    with pytest.raises(InputError, match=f"Did you mean {meant}[?]"):
        charset_of(typed)
    assert charset_of("abcdef").symbols == tuple("abcdef")
