"""Milder rulers against jiwer on texts that are folded by other means."""

from __future__ import annotations

import re
import unicodedata

import jiwer
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jiwer.transforms import ReduceToListOfListOfChars

from ocrtrain.evaluation.variants import VARIANTS, judge_variants

CHARACTERS = ReduceToListOfListOfChars()
TEXTS = st.text("aAbBßſ.,-–!’ \t\u00a0é1", max_size=14)


def other_means(name: str, text: str) -> str:
    if name == "case_folded":
        return text.casefold()
    if name == "no_white_space":
        return re.sub(r"\s", "", text)
    kept = "".join(c for c in text if not unicodedata.category(c).startswith("P"))
    return re.sub(r"\s+", " ", kept).strip()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=5))
def test_each_is_what_jiwer_finds_in_folded_texts(pairs: list[tuple[str, str]]) -> None:
    for figures in judge_variants([truth for truth, _ in pairs], [read for _, read in pairs]):
        sides = [
            [other_means(figures.variant.name, text) for text in side] for side in zip(*pairs, strict=True)
        ]
        characters = jiwer.process_characters(*sides, CHARACTERS, CHARACTERS)
        assert figures.counts.cer == pytest.approx(characters.cer)
        assert figures.counts.line_accuracy == sum(a == b for a, b in zip(*sides, strict=True)) / len(pairs)
        if figures.variant.words:
            assert figures.counts.wer == pytest.approx(jiwer.wer(*sides))


def test_telling_examples() -> None:
    def folded(truth: str, read: str) -> dict[str, int]:
        return {f.variant.name: f.counts.edits for f in judge_variants([truth], [read])}

    assert folded("Der Weg", "der weg") == {"case_folded": 0, "no_punctuation": 2, "no_white_space": 2}
    assert folded("a - b.", "a b") == {"case_folded": 3, "no_punctuation": 0, "no_white_space": 2}
    assert folded("zu dem", "zudem") == {"case_folded": 1, "no_punctuation": 1, "no_white_space": 0}
    assert folded("5 €", "5") == {"case_folded": 2, "no_punctuation": 2, "no_white_space": 1}


def test_none_is_nameless_and_each_says_its_rule() -> None:
    assert len({variant.name for variant in VARIANTS}) == len(VARIANTS) == 3
    assert all(variant.rule for variant in VARIANTS)
