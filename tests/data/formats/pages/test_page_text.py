"""The text of a PAGE line is its transcription, wherever in the line it stands, and no program's guess."""

from __future__ import annotations

import pytest

from ocrtrain.data.formats.pages.page_text import TextError, Transcriptions

etree = pytest.importorskip("lxml.etree")


def reading(text: str, **attributes: str) -> str:
    given = "".join(f' {name}="{value}"' for name, value in attributes.items())
    return f"<TextEquiv{given}><Unicode>{text}</Unicode></TextEquiv>"


def texts(*lines: str, creator: str = "") -> list[str | None]:
    """The text of each line of a file; of one that cannot be used, the reason in brackets."""
    nodes = [etree.fromstring(f"<TextLine xmlns='page'>{line}</TextLine>") for line in lines]
    rule = Transcriptions(nodes, creator)
    found: list[str | None] = []
    for node in nodes:
        try:
            found.append(rule.text_of(node))
        except TextError as error:
            found.append(f"[{error}]")
    return found


PREDICTED = "[only a prediction (TextEquiv with an index above 0), no transcription]"
BOTH = reading("truth", index="0") + reading("guess", index="1", conf="0.8")
GUESS = reading("guess", index="1", conf="0.61")


def test_where_a_file_numbers_the_truth_0_what_has_1_alone_is_a_prediction() -> None:
    assert texts(BOTH, GUESS, reading("plain")) == ["truth", PREDICTED, "plain"]
    assert texts(reading("guess", index="1"), BOTH) == [PREDICTED, "truth"]  # wherever the 0 is
    assert texts(reading("truth", index="0"), GUESS) == ["truth", PREDICTED]


def test_where_truth_has_no_number_what_has_one_and_a_confidence_is_a_prediction() -> None:
    assert texts(reading("plain"), GUESS) == ["plain", PREDICTED]
    assert texts(reading("plain"), reading("other", index="1")) == ["plain", "other"]
    assert texts(reading("plain") + GUESS) == ["plain"]


def test_where_all_are_numbered_from_1_the_least_is_the_best() -> None:
    worse = reading("worse", index="2", conf="0.5")
    assert texts(worse + GUESS, GUESS) == ["guess", "guess"]  # as OCR-D numbers alternatives
    assert texts(worse + GUESS, GUESS, creator="LAREX 1.2") == [PREDICTED, PREDICTED]
    assert texts(GUESS, creator="Calamari") == [PREDICTED]


def test_a_confidence_alone_makes_no_prediction() -> None:
    assert texts(reading("corrected", conf="0.7"), reading("plain")) == ["corrected", "plain"]
    assert texts(reading("guess", conf="0.7") + reading("truth", index="0")) == ["truth"]


def word(text: str) -> str:
    return f"<Word>{reading(text)}</Word>"


def test_words_and_glyphs() -> None:
    glyphs = "".join(f"<Glyph>{reading(c)}</Glyph>" for c in "fox")
    assert texts(word("quick") + word("brown") + f"<Word>{glyphs}</Word>") == ["quick brown fox"]
    assert texts(word("quick") + "<Word/>") == ["[line with words or glyphs that have no text]"]
    assert texts(word("old") + reading("line")) == ["line"]
    assert texts("") == [None]
    assert texts("<TextEquiv><PlainText>plain</PlainText></TextEquiv>") == ["plain"]
    assert texts(f"<Word>{GUESS}</Word>", BOTH) == [PREDICTED, "truth"]


def test_indentation_is_no_text() -> None:
    assert texts(reading("\n    The fox\n  "), reading(" outer "), reading("\n")) == [
        "The fox",
        " outer ",
        "",
    ]
    assert texts(reading("\r\n  a\tb \r\n")) == ["a\tb"]
    assert texts(reading("one\n  two")) == ["one\n  two"]  # which is told of as a text of several lines
    assert texts(reading("one<!-- or --> two"), reading("one<b/>two")) == [
        "one two",
        "[text holds other elements or entities]",
    ]
