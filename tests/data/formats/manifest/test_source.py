"""Manifests, with what spreadsheets, scripts and accidents put into them."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocrtrain.data.formats import Columns, open_lines
from ocrtrain.data.formats.manifest.quick import read_quickly
from ocrtrain.data.formats.manifest.rows import read_rows
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
    monkeypatch.setattr("ocrtrain.data.formats.manifest.quick._BLOCK", 1000)
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


def seen_alike(file: Path) -> bool:
    """Whether the quick way gives a table at all; then the slow one must give the same."""
    table = read_quickly(str(file), Columns())
    if table is None:
        return False
    slow = read_rows(str(file), Columns())
    assert list(table.names) == list(slow.names) and list(table.texts) == list(slow.texts)
    assert not slow.skipped and str(table.aspects.tolist()) == str(slow.aspects.tolist())
    return True


@settings(max_examples=300, deadline=None)
@given(
    st.lists(good | st.tuples(pieces, pieces, numbers), max_size=6), st.sampled_from(["\n", "\r\n", "\n\n"])
)
def test_the_quick_way_through_tables(rows: list[tuple[str, ...]], end: str) -> None:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "a.tsv"
        content = end.join(["image\ttext\twidth\theight", *("\t".join([*row, "10"]) for row in rows)])
        file.write_bytes(content.encode(errors="surrogatepass"))
        seen_alike(file)


values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | pieces,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(pieces, inner, max_size=3),
    max_leaves=6,
)
sizes = st.sampled_from([30, 2.5, None, 0, -4, 1e3, 1e-3, "30", "x", True, 10**20])
objects = st.fixed_dictionaries(
    {"image": good.map(lambda row: row[0]) | pieces, "text": good.map(lambda row: row[1]) | pieces},
    optional={"width": sizes, "height": sizes, "more": values, "text ": values},
)


@settings(max_examples=300, deadline=None)
@given(st.lists(objects, max_size=5), st.booleans(), st.data())
def test_the_quick_way_through_objects(rows: list[dict[str, Any]], escape: bool, data: st.DataObject) -> None:
    content = "\n".join(json.dumps(row, ensure_ascii=escape) for row in rows)
    if content and data.draw(st.booleans()):  # one accident
        place = data.draw(st.integers(0, len(content) - 1))
        content = content[:place] + data.draw(st.sampled_from('"\\,:{}[]0 \n\tn')) + content[place + 1 :]
    with TemporaryDirectory() as folder:
        file = Path(folder) / "a.jsonl"
        file.write_bytes((content + "\n").encode(errors="surrogatepass"))
        seen_alike(file)


def test_what_is_usual_goes_the_quick_way(tmp_path: Path) -> None:
    rows = ["a.png\tone\t30\t10", "b ä.png\tzwei ſ 𝔘\ue000\t30.5\t10", "c.png\t a\u00a0b \t\t"]
    (tmp_path / "a.tsv").write_text(
        "\n".join(["\ufefffile_name\ttext\twidth\theight", *rows]), newline="\r\n"
    )
    assert seen_alike(tmp_path / "a.tsv")
    (tmp_path / "b.tsv").write_text("other\ttext\timage\n\tone\ta.png\n")
    assert seen_alike(tmp_path / "b.tsv")
    values = [
        {"text": 'say "\u00e4\U0001d518" \\ / ', "image": "a.png", "width": 30, "height": None},
        {
            "image": "ä.png",
            "objects": {"bbox": [[1, -2.5e3], []], "of": {}, "x": [True, None, "\n"]},
            "text": "b",
        },
    ]
    for number, escape in enumerate((True, False)):
        content = "\n".join(json.dumps(value, ensure_ascii=escape) for value in values)
        (tmp_path / f"{number}.jsonl").write_text(content, encoding="utf-8")
        assert seen_alike(tmp_path / f"{number}.jsonl")


def test_a_column_or_a_key_that_occurs_twice_is_no_matter_for_the_quick_way(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"image": "a.png", "text": "a", "text": "b"}\n')
    (tmp_path / "a.tsv").write_text("image\ttext\ttext\na.png\ta\tb\n")
    assert read_quickly(str(tmp_path / "a.jsonl"), Columns()) is None
    assert read_quickly(str(tmp_path / "a.tsv"), Columns()) is None
