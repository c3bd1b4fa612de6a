"""Manifests, with what spreadsheets, scripts and accidents put into them."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from ocrtrain.data.formats import open_lines
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
    monkeypatch.setattr("ocrtrain.data.formats.manifest._BLOCK", 1000)
    texts = [f"text {number} {'ä' * (number % 3)}" for number in range(500)]
    rows = [f"{number % 6}.png/{number}\t{text}\t20\t10" for number, text in enumerate(texts)]
    (lines / "a.tsv").write_text("image\ttext\twidth\theight\n" + "\n".join(rows))
    assert list(open_lines(lines / "a.tsv").originals) == texts
    keys = [{"image": f"{n}.png", "text": t, "width": 20, "height": 10} for n, t in enumerate(texts)]
    (lines / "a.jsonl").write_text("\n".join(json.dumps(row) for row in keys) + "\n")
    assert list(open_lines(lines / "a.jsonl").originals) == texts


@pytest.mark.parametrize("suffix", ["tsv", "jsonl"])
def test_the_quick_way_sees_what_the_slow_one_does(tmp_path: Path, suffix: str) -> None:
    """Wherever the quick way gives a table at all, it is the same; what is odd it leaves to the slow one."""
    pytest.importorskip("pyarrow")
    from ocrtrain.data.formats.columns import Columns
    from ocrtrain.data.formats.manifest import read_rows
    from ocrtrain.data.formats.manifest_arrow import read_with_arrow

    plain = ["a.png\tone\t30\t10", "b ä.png\tzwei ſ 𝔘\t30.5\t10", "c.png\tnull\t\t", "d.png\tNaN\t1e9\t1"]
    odd = [
        'e.png\t"q"', "e.png\t x ", "e.png\t", "e.png", "", "e.png\ta\u2028b", "e.png\ta\x00",
        "e.png\ta\u00a0b",
        "\ttext", "e.png\tx\t9\t9\t9", "e.png\tx\tfive\t1", "e.png\ta\rb", "e.png\tx\t-4\t2", "e.png\tx\t\t",
        "e.png\tn/a\t 7\t1",
    ]  # fmt: skip
    files = [plain, *([*plain, row] for row in odd)]
    quick = 0
    for number, rows in enumerate(files):
        file = tmp_path / f"{number}.{suffix}"
        if suffix == "tsv":
            content = "\n".join(["file_name\ttext\twidth\theight", *rows]) + "\n"
        else:
            keys = ("file_name", "text", "width", "height")
            content = "".join(
                json.dumps(dict(zip(keys, row.split("\t"), strict=False))) + "\n" for row in rows
            )
            # Numbers as numbers, and a key twice.
            content = content.replace('"30"', "30").replace('"10"', "10").replace('"30.5"', "30.5")
            content = content.replace('"1e9", "height": "1"', '1e9, "height": 1').replace('""', "null")
        file.write_text(content, encoding="utf-8", newline="")
        table = read_with_arrow(str(file), Columns())
        if table is None:
            continue
        quick += 1
        slow = read_rows(str(file), Columns())
        assert list(table.names) == list(slow.names) and list(table.texts) == list(slow.texts), rows[-1]
        assert not slow.skipped, rows[-1]
        assert str(table.aspects.tolist()) == str(slow.aspects.tolist()), rows[-1]
    assert quick
    twice = tmp_path / f"twice.{suffix}"
    twice.write_text(
        '{"image": "a.png", "text": "a", "text": "b"}\n' if suffix == "jsonl" else "image\ttext\ttext\n"
    )
    assert read_with_arrow(str(twice), Columns()) is None
