"""Parts of the lines: nothing is lost or counted twice."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocrtrain.evaluation import EditCounts, count_edits, edit_table
from ocrtrain.evaluation.breakdown import MOST_GROUPS, break_down, break_down_all, folders
from ocrtrain.evaluation.character_classes import character_class, line_script

TEXTS = st.text("aB1. \u0621\u05d0\u4e00é", max_size=12)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(TEXTS, TEXTS, st.floats(0, 60)), min_size=1, max_size=12))
def test_the_groups_of_each_kind_add_up(lines: list[tuple[str, str, float]]) -> None:
    truths, reads, aspects = map(list, zip(*lines, strict=True))
    table = edit_table(truths, reads)
    labels = {"script": [line_script(truth) for truth in truths]}
    every = break_down_all(labels, table, aspects)
    assert every.keys() == {"script", "length", "width"}
    for groups in every.values():
        assert sum((group.counts for group in groups), EditCounts()) == count_edits(truths, reads)
        assert len({group.name for group in groups}) == len(groups)


def test_lines_fall_where_the_names_say() -> None:
    truths = ["", "a", "abcde", "abcdef", "a" * 160, "a" * 161]
    groups = break_down_all({}, edit_table(truths, truths), [0.5, 2, 4.9, 5, 40, 100])
    assert [(group.name, group.counts.lines) for group in groups["length"]] == [
        ("below 1", 1), ("1", 1), ("2 to 5", 1), ("6 to 10", 1), ("81 to 160", 1), ("161 and more", 1)
    ]  # fmt: skip
    assert [(group.name, group.counts.lines) for group in groups["width"]] == [
        ("0 to 2", 1), ("2 to 5", 2), ("5 to 10", 1), ("40 and more", 2)
    ]  # fmt: skip


def test_many_groups_are_cut_to_the_largest() -> None:
    labels = [f"page {i}" for i in range(50) for _ in range(50 - i)]
    table = edit_table(["a"] * len(labels), ["b"] * len(labels))
    groups = break_down(labels, table)
    assert len(groups) == MOST_GROUPS and groups[0].name == "page 0" and groups[-1].name == "(31 others)"
    assert sum(group.counts.lines for group in groups) == len(labels)
    assert np.isfinite([group.interval for group in groups]).all()


def test_folders_of_lines() -> None:
    assert folders(["a/b/c.png", "d.png", "a/e.png"]) == ["a/b", ".", "a"]


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("Weg 12.", "Latin"),
        ("12.", "no letters"),
        ("", "no letters"),
        ("نص", "Arabic"),
        ("Weg и мир", "Cyrillic + Latin"),
        ("e\u0301", "Latin"),
        ("日本語です", "Han + Hiragana"),
    ],
)
def test_scripts(text: str, script: str) -> None:
    assert line_script(text) == script


def test_classes_of_characters() -> None:
    classes = [character_class(c) for c in "Aaا5.€ \u0301\t\u200d²"]
    assert classes == [
        "upper case", "lower case", "other letters", "digits", "punctuation", "symbols",
        "spaces", "marks", "spaces", "others", "digits",
    ]  # fmt: skip
