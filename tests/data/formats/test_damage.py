"""Damaged files of every format: refused, named, or read right; no crash, and never another line's text."""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ocrtrain.data.formats import open_lines
from ocrtrain.errors import InputError

ROUNDS = 40  # of each kind of damage to each format


def cut(content: bytes, draws: random.Random) -> bytes:
    return content[: draws.randrange(len(content))]


def flip(content: bytes, draws: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(draws.choice((1, 1, 3, 20))):
        changed[draws.randrange(len(changed))] ^= 1 << draws.randrange(8)
    return bytes(changed)


def wipe(content: bytes, draws: random.Random) -> bytes:
    start, length = draws.randrange(len(content)), draws.choice((1, 8, 100, 4096))
    return content[:start] + b"\0" * len(content[start : start + length]) + content[start + length :]


def fill(content: bytes, draws: random.Random) -> bytes:
    start, length = draws.randrange(len(content)), draws.choice((2, 8, 64))
    noise = draws.randbytes(len(content[start : start + length]))
    return content[:start] + noise + content[start + length :]


def repeat(content: bytes, draws: random.Random) -> bytes:
    start, length = draws.randrange(len(content)), draws.choice((1, 50, 512, 4096))
    return content[: start + length] + content[start : start + length] + content[start + length :]


DAMAGES = (cut, flip, wipe, fill, repeat)
FORMATS = ("tsv", "csv", "jsonl", "shard", "lmdb", "page", "alto")


def made(make: SimpleNamespace, form: str, folder: Path) -> tuple[Path, Path]:
    """Return what to open, and the file to damage."""
    texts = [f"line number {number}" for number in range(5)]
    if form in ("page", "alto"):
        file = getattr(make, form)(folder / form, texts)
        return file, file
    if form == "shard":
        file = make.shard(folder / "a.tar", texts)
        return file, file
    if form == "lmdb":
        return make.lmdb(folder / "lmdb", texts), folder / "lmdb" / "data.mdb"
    file = make.manifest(folder / form, form, texts)
    return file, file


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("form", FORMATS)
def test_no_crash_and_no_other_lines_text(
    make: SimpleNamespace,
    tmp_path: Path,
    form: str,
    damage: Callable[[bytes, random.Random], bytes],
    own_cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place, file = made(make, form, tmp_path)
    whole = file.read_bytes()
    sound = open_lines(place)
    truth = {sound.images.encoded(i): sound.originals[i] for i in range(len(sound))}
    assert len(truth) == 5
    draws = random.Random(f"{form} {damage.__name__}")
    lost = 0
    for _ in range(ROUNDS):
        shutil.rmtree(own_cache, ignore_errors=True)
        content = damage(whole, draws)
        file.write_bytes(content)
        try:
            source = open_lines(place)
        except InputError as error:
            assert file.name in str(error) or form in ("page", "alto")
            lost += 1
            continue
        named = " ".join(name for names in source.skipped.values() for name in names)
        for i in range(len(source)):
            try:
                line, encoded = source.line(i, 0), source.images.encoded(i)
            except InputError as error:
                assert source.names[i] in str(error)
                continue
            text = truth.get(encoded)
            # A changed character is a text like any other, but a line never gets another line's text. Where
            # images are named, a damaged name may be another image's name.
            if text is not None and line.text != text and form in ("shard", "lmdb"):
                assert line.text not in truth.values()
        if damage is cut and form in ("shard", "lmdb"):
            missing = 5 - len(source)
            assert missing == 0 or named, "lines are lost in silence"
    if damage is cut and form in ("lmdb", "page", "alto"):
        assert lost > ROUNDS // 2


def test_a_cut_lmdb_is_named(make: SimpleNamespace, tmp_path: Path) -> None:
    folder = make.lmdb(tmp_path / "lmdb", [f"text {n}" for n in range(300)])
    file = folder / "data.mdb"
    whole = file.read_bytes()
    assert len(open_lines(folder)) == 300
    for length in (0, 10, 4000, 8192, len(whole) // 2, len(whole) - 5000):
        file.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"data\.mdb: is (a damaged LMDB file|empty)"):
            open_lines(folder)


def test_an_lmdb_agrees_with_the_library(make: SimpleNamespace, tmp_path: Path) -> None:
    """Long values, deep trees, pages used again after deletions."""
    lmdb = pytest.importorskip("lmdb")
    from ocrtrain.data.formats.lmdb_tree import read_keys

    rng = np.random.default_rng(0)
    with lmdb.open(str(tmp_path / "l"), map_size=2**26) as environment:
        for _ in range(4):
            with environment.begin(write=True) as transaction:
                for number in rng.permutation(1500):
                    size = int(rng.choice([0, 3, 700, 2000, 5000, 20000], p=[0.1, 0.5, 0.2, 0.1, 0.05, 0.05]))
                    transaction.put(b"%08d" % number, rng.bytes(size))
                for number in rng.integers(0, 1500, 300):
                    transaction.delete(b"%08d" % number)
        with environment.begin() as transaction:
            expected = list(transaction.cursor())
    content = np.fromfile(tmp_path / "l" / "data.mdb", np.uint8)
    values = list(read_keys("data.mdb", content))
    assert [(v.key, content[v.offset : v.offset + v.size].tobytes()) for v in values] == expected


@pytest.mark.parametrize(
    ("number", "why"),
    [
        (None, "without num-samples"),
        (b"x", "has b'x'"),
        (b"-1", "has b'-1'"),
        (b"999999999999", "has b'9999"),
    ],
)
def test_the_number_of_samples(make: SimpleNamespace, tmp_path: Path, number: bytes | None, why: str) -> None:
    lmdb = pytest.importorskip("lmdb")
    folder = make.lmdb(tmp_path / "lmdb", ["a", "b"])
    with lmdb.open(str(folder)) as environment, environment.begin(write=True) as transaction:
        transaction.delete(b"num-samples")
        if number is not None:
            transaction.put(b"num-samples", number)
    with pytest.raises(InputError, match=why):
        open_lines(folder)


def test_samples_that_an_lmdb_lacks_are_named(make: SimpleNamespace, tmp_path: Path) -> None:
    lmdb = pytest.importorskip("lmdb")
    folder = make.lmdb(tmp_path / "lmdb", [f"text {n}" for n in range(6)])
    with lmdb.open(str(folder)) as environment, environment.begin(write=True) as transaction:
        transaction.delete(b"label-000000002")
        transaction.delete(b"image-000000003")
        transaction.put(b"label-000000004", b"\xff")
        transaction.put(b"image-000000005", b"no image")
        transaction.put(b"num-samples", b"5")
    source = open_lines(folder)
    assert list(source.originals) == ["text 0"]
    assert sum(map(len, source.skipped.values())) == 5
    assert source.skipped["sample beyond num-samples (5)"] == ["image-000000006"]


def test_doubled_keys_in_a_shard_are_named(make: SimpleNamespace, tmp_path: Path) -> None:
    import io
    import tarfile

    file = tmp_path / "a.tar"
    members = [
        ("a.png", make.picture(0)), ("a.txt", b"first"), ("a.txt", b"second"),
        ("b.png", make.picture(1)), ("b.jpg", make.picture(2)), ("b.txt", b"b"),
        ("c.txt", b"c"), ("d.png", make.picture(3)), ("e.cls", b"5"), ("sub/a.png", make.picture(4)),
        ("sub/a.json", b'{"text": "sub"}'),
    ]  # fmt: skip
    with tarfile.open(file, "w") as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    source = open_lines(file)
    assert list(zip(source.names, source.originals, strict=True)) == [
        ("a.png", "first"), ("b.png", "b"), ("sub/a.png", "sub"),
    ]  # fmt: skip
    assert source.skipped == {
        "second text under one key": ["a.tar#a.txt"],
        "second image under one key": ["a.tar#b.jpg"],
        "text without an image": ["a.tar#c"],
        "image without a text (no .txt or .json under its key)": ["a.tar#d.png"],
    }


def test_a_compressed_shard_is_refused(make: SimpleNamespace, tmp_path: Path) -> None:
    import gzip

    file = make.shard(tmp_path / "a.tar", ["a"])
    packed = tmp_path / "b.tar.gz"
    packed.write_bytes(gzip.compress(file.read_bytes()))
    for path in (packed, shutil.copy(packed, tmp_path / "c.tar")):
        with pytest.raises(InputError, match=re.escape("is compressed")):
            open_lines(path)


def test_a_line_60000_pixels_wide_and_2_high_is_refused(tmp_path: Path) -> None:
    from PIL import Image

    for name, size in (("a.png", (60_000, 2)), ("b.png", (900, 2)), ("c.png", (2, 60_000))):
        Image.new("L", size).save(tmp_path / name)
        (tmp_path / name).with_suffix(".gt.txt").write_text("x")
    source = open_lines(tmp_path)
    assert source.skipped == {"is more than 500 times as wide as high, as no line of text is": ["a.png"]}
    (tmp_path / "a.tsv").write_text("image\ttext\twidth\theight\na.png\tx\t60\t20\n")
    with pytest.raises(InputError, match=r"a\.png: is more than 500 times as wide"):
        open_lines(tmp_path / "a.tsv").line(0, 0)
