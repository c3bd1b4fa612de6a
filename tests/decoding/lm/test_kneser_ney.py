"""Smoothing against an example worked by hand, and against the formulas written out over strings."""

from __future__ import annotations

import math
import random
from collections import Counter
from functools import cache
from itertools import chain

import numpy as np
import pytest

from ocrtrain.decoding.lm.kneser_ney import build_language_model, count_ngrams, estimate_discounts
from ocrtrain.decoding.lm.language_model import LanguageModel
from ocrtrain.errors import InputError


def model_of(text: str, order: int) -> LanguageModel:
    return build_language_model(lambda: [text], order)


def conditional(model: LanguageModel, history: str, last: str) -> float:
    """P(last | history), "\\n" being the end of the line."""
    if last == "\n":
        return math.exp(model.log_prob(history) - model.log_prob(history, ends=False))
    return math.exp(model.log_prob(history + last, ends=False) - model.log_prob(history, ends=False))


def test_an_example_worked_by_hand() -> None:
    # Lines ab, ab, a. Too few counts of counts to estimate discounts: 0.5, 1 and 1.5.
    # Single characters count what comes before them: a 1 (the begin), b 1 (a), end 2 (b, a), 4 in all.
    # Their discounts leave (0.5 + 0.5 + 1) / 4 to be shared by a, b, end and the unknown, 0.125 each:
    # P(a) = 0.5 / 4 + 0.125 = P(b) = 0.25, P(end) = 1 / 4 + 0.125 = 0.375.
    model = model_of("ab\nab\na\n", 2)
    # After a: b twice, end once. (2 - 1) / 3, (1 - 0.5) / 3, and 1.5 / 3 for what is left.
    assert conditional(model, "a", "b") == pytest.approx(1 / 3 + 0.5 * 0.25)
    assert conditional(model, "a", "\n") == pytest.approx(0.5 / 3 + 0.5 * 0.375)
    assert conditional(model, "a", "a") == pytest.approx(0.5 * 0.25)
    # A line begins with a three times: (3 - 1.5) / 3 + 1.5 / 3 * 0.25.
    assert conditional(model, "", "a") == pytest.approx(0.625)
    assert model.log_prob("ab") == pytest.approx(
        math.log(0.625 * (1 / 3 + 0.125) * (0.5 + 0.5 * 0.375)), rel=1e-6
    )


def by_the_formulas(lines: list[str], order: int):  # type: ignore[no-untyped-def]
    """P(last | history) after Chen and Goodman, over tuples of symbols; slow, and without any packing."""
    rows = [["<s>", *line, "</s>"] for line in lines if line]
    occur: list[Counter[tuple[str, ...]]] = [Counter() for _ in range(order + 1)]
    for row in rows:
        for n in range(1, order + 1):
            for end in range(max(n, 2), len(row) + 1):
                if end - n >= 0:
                    occur[n][tuple(row[end - n : end])] += 1
    adjusted: list[Counter[tuple[str, ...]]] = [Counter() for _ in range(order + 1)]
    adjusted[order] = occur[order]
    for n in range(1, order):
        for gram in occur[n]:
            before = sum(1 for longer in occur[n + 1] if longer[1:] == gram)
            adjusted[n][gram] = occur[n][gram] if gram[0] == "<s>" else before
    # Lines shorter than the order have n-grams that begin a line at every length.
    discounts = [
        estimate_discounts(np.array(list(counts.values()))) if counts else None for counts in adjusted
    ]
    vocabulary = [*sorted(set(chain.from_iterable(rows)) - {"<s>"}), "<unk>"]

    @cache
    def probability(history: tuple[str, ...], last: str) -> float:
        n = len(history) + 1
        counts = {gram[-1]: count for gram, count in adjusted[n].items() if gram[:-1] == history}
        shorter = probability(history[1:], last) if history else 1 / len(vocabulary)
        if not counts:
            return shorter
        taken = {symbol: discounts[n][min(count, 3)] for symbol, count in counts.items()}
        own = (counts[last] - taken[last]) / sum(counts.values()) if last in counts else 0.0
        return own + sum(taken.values()) / sum(counts.values()) * shorter

    return probability, vocabulary


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_smoothing_is_what_the_formulas_say(order: int) -> None:
    draws = random.Random(order)
    lines = ["".join(draws.choices("abc d", [5, 3, 1, 2, 1], k=draws.randint(1, 14))) for _ in range(60)]
    probability, vocabulary = by_the_formulas(lines, order)
    model = model_of("\n".join(lines), order)
    for history in ["", "a", "ab", "abc", "bb a", "cc", "d", "aaaaab", "ccccc", lines[0], lines[1][:3]]:
        context = ("<s>", *history)[-(order - 1) :] if order > 1 else ()
        for last in vocabulary:
            if last == "<unk>":
                continue
            found = conditional(model, history, "\n" if last == "</s>" else last)
            assert found == pytest.approx(probability(context, last), rel=1e-5), (history, last)


def test_probabilities_of_what_may_follow_sum_to_one() -> None:
    text = "der die das\nund es war einmal\nda war ein mann\nder hatte drei söhne\n" * 3
    model = model_of(text, 4)
    unknown = math.exp(float(model.levels[0].log_prob[0]))
    for history in ["", "d", "der", "ein m", "xyz", "und es war einmal da"]:
        known = sum(conditional(model, history, c) for c in [*model.symbols[3:], "\n"])
        rest = 1.0 - known
        assert 0 < rest <= unknown * (1 + 1e-4)  # the unknown has what is left, weighed by each backing off


def test_blocks_do_not_matter_and_empty_lines_are_none() -> None:
    one = count_ngrams(lambda: ["ab\n\n\nba\nabba\n"], 3)
    other = count_ngrams(lambda: ["ab\n", "\nba\n", "abba"], 3)
    assert one.symbols == other.symbols
    np.testing.assert_array_equal(one.keys, other.keys)
    np.testing.assert_array_equal(one.counts, other.counts)
    assert one.counts.sum() == len("ab|ba|abba|")


def test_more_text_makes_text_like_it_more_probable() -> None:
    model = model_of("der mann\nder hund\ndie frau\n" * 20, 5)
    assert model.log_prob("der") > model.log_prob("red")
    assert model.log_prob("der hund") > model.log_prob("dre hund")


def test_discounts_are_those_of_chen_and_goodman() -> None:
    counts = np.repeat([1, 2, 3, 4, 5], [100, 40, 20, 10, 7])
    y = 100 / 180
    expected = [0, 1 - 2 * y * 40 / 100, 2 - 3 * y * 20 / 40, 3 - 4 * y * 10 / 20]
    np.testing.assert_allclose(estimate_discounts(counts), expected)
    np.testing.assert_allclose(estimate_discounts(np.array([1, 1, 2])), [0, 0.5, 1, 1.5])


@pytest.mark.parametrize(
    ("text", "order", "message"),
    [
        ("", 3, "no characters"),
        ("\n\n", 3, "no characters"),
        ("ab", 0, "order=0"),
        ("abc", 40, "orders 1 to 21"),
    ],
)
def test_what_cannot_be_built_is_said(text: str, order: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        model_of(text, order)
