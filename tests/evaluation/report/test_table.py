"""The table that `evaluate` prints."""

from __future__ import annotations

import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st

from ocrtrain.decoding import Transcript
from ocrtrain.evaluation import Prediction, evaluate_lines, format_table
from ocrtrain.evaluation.report.table import columns, side_by_side


def table(*pairs: tuple[str, str], width: int = 100) -> str:
    sources = [f"lines/{i}.png" for i in range(len(pairs))]
    transcripts = [Transcript(read, 0.25, ()) for _, read in pairs]
    return format_table(evaluate_lines(sources, [truth for truth, _ in pairs], transcripts), width)


def test_a_whole_table() -> None:
    assert (
        table(("der alte Weg", "der altc eg"), ("gut", "gut"), ("ja", "ja!"))
        == """\
                  rate   95% interval
CER             17.65%   0.00% to 50.00%        3 edits in 17 characters
WER             60.00%   0.00% to 100.00%       3 in 5 words
exact lines     33.33%   0.00% to 100.00%       1 of 3
edits         1 wrong, 1 missing, 1 extra
spaces        100.00% of 2 found, 100.00% of 2 read are right
milder CER    17.65% without case, 11.76% without punctuation, 20.00% without spaces
confused      nothing > ! 1x,  W > nothing 1x,  e > c 1x
confidence    mean 25.00%, calibration error 8.33%, by chance 19.95%

The worst lines, 2 of 2 with errors (beneath the texts: ^ wrong, - missing, + extra):

 1. lines/0.png
    2 edits in 12 characters, confidence 25.00%
    truth  der alte Weg
    read   der altc ·eg
                  ^ -

 2. lines/2.png
    1 edit in 2 characters, confidence 25.00%
    truth  ja·
    read   ja!
             +"""
    )


def test_without_errors_there_are_no_worst_lines() -> None:
    assert "worst" not in table(("gut", "gut"))


def test_five_worst_lines_of_many() -> None:
    text = table(*[("abc", "abd")] * 30)
    assert "5 of 30 with errors" in text and text.count("truth  ") == 5


def test_groups_show_where_there_are_several() -> None:
    sources = ["a/1.png", "a/2.png", "b/1.png"]
    readings = [Prediction("xy"), Prediction("xy"), Prediction("xz")]
    text = format_table(evaluate_lines(sources, ["xy", "xy", "\u0430\u0431"], readings))
    assert "by source     a 0.00% (2), b 100.00% (1)" in text
    assert "by script     Latin 0.00% (2), Cyrillic 100.00% (1)" in text
    assert "confidence" not in text


def test_wide_and_combining_characters_stay_aligned() -> None:
    truth, read, marks = side_by_side("日本語x", "日木語y", 40)
    assert (truth, read, marks) == ("truth  日本語x", "read   日木語y", "         ^^  ^")
    truth, read, marks = side_by_side("q\u0323ab", "q\u0323xb", 40)
    assert columns(truth) == columns(read) == 10 and marks == "        ^"


def test_long_lines_are_folded_and_very_long_ones_cut() -> None:
    rows = list(side_by_side("abcdefgh" * 3, "abcdefgX" * 3, 7 + 10))
    assert rows == [
        "truth  abcdefghab", "read   abcdefgXab", "              ^",
        "truth  cdefghabcd", "read   cdefgXabcd", "            ^",
        "truth  efgh", "read   efgX", "          ^",
    ]  # fmt: skip
    assert list(side_by_side("a" * 100, "a" * 100, 17))[-1] == "(and 6 more rows of this line)"


def test_text_from_right_to_left_is_shown_as_it_stands() -> None:
    assert list(side_by_side("بسم الله", "بسم اله", 60)) == ["truth  بسم الله", "read   بسم اله"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=60), st.text(max_size=60)), min_size=1, max_size=4))
def test_any_text_prints_without_control_codes_within_the_width(pairs: list[tuple[str, str]]) -> None:
    text = table(*pairs, width=100)
    text.encode("utf-8")
    for row in text.split("\n"):
        assert not any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in row)
        assert columns(row) <= 100
