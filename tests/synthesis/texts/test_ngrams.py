"""A character model writes what its file has side by side, as often as it has it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import pytest

from ocrtrain.errors import InputError
from ocrtrain.synthesis.texts import NGrams
from ocrtrain.text import Charset

Drawer = Callable[..., list[str]]
Writer = Callable[..., str]


def grams(text: str, order: int) -> set[str]:
    return {text[i : i + order] for i in range(len(text) - order + 1)}


@pytest.mark.parametrize("order", [2, 3, 5])
def test_all_neighbours_are_neighbours_in_the_file(drawn: Drawer, write: Writer, order: int) -> None:
    lines = ["the cat sat on the mat", "a rat that ate the oats", "she sells sea shells"]
    source = NGrams(files=write("\n".join(lines)), order=order, min_length=3, max_length=30)
    texts = drawn(source, Charset.from_texts(lines))
    assert min(map(len, texts)) >= 3
    known = set[str]().union(*(grams(line, order) for line in lines))
    # A text that would be too short goes on after a space, as another line begins.
    known_starts = {line[:i] for line in lines for i in range(order)}
    for text in texts:
        for gram in grams(text, order) - known:
            head, _, tail = gram.rpartition(" ")
            assert head and tail in known_starts
    if order < 5:
        assert any(text not in "\n".join(lines) for text in texts)


def test_characters_follow_each_other_as_often_as_in_the_file(drawn: Drawer, write: Writer) -> None:
    source = NGrams(files=write("abababac" * 30), order=2, min_length=40, max_length=40)
    follow = Counter(b for text in drawn(source, Charset("abc "), 500) for a, b in pairwise(text) if a == "a")
    assert follow["c"] / follow.total() == pytest.approx(0.25, abs=0.02)


def test_order_one_knows_frequencies_only(drawn: Drawer, write: Writer) -> None:
    texts = drawn(NGrams(files=write("aaab"), order=1, min_length=5, max_length=9), Charset("ab "), 500)
    letters = Counter("".join(texts).replace(" ", ""))
    assert letters["a"] / letters.total() == pytest.approx(0.75, abs=0.03)


def test_orders_without_sense_are_refused() -> None:
    with pytest.raises(InputError, match="order=0"):
        NGrams(order=0)
