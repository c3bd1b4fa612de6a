"""Other engines' output: what is taken, and what is refused with a reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ocrtrain.errors import InputError
from ocrtrain.evaluation.predictions import match, read_predictions, read_truths, unquoted


def written(path: Path, text: str) -> Path:
    path.write_bytes(text.encode("utf-8"))
    return path


def test_tsv_and_json_lines_say_the_same(tmp_path: Path) -> None:
    tsv = written(
        tmp_path / "a.tsv",
        "\ufeffid\ttruth\tprediction\tconfidence\tsource\r\n"
        "1\tein Weg\tein  Weg \t0.5\tA\r\n\r\n2\tß\t\t1\tB\r\n",
    )
    rows = [
        {"id": "1", "truth": "ein Weg", "prediction": "ein  Weg ", "confidence": 0.5, "source": "A"},
        {"id": "2", "truth": "ß", "prediction": "", "confidence": 1, "source": "B"},
    ]
    jsonl = written(tmp_path / "a.jsonl", "\n".join(json.dumps(row) for row in rows) + "\n")
    for file in (read_predictions(tsv), read_predictions(jsonl)):
        assert (file.ids, file.truths, file.sources) == (["1", "2"], ["ein Weg", "ß"], ["A", "B"])
        assert [(r.text, r.confidence) for r in file.readings] == [("ein  Weg ", 0.5), ("", 1.0)]
        assert file.images is None


def test_what_predict_writes_is_taken(tmp_path: Path) -> None:
    path = written(tmp_path / "a.tsv", 'image\tconfidence\ttext\nscans/1.png\t0.9000\t"say ""so"""\n')
    file = read_predictions(path)
    assert (file.ids, file.images) == (["scans/1.png"], ["scans/1.png"])
    assert file.readings[0].text == 'say "so"' and file.truths is None


@pytest.mark.parametrize(
    ("cell", "text"),
    [('"a"', "a"), ('"a""b"', 'a"b'), ('"', '"'), ('"a', '"a'), ('"a"b"', '"a"b"'), ('""', ""), ("a", "a")],
)
def test_quotes(cell: str, text: str) -> None:
    assert unquoted(cell) == text


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.tsv", "", "has no rows"),
        ("a.tsv", "id\ttruth\tprediction\n", "has no rows"),
        ("a.tsv", "1 ein Weg\n", "does not begin with the names of its columns"),
        ("a.tsv", "id\tid\n1\t2\n", "does not begin with the names of its columns"),
        ("a.tsv", "id\ttruth\n1\ta\n", "has no column prediction; it has id, truth"),
        ("a.tsv", "truth\tprediction\na\ta\n", "has no column id"),
        ("a.tsv", "id\tprediction\n1\ta\n2\tb\tc\n", "line 3 has 3 columns, where the first line names 2"),
        ("a.tsv", "id\tprediction\n1\ta\n1\tb\n2\tc\n", "has 1 ids more than once: 1"),
        ("a.tsv", "id\tprediction\tconfidence\n1\ta\t93.2\n", "in row 1, confidence is '93.2'"),
        ("a.tsv", "id\tprediction\tconfidence\n1\ta\tnan\n", "in row 1, confidence is 'nan'"),
        ("a.jsonl", '{"id": "1", "prediction": "a"}\n{"id": "2"}\n', "line 2 is not an object with id, pred"),
        ("a.jsonl", '{"id": "1", "prediction": "a"}\n{"id"\n', "line 2 is not JSON"),
        ("a.jsonl", "[1]\n", "line 1 is not an object"),
        ("a.jsonl", '{"id": "1", "prediction": null}\n', "in row 1, prediction is null"),
        ("a.jsonl", '{"id": "1", "prediction": 1e999}\n', "in row 1, prediction is Infinity"),
        (
            "a.jsonl",
            f'{{"id": "1", "prediction": {9 * "["}{9 * "]"}}}\n',
            "in row 1, prediction is [[[[[[[[[]",
        ),
        ("a.jsonl", "[" * 100_000 + "\n", "line 1 is nested more than 100 levels deep"),
        ("a.jsonl", '{"id": "1", "prediction": ' + "9" * 5000 + "}\n", "line 1 has an integer of 5,000 dig"),
        ("a.jsonl", '{"id": "1", "prediction": "a", "confidence": true}\n', "in row 1, confidence is true"),
        ("a.jsonl", '{"id": "1", "prediction": "a", "confidence": NaN}\n', "in row 1, confidence is NaN"),
        ("a.jsonl", f'{{"id": "1", "prediction": "a", "confidence": {"9" * 299}}}\n', "in row 1, confidence"),
        ("a.jsonl", '{"id": 1, "prediction": "a"}\n', "in row 1, id is 1"),
    ],
)
def test_what_cannot_be_used_is_named(name: str, content: str, reason: str, tmp_path: Path) -> None:
    path = written(tmp_path / name, content)
    with pytest.raises(InputError) as raised:
        read_predictions(path)
    assert str(raised.value).startswith(f"predictions={path}: {reason}")


def test_files_that_are_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_predictions(tmp_path / "nowhere.tsv")
    (tmp_path / "b.tsv").write_bytes(b"id\tprediction\n1\t\xff\n")
    with pytest.raises(InputError, match="is not UTF-8"):
        read_predictions(tmp_path / "b.tsv")
    with pytest.raises(InputError, match=r"truth=.*: [iI]s"):
        read_truths(tmp_path)


def test_truths_of_their_own(tmp_path: Path) -> None:
    path = written(tmp_path / "t.tsv", "truth\tid\nab\t1\ncd\t2\n")
    assert read_truths(path) == (["1", "2"], ["ab", "cd"])


def test_ids_are_names_paths_or_names_without_a_suffix() -> None:
    names = ["a/1.png", "a/2.png", "b/1.png"]
    assert match(["b/1.png", "a/1.png", "a/2.png"], names) == ([1, 2, 0], [])
    assert match(["/data/a/1.png", "a/2", "/data/b/1"], names, "/data") == ([0, 1, 2], [])
    assert match(["a/2.png", "c"], names, "/data") == ([None, 0, None], ["c"])
    # Two lines that would be called the same without a suffix need theirs.
    assert match(["x"], ["x.png", "x.jpg"], "/data") == ([None, None], ["x"])
    assert match(["3.14"], ["3.15"]) == ([None], ["3.14"])


def test_paths_from_the_working_folder_name_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert match(["lines/test/1.png"], ["1.png"], str(tmp_path / "lines" / "test")) == ([0], [])
