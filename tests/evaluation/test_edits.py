"""Edit counts against jiwer 4, and where jiwer says nothing."""

from __future__ import annotations

import random
import unicodedata

import jiwer
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jiwer.transforms import ReduceToListOfListOfChars

from ocrtrain.evaluation import EditCounts, count_edits, edit_table
from ocrtrain.evaluation.edits import BLOCK, exact_table

# jiwer strips the ends of a line before it counts characters; its other default, nothing else, is ours.
CHARACTERS = ReduceToListOfListOfChars()
ALPHABET = "abc\u017fß äé\u0301\u0308\u00a0\t\u3000漢ع𝄞-"
TEXTS = st.text(ALPHABET, max_size=12) | st.text(max_size=8)


def check_against_jiwer(references: list[str], predictions: list[str]) -> None:
    references = [unicodedata.normalize("NFC", text) for text in references]
    predictions = [unicodedata.normalize("NFC", text) for text in predictions]
    counts = count_edits(references, predictions)
    characters = jiwer.process_characters(references, predictions, CHARACTERS, CHARACTERS)
    assert counts.cer == pytest.approx(characters.cer)
    assert (counts.substitutions, counts.deletions, counts.insertions) == (
        characters.substitutions,
        characters.deletions,
        characters.insertions,
    )
    assert counts.characters == characters.hits + characters.substitutions + characters.deletions
    words = jiwer.process_words(references, predictions)
    assert counts.wer == pytest.approx(words.wer)
    assert counts.words == words.hits + words.substitutions + words.deletions
    assert counts.word_edits == words.substitutions + words.deletions + words.insertions


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=6))
def test_any_texts(pairs: list[tuple[str, str]]) -> None:
    check_against_jiwer([truth for truth, _ in pairs], [read for _, read in pairs])


@pytest.mark.parametrize(
    ("truth", "read"),
    [
        ("", ""),
        ("", "abc"),
        ("abc", ""),
        ("abc", "abc"),
        ("the quick fox", "teh quikc fox "),
        ("a  b", " a b"),
        ("a\tb c", "a b c"),
        ("a\u00a0b", "a b"),
        ("Wei\u017fe Straße", "Weise Strasse"),
        ("naïve", "nai\u0308ve"),
        ("q\u0301\u0323x", "q\u0323\u0301x"),
        ("بسم الله", "بسم اله"),
        ("日本語 です", "日木語です"),
        ("𝄞𝄢", "𝄢𝄞"),
        ("x" * 300 + "y", "y" + "x" * 300),
    ],
)
def test_telling_pairs(truth: str, read: str) -> None:
    check_against_jiwer([truth], [read])


def test_a_corpus_of_more_than_one_block() -> None:
    rng = random.Random(0)
    truths = ["".join(rng.choices("abc de", k=rng.randint(0, 30))) for _ in range(BLOCK + 100)]
    reads = ["".join(rng.choice("abc de") if rng.random() < 0.3 else c for c in truth) for truth in truths]
    reads = [read[rng.randint(0, 2) :] for read in reads]
    check_against_jiwer(truths, reads)
    assert edit_table(truths, reads).shape == (BLOCK + 100, 8)


def test_a_hand_counted_corpus() -> None:
    counts = count_edits(["kitten", "ab cd", "same", ""], ["sitting", "abcd", "same", "x"])
    # kitten -> sitting: k/s, e/i, +g; "ab cd" -> "abcd": the space; "" -> "x": one more.
    assert counts == EditCounts(
        substitutions=2,
        deletions=1,
        insertions=2,
        characters=15,
        word_edits=4,
        words=4,
        exact_lines=1,
        lines=4,
    )
    assert (counts.edits, counts.cer, counts.wer, counts.line_accuracy) == (5, 5 / 15, 1.0, 0.25)


def test_empty_truths_are_defined() -> None:
    assert count_edits([""], [""]).cer == count_edits([""], [""]).wer == 0
    assert (count_edits([""], ["abc"]).cer, count_edits([""], ["a b"]).wer) == (3, 2)
    assert count_edits([], []) == EditCounts()
    assert (EditCounts().cer, EditCounts().wer, EditCounts().line_accuracy) == (0, 0, 0)


def test_both_sides_are_composed_and_nothing_is_stripped_or_folded() -> None:
    assert count_edits(["e\u0301"], ["é"]).exact_lines == 1
    assert count_edits([" a"], ["a"]).edits == 1
    assert count_edits(["A"], ["a"]).edits == 1
    assert count_edits(["\u017f"], ["s"]).edits == 1
    assert count_edits(["ﬁ"], ["fi"]).edits == 2


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=8), st.integers(0, 8))
def test_parts_add_up_to_the_whole(pairs: list[tuple[str, str]], cut: int) -> None:
    truths, reads = [truth for truth, _ in pairs], [read for _, read in pairs]
    whole = count_edits(truths, reads)
    assert count_edits(truths[:cut], reads[:cut]) + count_edits(truths[cut:], reads[cut:]) == whole
    assert EditCounts.from_list(whole.to_list()) == whole
    assert EditCounts.from_list([float(count) for count in whole.to_list()]) == whole
    assert sum((EditCounts.from_list(row) for row in edit_table(truths, reads)), EditCounts()) == whole


@settings(max_examples=50, deadline=None)
@given(st.lists(TEXTS, max_size=6))
def test_what_is_read_exactly_need_not_be_compared(texts: list[str]) -> None:
    assert (exact_table(texts) == edit_table(texts, texts)).all()


def test_unequal_lists_are_refused() -> None:
    with pytest.raises(ValueError, match="2 references, but 1 predictions"):
        count_edits(["a", "b"], ["a"])
