"""Strings packed into bytes behave as a list of them does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ocrtrain.data.lines.strings import Strings
from ocrtrain.data.lines.table import LineTable, load

lists = st.lists(st.text(st.sampled_from("ab ä𝔘\ud800"), max_size=5), max_size=30)


@settings(max_examples=100, deadline=None)
@given(lists, st.data())
def test_some_of_the_strings(strings: list[str], data: st.DataObject) -> None:
    kept = data.draw(st.lists(st.booleans(), min_size=len(strings), max_size=len(strings)))
    some = Strings.of(strings).select(np.array(kept, np.bool_))
    assert list(some) == [string for string, keep in zip(strings, kept, strict=True) if keep]


@settings(max_examples=100, deadline=None)
@given(lists)
def test_equal_strings_have_equal_hashes_and_others_have_not(strings: list[str]) -> None:
    hashes = Strings.of(strings).hashes().tolist()
    assert len(set(zip(strings, hashes, strict=True))) == len(set(strings)) == len(set(hashes))


def test_a_table_from_a_file_is_the_same(tmp_path: Path) -> None:
    """A file that is mapped cannot be written to, which compiled code has to bear."""
    names = Strings.of(f"{number % 9000}.png" for number in range(20_000))
    table = LineTable(names, names, np.ones(20_000, np.float32))
    table.save(tmp_path / "a.table")
    again = load(tmp_path / "a.table")
    assert np.array_equal(again.names.hashes(), names.hashes())
    assert len(np.unique(names.hashes())) == 9000
    kept = np.arange(20_000) % 7 == 3
    assert list(again.select(kept).texts) == list(names)[3::7]
