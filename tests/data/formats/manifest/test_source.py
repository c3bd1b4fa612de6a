"""Manifests, with what spreadsheets, scripts and accidents put into them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ocrtrain.data.formats import Columns, open_lines
from ocrtrain.data.formats.manifest.reading import read_rows
from ocrtrain.data.images.image import MAX_ASPECT
from ocrtrain.data.lines.rejections import text_fault
from ocrtrain.errors import InputError


@pytest.fixture
def lines(make: SimpleNamespace, tmp_path: Path) -> Path:
    for number in range(6):
        (tmp_path / f"{number}.png").write_bytes(make.picture(number))
    return tmp_path


def test_tsv_has_no_quotes_but_those_of_spreadsheets(lines: Path) -> None:
    rows = ['0.png\t"Hallo" sagte er', '1.png\t"Hallo"', '2.png\t"say ""hi"""', '3.png\t"a', "4.png\t'"]
    (lines / "a.tsv").write_text("image\ttext\n" + "\n".join(rows) + "\n")
    assert list(open_lines(lines / "a.tsv").originals) == [
        '"Hallo" sagte er',
        '"Hallo"',
        'say "hi"',
        '"a',
        "'",
    ]
    (lines / "b.tsv").write_text('"image"\t"text"\n"0.png"\t"Hallo"\n')
    assert list(open_lines(lines / "b.tsv").originals) == ["Hallo"]


@pytest.mark.parametrize("mark", ["\ufeff", ""])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("comma", [",", ";", "\t"])
def test_dialects(lines: Path, mark: str, end: str, comma: str) -> None:
    rows = [f"text{comma}file_name", f'"a ""b""{comma}"{comma}0.png', f" x {comma}1.png", "", ""]
    for suffix in ("csv",) if comma != "\t" else ("csv", "tsv"):
        if suffix == "tsv":
            rows[1] = '"a ""b"""\t0.png'
        (lines / f"a.{suffix}").write_bytes((mark + end.join(rows)).encode())
        expected = ['a "b"' + (comma if suffix == "csv" else ""), " x "]
        assert list(open_lines(lines / f"a.{suffix}").originals) == expected


def test_rows_that_cannot_be_used_are_named(lines: Path) -> None:
    rows: list[object] = [
        {"file_name": "0.png", "text": "good"},
        {"file_name": "1.png", "text": 12.50},
        {"file_name": "2.png"},
        {"file_name": "missing.png", "text": "x"},
        {"file_name": "3.png", "text": "one\ntwo"},
        {"file_name": "4.png", "text": " "},
        {"file_name": "0.png", "text": "good"},
        {"file_name": "0.png", "text": "other"},
        {"file_name": "5.png", "text": "nul \0"},
        ["0.png", "list"],
        {"file_name": "", "text": "no name"},
    ]
    content = "\n".join(json.dumps(row) for row in rows).encode()
    content += (
        b'\n{"file_name": "5.png", "text": "a", "text": "b"}\n{"file_name": "5.png", "text": "\xe4"}\n{'
    )
    (lines / "a.jsonl").write_bytes(content)
    source = open_lines(lines / "a.jsonl")
    assert list(source.originals) == ["good", "good"]
    assert source.skipped == {
        "no string under 'text'": ["a.jsonl line 2", "a.jsonl line 3"],
        "does not exist": ["missing.png"],
        "text of several lines": ["3.png (a.jsonl line 5)"],
        "empty text": ["4.png (a.jsonl line 6)"],
        "image listed again with another text": ["0.png"],
        "text has NUL bytes (UTF-16?)": ["5.png (a.jsonl line 9)"],
        "row is not a JSON object": ["a.jsonl line 10"],
        "row without an image's name": [" (a.jsonl line 11)"],
        "key 'text' occurs twice": ["a.jsonl line 12"],
        "text is not UTF-8": ["5.png (a.jsonl line 13)"],
        "row is not JSON": ["a.jsonl line 14"],
    }


def test_columns_that_do_not_match_are_named(lines: Path) -> None:
    (lines / "a.tsv").write_bytes(b"image\ttext\n0.png\tgood\n1.png\ttoo\tmany\n2.png\n\n3.png\t\xff\n")
    source = open_lines(lines / "a.tsv")
    assert list(source.originals) == ["good"]
    assert source.skipped == {
        "row has not as many columns as the header (2)": ["a.tsv line 3", "a.tsv line 4"],
        "empty row": ["a.tsv line 5"],
        "text is not UTF-8": ["3.png (a.tsv line 6)"],
    }


def test_what_is_no_manifest_is_refused(lines: Path) -> None:
    for name, content, why in [
        ("a.csv", "image,text\n0.png,tä\n".encode("utf-16"), "is not a text file in UTF-8"),
        ("b.csv", b"image\0,text\n", "is not a text file in UTF-8"),
        ("c.csv", b'image,text\n0.png,"open\n', r"is not CSV: unexpected end of data \(line 2\)"),
        ("d.csv", b"", "has no column that is known as image"),
        ("e.jsonl", b"[1]\n", "is not a file of JSON objects"),
        ("f.jsonl", b"", "has no line that can be used"),
    ]:
        (lines / name).write_bytes(content)
        with pytest.raises(InputError, match=why) as caught:
            open_lines(lines / name)
        assert name in str(caught.value)


def test_sizes_that_a_manifest_tells_are_believed(lines: Path) -> None:
    rows = ["image\ttext\twidth\theight", "gone.png\tx\t80\t10", "1.png\ty\t\t", "2.png\tz\t0\t10"]
    (lines / "a.tsv").write_text("\n".join(rows))
    source = open_lines(lines / "a.tsv")
    assert source.widths(0).tolist() == pytest.approx([8.0, 3.1, 3.2]) and source.skipped == {}
    with pytest.raises(InputError, match=r"gone\.png: does not exist"):
        source.line(0, 0)


def test_what_is_mended_is_seen_though_the_manifest_is_the_same(lines: Path, make: SimpleNamespace) -> None:
    (lines / "a.tsv").write_text("image\ttext\n0.png\ta\nnew.png\tb\n")
    assert open_lines(lines / "a.tsv").skipped == {"does not exist": ["new.png"]}
    (lines / "new.png").write_bytes(make.picture(0))
    assert list(open_lines(lines / "a.tsv").originals) == ["a", "b"]


def test_many_rows_keep_their_order(lines: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ocrtrain.data.formats.manifest.text_blocks._BLOCK", 1000)
    texts = [f"text {number} {'ä' * (number % 3)}" for number in range(500)]
    rows = [f"{number % 6}.png/{number}\t{text}\t20\t10" for number, text in enumerate(texts)]
    (lines / "a.tsv").write_text("image\ttext\twidth\theight\n" + "\n".join(rows))
    assert list(open_lines(lines / "a.tsv").originals) == texts
    keys = [{"image": f"{n}.png", "text": t, "width": 20, "height": 10} for n, t in enumerate(texts)]
    (lines / "a.jsonl").write_text("\n".join(json.dumps(row) for row in keys) + "\n")
    assert list(open_lines(lines / "a.jsonl").originals) == texts


odd = st.sampled_from([*'a "\\\t\r\x00\x7f\x85\u2028\u3000äſ字𝔘\ue000', "\ud800", "\\n", "\\u00e4", '""'])
pieces = st.lists(st.sampled_from(["a.png", "ein Wort", "größe", "x"]) | odd, max_size=3).map("".join)
numbers = st.sampled_from(
    ["30", "10", "2.5", "", "0", "1e3", "-4", " 7", "030", "7.", "nan", "123456789012345"]
)
good = st.tuples(st.sampled_from(["a.png", "b ä.png"]), st.sampled_from(["one", "zwei ſ 𝔘 ", " x"]), numbers)
blocks = st.sampled_from([10, 40, 2**20])  # rows are read some at a time, and all at once

Row = tuple[str, str, float]


def row(name: object, text: object, width: object, height: object) -> Row | None:
    """Say what a row means; None if it cannot be used."""
    if not isinstance(name, str) or not isinstance(text, str) or not name or re.search("[\0\n]", name):
        return None
    if text_fault(text) or re.search("[\ud800-\udfff]", name + text):
        return None
    try:
        w, h = float(width), float(height)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return name, text, -1
    told = w >= 1 and h >= 1 and w / h <= MAX_ASPECT
    return name, text, float(np.float32(w / h)) if told else -1


def seen(
    content: bytes, suffix: str, block: int = 2**20, columns: Columns | None = None
) -> tuple[list[Row], list[int]]:
    """Read a manifest: its rows, and the numbers of the lines that are named as wrong."""
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr("ocrtrain.data.formats.manifest.text_blocks._BLOCK", block)
        (Path(folder) / f"a.{suffix}").write_bytes(content)
        table = read_rows(str(Path(folder) / f"a.{suffix}"), columns or Columns())
    wrong = [re.search(r"line (\d+)\)?$", where) for found in table.skipped.values() for where in found]
    aspects = np.nan_to_num(table.aspects, nan=-1).tolist()
    rows = list(zip(table.names, table.texts, aspects, strict=True))
    return rows, sorted(int(found[1]) for found in wrong if found)


def expected(lines: list[str], rows: list[Row | None], first: int) -> tuple[list[Row], list[int]]:
    """Tell the rows that can be used, and the lines that cannot; empty ones at the end do not count."""
    while lines and not lines[-1].strip():
        del lines[-1], rows[-1]
    return [r for r in rows if r], [number for number, r in enumerate(rows, first) if not r]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(good | st.tuples(pieces, pieces, numbers), max_size=6),
    st.sampled_from(["\n", "\r\n", "\n\n"]),
    blocks,
)
def test_each_row_of_a_table_is_read_or_named(rows: list[tuple[str, ...]], end: str, block: int) -> None:
    text = end.join(["image\ttext\twidth\theight", *("\t".join([*row, "10"]) for row in rows)])
    content = text.encode(errors="surrogatepass")
    assume(b"\0" not in content[:4096])
    lines = [line.removesuffix("\r") for line in content.decode(errors="surrogateescape").split("\n")][1:]

    def fields(line: str) -> list[str]:
        doubled = re.compile(r'"(?:[^"]|"")*?""(?:[^"]|"")*"', re.DOTALL)  # as spreadsheets write quotes
        return [f[1:-1].replace('""', '"') if doubled.fullmatch(f) else f for f in line.split("\t")]

    means = [row(*fields(line)) if line.count("\t") == 3 else None for line in lines]
    assert seen(content, "tsv", block) == expected(lines, means, 2)


values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | pieces,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(pieces, inner, max_size=3),
    max_leaves=6,
)
sizes = st.sampled_from([30, 2.5, None, 0, -4, 1e3, 1e-3, "30", "x", True, 10**20, [7]])
objects = st.fixed_dictionaries(
    {"image": good.map(lambda row: row[0]) | pieces, "text": good.map(lambda row: row[1]) | pieces | values},
    optional={"width": sizes, "height": sizes, "more": values, "text ": values},
)


@settings(max_examples=300, deadline=None)
@given(st.lists(objects, min_size=1, max_size=5), st.booleans(), blocks, st.data())
def test_each_object_is_read_or_named(
    rows: list[dict[str, Any]], escape: bool, block: int, data: st.DataObject
) -> None:
    text = "\n".join(json.dumps(row, ensure_ascii=escape) for row in rows)
    if data.draw(st.booleans()):  # one accident
        place = data.draw(st.integers(0, len(text) - 1))
        text = text[:place] + data.draw(st.sampled_from('"\\,:{}[]0 \n\tn')) + text[place + 1 :]
    content = (text + "\n").encode(errors="surrogatepass")
    lines = content.decode(errors="surrogateescape").split("\n")[:-1]

    def parsed(line: str) -> Any:
        try:
            return json.loads(line)
        except ValueError:
            return None

    found = [parsed(line) for line in lines]
    assume(isinstance(found[0], dict) and {"image", "text"} <= set(found[0]))  # it tells the columns
    keys = ("image", "text", "width", "height")
    means = [row(*map(value.get, keys)) if isinstance(value, dict) else None for value in found]
    assert seen(content, "jsonl", block, Columns("image", "text")) == expected(lines, means, 1)


def test_what_is_usual_is_read(tmp_path: Path) -> None:
    rows = ["a.png\tone\t30\t10", "b ä.png\tzwei ſ 𝔘\ue000\t30.5\t10", "c.png\t a\u00a0b \t\t"]
    text = "\n".join(["\ufefffile_name\ttext\twidth\theight", *rows])
    found = [("a.png", "one", 3.0), ("b ä.png", "zwei ſ 𝔘\ue000", float(np.float32(3.05)))]
    assert seen(text.replace("\n", "\r\n").encode(), "tsv") == (
        [*found, ("c.png", " a\u00a0b ", -1)],
        [],
    )
    assert seen(b"other\ttext\timage\n\tone\ta.png\n", "tsv") == ([("a.png", "one", -1)], [])
    assert seen(b"image\ttext\ra.png\tone\r", "tsv") == ([("a.png", "one", -1)], [])
    values = [
        {"text": 'say "\u00e4\U0001d518" \\ / ', "image": "a.png", "width": 30, "height": None},
        {
            "image": "ä.png",
            "objects": {"bbox": [[1, -2.5e3], []], "of": {}, "x": [True, None, "\n"], "text": "b"},
            "text": "b",
        },
    ]
    for escape in (True, False):
        content = "\n".join(json.dumps(value, ensure_ascii=escape) for value in values).encode()
        expected = [("a.png", 'say "ä𝔘" \\ / ', -1), ("ä.png", "b", -1)]
        assert seen(content, "jsonl") == (expected, [])


@pytest.mark.parametrize("key", ["text", "te\\u0078t"])
def test_a_key_that_occurs_twice_is_named_among_rows_that_lack_it(key: str) -> None:
    good, lacks = b'{"image": "a.png", "text": "a"}\n', b'{"image": "b.png"}\n'
    twice = f'{{"image": "c.png", "text": "a", "{key}": "b"}}\n'.encode()
    assert seen(good + lacks + twice, "jsonl") == ([("a.png", "a", -1)], [2, 3])


def test_a_column_that_occurs_twice_is_refused() -> None:
    with pytest.raises(InputError, match="has two columns 'text'"):
        seen(b"image\ttext\ttext\na.png\ta\tb\n", "tsv")
