"""Every format gives the same lines, and what a path holds is found out."""

from __future__ import annotations

import multiprocessing
import pickle
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ocrtrain.data.formats import Columns, open_lines
from ocrtrain.errors import InputError


def test_every_format_gives_the_same_lines(make: SimpleNamespace, stored: Path) -> None:
    source = open_lines(stored)
    assert list(source.originals) == make.texts and source.skipped == {}
    np.testing.assert_allclose(source.widths(0), [(30 + i) / 10 for i in range(len(make.texts))])
    for i in reversed(range(len(make.texts))):
        line = source.line(i, 0)
        assert line.image.shape == (10, 30 + i) and (line.image == 10 + i).all()
        assert line.text == make.texts[i]
        assert source.images.encoded(i) == make.picture(i)
        assert Path(line.source.partition("#")[0]).exists()


def test_a_second_start_and_a_copy_read_the_same(make: SimpleNamespace, stored: Path) -> None:
    first = open_lines(stored)
    again = open_lines(stored)
    copy: Any = pickle.loads(pickle.dumps(again))
    for source in (again, copy):
        assert list(source.names) == list(first.names) and list(source.originals) == make.texts
        assert (source.line(3, 0).image == first.line(3, 0).image).all()
        assert source.widths(0).tolist() == first.widths(0).tolist()


def _read(source: Any) -> int:
    return int(source.line(2, 0).image[0, 0])


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_another_process_reads_the_same(make: SimpleNamespace, tmp_path: Path, start: str) -> None:
    if start not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system does not {start}")
    source = open_lines(make.lmdb(tmp_path / "lmdb", make.texts))
    assert _read(source) == 12
    with multiprocessing.get_context(start).Pool(1) as pool:
        assert pool.apply(_read, (source,)) == 12


def test_a_change_is_seen(make: SimpleNamespace, tmp_path: Path) -> None:
    file = make.shard(tmp_path / "a.tar", make.texts)
    assert len(open_lines(file)) == len(make.texts)
    make.shard(file, make.texts[:3])
    assert len(open_lines(file)) == 3


def test_folders_are_known_by_what_they_hold(make: SimpleNamespace, tmp_path: Path) -> None:
    (tmp_path / "tars").mkdir()
    make.shard(tmp_path / "tars" / "a.tar", make.texts)
    make.shard(tmp_path / "tars" / "b.tar", make.texts[:2])
    assert list(open_lines(tmp_path / "tars").originals) == [*make.texts, *make.texts[:2]]
    file = make.manifest(tmp_path / "hf", "jsonl", make.texts)
    file.rename(file.with_name("metadata.jsonl"))
    assert list(open_lines(tmp_path / "hf").originals) == make.texts
    make.page(tmp_path / "xml", ["one"])
    assert list(open_lines(tmp_path / "xml").originals) == ["one"]
    assert list(open_lines(tmp_path / "xml" / "page.xml").originals) == ["one"]
    assert list(open_lines(make.lmdb(tmp_path / "l", make.texts) / "data.mdb").originals) == make.texts


def test_patterns_of_shards(make: SimpleNamespace, tmp_path: Path) -> None:
    for number in range(8, 12):
        make.shard(tmp_path / f"s-{number:03}.tar", [f"text {number}"])
    found = open_lines(f"{tmp_path}/s-{{008..010}}.tar")
    assert list(found.originals) == ["text 8", "text 9", "text 10"] and found.format == "3 tar shards"
    assert len(open_lines(f"{tmp_path}/s-{{009,011}}.tar")) == 2
    assert len(open_lines(f"{tmp_path}/s-*.tar")) == 4
    with pytest.raises(InputError, match=r"s-012\.tar: cannot be opened \(No such file"):
        open_lines(f"{tmp_path}/s-{{011..012}}.tar")
    with pytest.raises(InputError, match="matches no file"):
        open_lines(f"{tmp_path}/t-*.tar")


def test_what_may_be_meant_in_two_ways_is_refused(make: SimpleNamespace, tmp_path: Path) -> None:
    folder = make.pairs(tmp_path / "both", make.texts)
    make.shard(folder / "a.tar", make.texts)
    with pytest.raises(InputError, match=r"may be meant in 2 ways: it holds a\.tar and texts named"):
        open_lines(folder)
    make.page(tmp_path / "export" / "page", ["one"])
    make.alto(tmp_path / "export" / "alto", ["one"])
    with pytest.raises(InputError, match=r"holds PAGE XML .* and ALTO XML"):
        open_lines(tmp_path / "export")
    assert len(open_lines(tmp_path / "export" / "alto")) == 1


def test_columns_are_named_or_known(make: SimpleNamespace, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    (tmp_path / "x.png").write_bytes(make.picture(0))
    file.write_text("scan;truth;label\nx.png;right;wrong\n")
    with pytest.raises(InputError, match=r"known as image\n .*data.image_column=NAME; there are: scan, tr"):
        open_lines(file)
    assert list(open_lines(file, columns=Columns("scan", "truth")).originals) == ["right"]
    with pytest.raises(InputError, match="has no column 'nothing'"):
        open_lines(file, columns=Columns("scan", "nothing"))
    file.write_text("image,text,text\nx.png,one,two\n")
    with pytest.raises(InputError, match="has two columns 'text'"):
        open_lines(file)


def test_a_tsv_without_a_header_is_a_labels_file(make: SimpleNamespace, tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(make.picture(0))
    (tmp_path / "a.tsv").write_text("x.png\tthe text\n")
    assert list(open_lines(tmp_path / "a.tsv").originals) == ["the text"]


def test_a_dataset_from_disk_and_from_parquet(
    make: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "hf"))
    columns = {
        "image": [{"bytes": make.picture(i), "path": None} for i in range(len(make.texts))],
        "text": make.texts,
    }
    features = datasets.Features({"image": datasets.Image(), "text": datasets.Value("string")})
    made = datasets.Dataset.from_dict(columns, features=features)
    made.save_to_disk(str(tmp_path / "saved"))
    made.to_parquet(str(tmp_path / "a.parquet"))
    for path in (tmp_path / "saved", tmp_path / "a.parquet"):
        source = open_lines(path)
        assert list(source.originals) == make.texts and source.format == "a Hugging Face dataset"
        assert source.images.encoded(2) == make.picture(2) and (source.line(5, 0).image == 15).all()
        assert pickle.loads(pickle.dumps(source)).line(1, 0).source == f"{path}#row 1"
    datasets.DatasetDict({"train": made, "test": made}).save_to_disk(str(tmp_path / "splits"))
    with pytest.raises(InputError, match=r"has several splits \(train, test\)"):
        open_lines(tmp_path / "splits")
    assert len(open_lines(tmp_path / "splits" / "test")) == len(make.texts)
    with pytest.raises(InputError, match="holds no texts in column 'image'"):
        open_lines(tmp_path / "saved", columns=Columns("text", "image"))
    (tmp_path / "b.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:-100])
    with pytest.raises(InputError, match=r"b\.parquet: cannot be opened as a dataset"):
        open_lines(tmp_path / "b.parquet")


def test_the_cache_may_be_read_only(
    make: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("OCRTRAIN_CACHE", str(tmp_path / "file" / "cache"))
    assert list(open_lines(make.shard(tmp_path / "a.tar", make.texts)).originals) == make.texts


def test_a_table_that_was_cut_short_or_damaged_is_made_again(
    make: SimpleNamespace, tmp_path: Path, own_cache: Path
) -> None:
    file = make.shard(tmp_path / "a.tar", make.texts)
    open_lines(file)
    (table,) = own_cache.glob("lines-*.table")
    whole = table.read_bytes()
    for length in (0, 5, 100, len(whole) - 1):
        table.write_bytes(whole[:length])
        assert list(open_lines(file).originals) == make.texts
    for place in range(0, len(whole), 7):
        table.write_bytes(whole[:place] + bytes([whole[place] ^ 32]) + whole[place + 1 :])
        assert list(open_lines(file).originals) == make.texts
        assert table.read_bytes() == whole
    shutil.rmtree(own_cache)
    assert list(open_lines(file).originals) == make.texts


def two_pages(make: SimpleNamespace, folder: Path) -> None:
    """A PAGE file a.xml and an ALTO file b.xml, each of an image of its own, in one folder."""
    for name, maker in (("a", make.page), ("b", make.alto)):
        file = maker(folder / name, [name])
        file.write_text(file.read_text().replace("page.png", f"{name}.png"))
        file.rename(folder / f"{name}.xml")
        (folder / name / "page.png").rename(folder / f"{name}.png")


def test_page_and_alto_of_two_pages(make: SimpleNamespace, tmp_path: Path) -> None:
    two_pages(make, tmp_path)
    assert list(open_lines(tmp_path).originals) == ["a", "b"]
    # Of one page: the advice is to list those that are meant, which can be followed.
    (tmp_path / "c.xml").write_text((tmp_path / "b.xml").read_text().replace("b.png", "a.png"))
    with pytest.raises(
        InputError, match=r"(?s)a\.xml\) and ALTO XML .*c\.xml\) of one page.*a text file that lists"
    ):
        open_lines(tmp_path)
    (tmp_path / "pages.txt").write_text("a.xml\nb.xml\n")
    assert list(open_lines(tmp_path / "pages.txt").originals) == ["a", "b"]


def test_a_list_of_pages(make: SimpleNamespace, tmp_path: Path) -> None:
    two_pages(make, tmp_path / "in")
    file = tmp_path / "train.txt"
    file.write_text("# pages\nin/b.xml\n\nin\\a.XML\nin/gone.xml\n")
    source = open_lines(file)
    assert list(source.originals) == ["b", "a"] and list(source.names) == ["in/b.xml#l0", "in/a.xml#l0"]
    assert source.skipped == {"does not exist": ["in/gone.xml"]}
    file.write_text(f"{tmp_path}/in/a.xml\nin/a.xml\n")
    assert list(open_lines(file).originals) == ["a"]  # once
    file.write_text("in/gone.xml\n")
    with pytest.raises(
        InputError, match=r"(?s)lists no page that can be read.*1 x does not exist: in/gone\.xml"
    ):
        open_lines(file)
    file.write_text("in/a.xml\nin/a.png\n")
    with pytest.raises(InputError, match=r"lists pages \(in/a\.xml\) and other things \(in/a\.png\)"):
        open_lines(file)
    assert sorted(open_lines(f"{tmp_path}/in/*.xml").originals) == ["a", "b"]


def test_damaged_xml_is_told_of(make: SimpleNamespace, tmp_path: Path) -> None:
    two_pages(make, tmp_path)
    (tmp_path / "c.xml").write_text("")
    (tmp_path / "mets.xml").write_text("<mets/>")
    assert open_lines(tmp_path).skipped.keys() == {"page cannot be used: is damaged or no XML"}
    for name in ("a.xml", "b.xml"):
        (tmp_path / name).write_text("<?xml ")
    with pytest.raises(InputError, match="2 x page cannot be used: is damaged or no XML"):
        open_lines(tmp_path)
    pairs = make.pairs(tmp_path / "pairs", make.texts)
    (pairs / "000.xml").write_text("<?xml ")
    assert len(open_lines(pairs)) == len(make.texts)  # no page: its image has a text
