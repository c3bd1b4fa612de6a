"""Several sources are read one after the other, whatever each is stored as."""

from __future__ import annotations

import pickle
from pathlib import Path
from types import SimpleNamespace

import pytest

from ocrtrain.data.formats import open_lines
from ocrtrain.data.formats.several import as_typed, open_sources
from ocrtrain.data.lines.stored import FileImages
from ocrtrain.errors import InputError


def test_all_formats_one_after_the_other(make: SimpleNamespace, tmp_path: Path) -> None:
    paths = [maker(tmp_path) for maker in make.each.values()]
    source = open_sources(paths)
    assert list(source.originals) == make.texts * len(paths)
    assert len(set(source.names)) == len(source)
    again = pickle.loads(pickle.dumps(source))
    for index in range(len(source)):
        number = index % len(make.texts)
        assert source.images.encoded(index) == make.picture(number)
        assert again.line(index, 0).text == make.texts[number]
        assert source.images.stored_size(index) in (len(make.picture(number)), -1)
        assert source.widths(0)[index] == pytest.approx((30 + number) / 10)


def test_files_stay_files_under_their_whole_names(make: SimpleNamespace, tmp_path: Path) -> None:
    one, two = make.pairs(tmp_path / "one", ["a", ""]), make.pairs(tmp_path / "two", ["b"])
    source = open_sources([str(one), str(two)])
    assert isinstance(source.images, FileImages)
    assert list(source.names) == [str(one / "000.png"), str(two / "000.png")]
    assert source.skipped == {"empty text": [str(one / "001.png")]}


def test_one_is_itself_and_none_is_refused(make: SimpleNamespace, tmp_path: Path) -> None:
    path = make.pairs(tmp_path / "one", ["a"])
    assert open_sources([path]).names == open_lines(path).names == open_sources(path).names
    with pytest.raises(InputError, match="is a list without a source"):
        open_sources([])
    assert (as_typed("a"), as_typed(["a", "b"]), as_typed(path)) == ("a", "[a,b]", str(path))
