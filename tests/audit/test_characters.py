"""What is told of the characters of a set."""

from __future__ import annotations

from ocrtrain.audit.characters import count_characters, families
from ocrtrain.text.scripts import mixed_words, script_of

CYRILLIC_A, GREEK_OMICRON = "\u0430", "\u03bf"


def test_characters_are_counted_and_named() -> None:
    counts = count_characters(["aab", "a\ue8bf"])
    assert [(c.character, c.count, c.lines) for c in counts] == [("a", 3, 2), ("b", 1, 1), ("\ue8bf", 1, 1)]
    assert counts[0].name == "LATIN SMALL LETTER A" and counts[0].script == "Latn"
    assert counts[2].name == "private use" and counts[2].odd == ("private use",)


def test_what_is_odd_about_characters() -> None:
    odd = {
        c.character: c.odd for c in count_characters(["a\u0364\u00a0\u200d\ufb01\x07\u2028 1\u00e9\u3000"])
    }
    assert odd["\u0364"] == ("combining mark",)
    assert odd["\u00a0"] == odd["\u200d"] == odd["\u2028"] == ("invisible",)
    assert odd["\ufb01"] == ("compatibility form",)
    assert odd["\x07"] == ("control",)
    assert odd["a"] == odd[" "] == odd["1"] == odd["\u00e9"] == ()


def test_letters_of_another_script_than_their_word() -> None:
    mixed = f"P{CYRILLIC_A}ris"
    assert mixed_words(f"In {mixed} und Москва, {GREEK_OMICRON}") == [mixed]
    odd = {c.character: c.odd for c in count_characters([mixed, "Москва"])}
    assert odd[CYRILLIC_A] == ("look-alike",) and odd["P"] == odd["М"] == ()


def test_scripts_that_are_written_together_are_no_mix() -> None:
    assert mixed_words("東京タワーへ 서울大學 na\u00efve 3мм 5\u00b5m") == []
    assert script_of("ー") is None and script_of("1") is None and script_of("\u0301") is None


def test_characters_that_look_much_alike_come_in_groups() -> None:
    counts = count_characters(["a-b \u2013 c\u00a0d", "\u201e\u201c", "x'"])
    groups = {name: [c.character for c in members] for name, members in families(counts)}
    assert groups == {
        "dashes": ["-", "\u2013"],
        "double quotes": ["\u201c", "\u201e"],
        "spaces": [" ", "\u00a0"],
    }
    assert [name for name, _ in families(count_characters(["12\u00b2"]))] == ["forms of '2'"]
