"""Files made to hang, to fill the memory or to end the process: a message or a named skip, soon."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import tarfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from ocrtrain.data.formats import open_lines
from ocrtrain.data.formats.shards import expand
from ocrtrain.errors import InputError


def put(transaction: object, key: str, value: bytes) -> None:
    transaction.put(key.encode(), value)  # type: ignore[attr-defined]


def make_lmdb(folder: Path, values: dict[str, bytes]) -> Path:
    lmdb = pytest.importorskip("lmdb")
    with lmdb.open(str(folder), map_size=2**24) as environment, environment.begin(write=True) as transaction:
        for key, value in values.items():
            put(transaction, key, value)
    return folder


def test_an_lmdb_that_counts_to_a_trillion(make: SimpleNamespace, tmp_path: Path) -> None:
    number = 10**18 - 1
    values = {f"image-{number}": make.picture(0), f"label-{number}": b"x", "num-samples": b"%d" % number}
    with pytest.raises(InputError, match=r"999999999999999999.* for num-samples, and 1 samples"):
        open_lines(make_lmdb(tmp_path / "l", values))


def test_lmdb_values_are_texts_as_files_hold_them(make: SimpleNamespace, tmp_path: Path) -> None:
    labels = [b"a\n", b"b\r\n", "\ufeffc".encode(), b"d\ne", b"x" * (2**20 + 1), "f".encode("utf-16")]
    values = {"num-samples": b"%d" % len(labels)}
    for n, label in enumerate(labels, start=1):
        values |= {f"image-{n:09}": make.picture(n), f"label-{n:09}": label}
    source = open_lines(make_lmdb(tmp_path / "l", values))
    assert list(source.originals) == ["a", "b", "\ufeffc"]
    assert source.skipped == {
        "text of several lines": ["image-000000004"],
        "text of more than 1 MB": ["image-000000005"],
        "text is UTF-16, not UTF-8": ["image-000000006"],
    }


def test_lmdb_values_that_share_their_bytes(make: SimpleNamespace, tmp_path: Path) -> None:
    """Thousand keys that point to one large value would take thousand times its size to read."""
    values = {f"image-{n:09}": bytes([n]) * 9000 for n in range(1, 9)}
    folder = make_lmdb(tmp_path / "l", {**values, "num-samples": b"8"})
    content = bytearray((folder / "data.mdb").read_bytes())
    places = [content.index(f"image-{n:09}".encode()) + 15 for n in range(1, 9)]
    for place in places:
        content[place : place + 8] = content[places[0] : places[0] + 8]
        size = len(content) // 2 - 100_000 // 8
        content[place - 23 : place - 19] = struct.pack("<HH", size & 0xFFFF, size >> 16)
    (folder / "data.mdb").write_bytes(content)
    with pytest.raises(InputError, match="is a damaged LMDB file"):
        open_lines(folder)


def member(name: str, content: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in fields.items():
        setattr(info, key, value)
    return info, content


def tar_of(file: Path, members: list[tuple[tarfile.TarInfo, bytes]]) -> Path:
    with tarfile.open(file, "w", format=tarfile.PAX_FORMAT) as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content) if content else None)
    return file


def test_members_that_are_no_plain_files_are_named(make: SimpleNamespace, tmp_path: Path) -> None:
    members = [
        member("/etc/0.png", make.picture(0)),
        member("/etc/0.txt", b"absolute"),
        member("../1.png", make.picture(1)),
        member("../1.txt", b"above"),
        member("2.png", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        member("2.txt", b"linked"),
        member("3.png", type=tarfile.LNKTYPE, linkname="../1.png"),
        member("4.png", type=tarfile.CHRTYPE),
        member("5.png", type=tarfile.FIFOTYPE),
        member("folder", type=tarfile.DIRTYPE),
        member("6.png", make.picture(6), pax_headers={"comment": "x" * 5000}),
        member("6.txt", b"y" * (2**20 + 1)),
    ]
    source = open_lines(tar_of(tmp_path / "a.tar", members))
    assert list(source.originals) == ["absolute", "above"]
    assert [source.images.encoded(i) for i in range(2)] == [make.picture(0), make.picture(1)]
    assert source.skipped == {
        "is a link, a device or a file with holes, not a plain file": [
            f"a.tar#{n}.png" for n in (2, 3, 4, 5)
        ],
        "text without an image": ["a.tar#2"],
        "text of more than 1 MB": ["a.tar#6.png"],
    }


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    """A header with any size, with the right checksum."""
    info = tarfile.TarInfo(name)
    info.type = kind
    block = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    block[124:136] = (
        (size + (256**11 if size < 0 else 0)).to_bytes(11, "big").rjust(12, b"\xff" if size < 0 else b"\x80")
    )
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def pax(records: dict[str, str]) -> bytes:
    return tarfile.TarInfo._create_pax_generic_header(records, tarfile.XHDTYPE, "utf-8")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "bad",
    [
        header("a.png", 10**18),
        header("a.png", -1024),
        header("a.odd", -1024, b"Z"),
        header("././@LongLink", 10**18, tarfile.GNUTYPE_LONGNAME),
        header("x", 10**18, tarfile.XHDTYPE),
        header("x", 10**18, tarfile.XGLTYPE),
        pax({"size": "-4096"}) + header("a.odd", 0, b"Z"),
        pax({"size": "9" * 5000}) + header("a.png", 0),
        pax({"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "a.png"})
        + header("a.png", 512)
        + b"99999999999999999\n".ljust(512, b"1"),
        pax({"a": "b"}) * 3000 + header("a.png", 0),
    ],
)
def test_headers_of_impossible_sizes(make: SimpleNamespace, tmp_path: Path, bad: bytes) -> None:
    good = make.shard(tmp_path / "good.tar", ["one"]).read_bytes().rstrip(b"\0")
    good += b"\0" * (-len(good) % 512)
    (tmp_path / "a.tar").write_bytes(good + bad + b"\0" * 1024)
    try:
        source = open_lines(tmp_path / "a.tar")
    except InputError as error:
        assert "is not a tar archive, or damaged" in error.why
    else:
        assert list(source.originals) == ["one"] and len(source.skipped) == 1


def test_braces_of_too_many_files() -> None:
    assert expand("{a,b}{0..2}.tar") == [f"{a}{n}.tar" for a in "ab" for n in range(3)]
    for pattern in ("{0..99999}{0..99999}.tar", "{1..%s}.tar" % ("9" * 5000), "{a,b}" * 60 + ".tar"):
        with pytest.raises(InputError, match="means more than 100,000 files"):
            expand(pattern)


HEAD = {"tsv": "file_name\ttext\n", "csv": "file_name,text\n", "jsonl": ""}
ROW = {"tsv": "{}\t{}\n", "csv": "{},{}\n", "jsonl": '{{"file_name": "{}", "text": "{}"}}\n'}


@pytest.mark.parametrize("suffix", HEAD)
def test_tables_with_texts_that_are_none(make: SimpleNamespace, tmp_path: Path, suffix: str) -> None:
    for n in range(4):
        (tmp_path / f"{n}.png").write_bytes(make.picture(n))
    rows = [("0.png", "good"), ("1.png", "x" * (2**20 + 1)), ("2.png", "FF")]
    content = HEAD[suffix] + "".join(ROW[suffix].format(*row) for row in rows)
    file = tmp_path / f"a.{suffix}"
    file.write_bytes(content.encode().replace(b"FF", b"\xff"))
    source = open_lines(file)
    assert list(source.originals) == ["good"]
    assert {reason: len(names) for reason, names in source.skipped.items()} == {
        "text of more than 1 MB": 1,
        "text is not UTF-8": 1,
    }


@pytest.mark.parametrize("suffix", HEAD)
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_tables_in_another_encoding(tmp_path: Path, suffix: str, encoding: str) -> None:
    (tmp_path / f"a.{suffix}").write_text(HEAD[suffix] + ROW[suffix].format("0.png", "x"), encoding)
    with pytest.raises(InputError, match="is not a text file in UTF-8"):
        open_lines(tmp_path / f"a.{suffix}")


@pytest.mark.parametrize("suffix", HEAD)
def test_line_ends_of_old_macs(make: SimpleNamespace, tmp_path: Path, suffix: str) -> None:
    for n in range(2):
        (tmp_path / f"{n}.png").write_bytes(make.picture(n))
    content = HEAD[suffix] + "".join(ROW[suffix].format(f"{n}.png", f"t{n}") for n in range(2))
    (tmp_path / f"a.{suffix}").write_bytes(content.replace("\n", "\r").encode())
    assert list(open_lines(tmp_path / f"a.{suffix}").originals) == ["t0", "t1"]


def test_json_that_only_json_can_hold(make: SimpleNamespace, tmp_path: Path) -> None:
    for n in range(2):
        (tmp_path / f"{n}.png").write_bytes(make.picture(n))
    rows = [
        '{"file_name": "0.png", "text": "good", "width": 1' + "0" * 250 + ', "height": 10}',
        '{"file_name": "0.png", "text": "half \\ud800"}',
        '{"file_name": "0\\u0000.png", "text": "nul"}',
        '{"file_name": "0.png", "text": "deep", "more": ' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"file_name": "0.png", "text": "digits", "more": ' + "9" * 5000 + "}",
        '{"file_name": "1.png", "text": "number", "width": NaN, "height": Infinity}',
        "\0",
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(rows))
    source = open_lines(tmp_path / "a.jsonl")
    assert list(source.originals) == ["good", "number"]
    assert sorted(map(len, source.skipped.values())) == [1, 1, 3]


def test_lists_and_labels_with_endless_lines(tmp_path: Path) -> None:
    for name in ("labels.txt", "list"):
        (tmp_path / name).write_bytes(b"x" * 2**22)
        with pytest.raises(InputError, match="has a line of more than 1 MB"):
            open_lines(tmp_path / name)


CONVERT = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
from ocrtrain.__main__ import main
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize("form", ["lmdb", "jsonl", "shards", "pairs"])
def test_a_disk_that_is_full(make: SimpleNamespace, tmp_path: Path, form: str) -> None:
    make.pairs(tmp_path / "in", ["x"] * 3)
    limit = 50 if form == "pairs" else 4000 if form == "lmdb" else 100
    words = ["convert", f"input={tmp_path / 'in'}", f"output={tmp_path / 'out'}", f"format={form}"]
    done = subprocess.run([sys.executable, "-c", CONVERT, str(limit), *words], capture_output=True, text=True)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr
    assert "cannot be written: " in done.stderr
    assert sorted(os.listdir(tmp_path)) == ["cache", "in"] or sorted(os.listdir(tmp_path)) == ["in"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_names_of_pipes_and_devices_are_not_read_from(make: SimpleNamespace, tmp_path: Path) -> None:
    """A device has no end, and a pipe that nobody writes to has no beginning."""
    for suffix in (".png", ".gt.txt", ".xml", ".tsv", ".tar", ".mdb", ".parquet"):
        os.mkfifo(tmp_path / f"pipe{suffix}")
    rows = "".join(
        f'{{"file_name": "{name}", "text": "x", "width": 9, "height": 9}}\n'
        for name in ("/dev/zero", "pipe.png")
    )
    (tmp_path / "lines.jsonl").write_text(rows)
    source = open_lines(tmp_path / "lines.jsonl")
    for index in range(2):
        for read in (source.images.encoded, lambda index: source.line(index, 0)):
            with pytest.raises(InputError, match="not a regular file"):
                read(index)
    for suffix in (".xml", ".tsv", ".tar", ".mdb", ".parquet", ".png"):
        with pytest.raises(InputError):
            open_lines(tmp_path / f"pipe{suffix}")
    (tmp_path / "pair").mkdir()
    (tmp_path / "pair" / "a.png").write_bytes(make.picture(0))
    os.mkfifo(tmp_path / "pair" / "a.gt.txt")
    with pytest.raises(InputError, match="text cannot be opened"):
        open_lines(tmp_path / "pair")


def test_a_saved_dataset_that_is_nested_without_end(make: SimpleNamespace, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    rows = {"image": [make.picture(0)], "text": ["x"]}
    datasets.Dataset.from_dict(rows).save_to_disk(str(tmp_path / "saved"))
    state = (tmp_path / "saved" / "state.json").read_text()
    deep = "[" * 900 + "]" * 900
    (tmp_path / "saved" / "state.json").write_text(
        state.replace('"_output_all_columns": false', f'"_output_all_columns": {deep}')
    )
    with pytest.raises(InputError, match="saved: "):
        open_lines(tmp_path / "saved")
