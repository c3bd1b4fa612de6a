"""JSON from people's files: whatever is wrong with it is said, and never ends in another error."""

from __future__ import annotations

import json
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest

from ocrtrain.json_text import DEEPEST, LONGEST_INTEGER, JsonError, parse_json, parse_json_file


def nested(levels: int, opening: str = "[", closing: str = "]", inside: str = "") -> str:
    return opening * levels + inside + closing * levels


@pytest.mark.parametrize(
    "text",
    [
        "0",
        "-12",
        "1.5e-3",
        '"a"',
        "null",
        "[]",
        '{"a": [1, {"b": true}]}',
        '"\\ud800"',
        "[" + "[]," * 500 + "[]]",
    ],
)
def test_json_is_what_python_makes_of_it(text: str) -> None:
    assert parse_json(text) == parse_json(text.encode()) == json.loads(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is not JSON: Expecting value, at character 1"),
        ("[1,]", "at character"),
        ('{"a" 1}', "is not JSON"),
        ('"a\nb"', "is not JSON"),
        (nested(100_000), "is nested more than 100 levels deep"),
        (nested(100_000, '{"a":', "}", "1"), "is nested more than 100 levels deep"),
        (nested(DEEPEST + 1), "is nested more than 100 levels deep"),
        ("[" * 100_000, "is nested more than 100 levels deep"),
        ("9" * 5000, "has an integer of 5,000 digits"),
        ('{"a": [-' + "9" * 5000 + "]}", "has an integer of 5,000 digits"),
        ("1" * (LONGEST_INTEGER + 1), "has an integer of 301 digits"),
        (b'"\xff"', "is not UTF-8"),
    ],
    ids=range(12),
)
def test_what_is_wrong_is_said(text: str | bytes, reason: str) -> None:
    with pytest.raises(JsonError, match=reason):
        parse_json(text)


def test_what_is_accepted_can_be_used() -> None:
    deepest = parse_json(nested(DEEPEST, inside="7"))
    assert repr(deepest) == nested(DEEPEST, inside="7")
    assert float(parse_json("9" * LONGEST_INTEGER)) > 1e299
    assert float(parse_json("-" + "9" * (LONGEST_INTEGER - 1))) < -1e298


def test_a_byte_order_mark_is_none_of_the_value(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'\xef\xbb\xbf{"a": "\xc3\xa4"}\n')
    assert parse_json_file(tmp_path / "a.json") == {"a": "ä"}


def test_pairs_are_seen_as_they_were_written() -> None:
    seen: list[list[tuple[str, Any]]] = []

    def look(pairs: list[tuple[str, Any]]) -> Any:
        seen.append(pairs)
        return OrderedDict(pairs)

    assert parse_json('{"a": 1, "a": 2}', look) == {"a": 2}
    assert seen == [[("a", 1), ("a", 2)]]
