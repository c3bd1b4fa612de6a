"""NumPy archives that are damaged or malicious are refused, and no flipped bit becomes another number."""

from __future__ import annotations

import io
import random
import zipfile
from pathlib import Path

import numpy as np
import pytest

from ocrtrain.decoding.lm.archive import ArchiveError, read_arrays
from ocrtrain.decoding.lm.kneser_ney import build_language_model
from ocrtrain.decoding.lm.language_model import LanguageModel
from ocrtrain.errors import InputError

TEXT = ["abc def hBevH W8YbV\nabba cddc efg\n"]


def npy(array: np.ndarray, allow_pickle: bool = False) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, allow_pickle=allow_pickle)
    return stream.getvalue()


def packed(path: Path, members: list[tuple[str, bytes]]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def test_what_numpy_writes_is_read(tmp_path: Path) -> None:
    arrays = {"a": np.arange(5, dtype=">u2"), "b": np.array(7), "c": np.zeros(0, np.float32)}
    np.savez_compressed(tmp_path / "m.npz", **arrays)
    read = read_arrays(tmp_path / "m.npz")
    assert read.keys() == arrays.keys()
    for name, array in arrays.items():
        assert np.array_equal(read[name], array) and read[name].shape == array.shape


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_archives_that_lie_are_refused(tmp_path: Path) -> None:
    good = npy(np.arange(4))
    claims = good.replace(b"(4,)", b"(9,)")
    huge = good.replace(b"(4,), }     ", b"(10**15,), }").replace(b"(10**15,)", b"(9999999,)")
    pickled = npy(np.array([{}], dtype=object), allow_pickle=True)
    for name, members, reason in (
        ("doubled", [("a.npy", good), ("a.npy", good)], "two members"),
        ("short", [("a.npy", claims)], "another length"),
        ("huge", [("a.npy", huge)], "another length|damaged"),
        ("long", [("a.npy", good + b"x")], "another length"),
        ("object", [("a.npy", pickled)], "plain numbers"),
        ("square", [("a.npy", npy(np.zeros((2, 2))))], "plain numbers"),
        ("text", [("a.npy", npy(np.array(["a"])))], "plain numbers"),
        ("complex", [("a.npy", npy(np.zeros(2, complex)))], "plain numbers"),
        ("other", [("a.txt", b"")], "not NumPy arrays"),
        ("empty", [("a.npy", b"")], "damaged"),
        ("many", [(f"{i}.npy", good) for i in range(1001)], "1,001 members"),
        ("bomb", [("a.npy", bytes(2**27))], "claims to unpack into 134,217,728 bytes"),
    ):
        with pytest.raises(ArchiveError, match=reason):
            read_arrays(packed(tmp_path / f"{name}.npz", members))


def test_no_flipped_bit_becomes_another_model(tmp_path: Path) -> None:
    """The bits of a zip's own notes (a date, a version) change nothing; all others are noticed."""
    build_language_model(lambda: TEXT, 2).save(tmp_path / "m.npz")
    whole = (tmp_path / "m.npz").read_bytes()
    model = LanguageModel.load(tmp_path / "m.npz")
    draws = random.Random(0)
    refused = 0
    for _ in range(400):
        place, bit = draws.randrange(len(whole)), draws.randrange(8)
        flipped = bytearray(whole)
        flipped[place] ^= 1 << bit
        (tmp_path / "f.npz").write_bytes(flipped)
        try:
            read = LanguageModel.load(tmp_path / "f.npz")
        except InputError:
            refused += 1
        else:
            assert read.symbols == model.symbols and np.array_equal(read.nodes, model.nodes), (place, bit)
            assert np.array_equal(read.values, model.values), (place, bit)
    assert refused > 200


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("format", np.array(2)),
        ("format", np.array([1])),
        ("format", np.array(1.0)),
        ("order", np.array(0)),
        ("order", np.array(3)),
        ("order", np.array(1)),
        ("order", np.array(2**60)),
        ("symbols", np.array([0x110000], np.uint32)),
        ("symbols", np.array([0xD800], np.uint32)),
        ("symbols", np.array([-1])),
        ("symbols", np.zeros(0, np.uint32)),
        ("children1", np.array([2**62, 2**62])),
        ("children1", np.array([-1])),
        ("children1", np.zeros(0, np.uint8)),
        ("children2", np.array([1.5])),
        ("symbol1", np.array([0, 1, 2], np.uint8)),
        ("symbol2", np.full(30, 255, np.uint8)),
        ("log_prob1", np.array([np.nan])),
        ("log_prob2", np.zeros(0, np.float32)),
        ("backoff1", np.array([1, 2])),
        ("tuned", np.array([np.nan, 0.0])),
        ("tuned", np.array([1.0])),
        ("tuned", np.array(1.0)),
        ("tuned", np.array([1.0, np.inf])),
        ("unheard", np.array(1)),
    ],
)
def test_members_that_do_not_fit_are_refused(name: str, value: np.ndarray, tmp_path: Path) -> None:
    build_language_model(lambda: TEXT, 2).save(tmp_path / "m.npz")
    with np.load(tmp_path / "m.npz") as content:
        members = {**content, name: value}
    np.savez(tmp_path / "wrong.npz", **members)
    with pytest.raises(InputError, match=r"wrong\.npz"):
        LanguageModel.load(tmp_path / "wrong.npz")


def test_values_that_are_not_finite_are_refused_wherever_they_stand(tmp_path: Path) -> None:
    build_language_model(lambda: TEXT, 2).save(tmp_path / "m.npz")
    with np.load(tmp_path / "m.npz") as content:
        members = dict(content)
    for name in ("log_prob1", "log_prob2", "backoff1", "backoff2"):
        for wrong in (np.nan, np.inf, -np.inf):
            for place in (0, -1):
                spoiled = members[name].copy()
                spoiled[place] = wrong
                np.savez(tmp_path / "wrong.npz", **{**members, name: spoiled})
                with pytest.raises(InputError, match=r"wrong\.npz: has a [12]-gram"):
                    LanguageModel.load(tmp_path / "wrong.npz")
