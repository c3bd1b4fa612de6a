"""Files of tensors: as they were written, or refused; and no tensor that is not what it says."""

from __future__ import annotations

import math
import pickle
import random
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ocrtrain.checkpoint.integrity import DamagedFile, check_zip
from ocrtrain.checkpoint.torch_file import first_not_finite, read_torch_file


def content() -> dict[str, Any]:
    generator = torch.Generator().manual_seed(0)
    state = {f"layer{i}": torch.randn(30, 50, generator=generator) for i in range(5)}
    return {"state_dict": state, "steps": [1, 2.5, None, "text", True], "count": torch.tensor(3)}


def same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor):
        return isinstance(other, Tensor) and one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return (
            isinstance(other, dict)
            and one.keys() == other.keys()
            and all(same(one[k], other[k]) for k in one)
        )
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def test_what_was_written_comes_back_in_its_order_in_memory(tmp_path: Path) -> None:
    kernels = torch.randn(4, 3, 2, 2).to(memory_format=torch.channels_last)
    torch.save({**content(), "kernels": kernels}, tmp_path / "x.pt")
    found = read_torch_file(tmp_path / "x.pt")
    assert same(found, {**content(), "kernels": kernels})
    assert found["kernels"].stride() == kernels.stride()


def test_a_changed_bit_or_a_hole_is_never_read_in_silence(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    torch.save(content(), path)
    whole = path.read_bytes()
    draws = random.Random(0)
    refused = 0
    for i in range(120):
        damaged = bytearray(whole)
        at = draws.randrange(len(whole))
        if i % 3:
            damaged[at] ^= 1 << draws.randrange(8)
        else:
            damaged[at : at + 512] = bytes(len(damaged[at : at + 512]))
        path.write_bytes(damaged)
        try:
            # What no reader takes anything from, such as the space between two parts, may change.
            assert same(read_torch_file(path), content())
        except (DamagedFile, pickle.UnpicklingError):
            refused += 1
    assert refused > 80


def test_compressed_doubled_and_missing_parts_are_refused(tmp_path: Path) -> None:
    torch.save(content(), tmp_path / "x.pt")
    with zipfile.ZipFile(tmp_path / "x.pt") as file:
        parts = [(entry.filename, file.read(entry)) for entry in file.infolist()]
    for name, kind, doubled in (("small", zipfile.ZIP_DEFLATED, False), ("double", zipfile.ZIP_STORED, True)):
        path = tmp_path / name
        with zipfile.ZipFile(path, "w", kind) as file, pytest.MonkeyPatch.context() as patch:
            patch.setattr("warnings.warn", lambda *a, **k: None)
            for part in [*parts, *parts[-1:]] if doubled else parts:
                file.writestr(*part)
        with pytest.raises(DamagedFile, match="compressed" if name == "small" else "one name"):
            check_zip(path)


def test_a_tensor_that_claims_more_than_the_file_has_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    torch.save({"a": torch.arange(100.0)}, path)
    with zipfile.ZipFile(path) as file:
        parts = {entry.filename: file.read(entry) for entry in file.infolist()}
    huge = b"J" + (2_000_000_000).to_bytes(4, "little")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as file:
        for name, data in parts.items():
            file.writestr(name, data.replace(b"Kd", huge) if name.endswith("data.pkl") else data)
    with pytest.raises(DamagedFile):
        read_torch_file(path)


@pytest.mark.parametrize(
    "tensor",
    [
        torch.eye(3).to_sparse(),
        torch.empty(3, device="meta"),
        torch.ones(3, dtype=torch.complex64),
        torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
        torch.zeros(1).expand(10**12),
        torch.zeros(1, 1).expand(1000, 1000),
    ],
    ids=["sparse", "meta", "complex", "quantized", "huge", "repeated"],
)
def test_tensors_of_other_kinds_are_refused(tensor: Tensor, tmp_path: Path) -> None:
    torch.save({"a": tensor}, tmp_path / "x.pt")
    with pytest.raises(DamagedFile):
        read_torch_file(tmp_path / "x.pt")


def test_nesting_is_read_once_and_not_too_deep(tmp_path: Path) -> None:
    laughs: list[Any] = ["ha"]
    for _ in range(40):  # 2**40 of them, if each was looked at for itself
        laughs = [laughs, laughs]
    torch.save(laughs, tmp_path / "x.pt")
    assert len(read_torch_file(tmp_path / "x.pt")) == 2
    deep: list[Any] = []
    for _ in range(200):
        deep = [deep]
    torch.save(deep, tmp_path / "x.pt")
    with pytest.raises(DamagedFile, match="deep"):
        read_torch_file(tmp_path / "x.pt")


def test_what_is_not_finite_is_named() -> None:
    tensors = {"a": torch.ones(2), "b": torch.tensor([1, 2]), "c": torch.zeros(0), "d": "text"}
    assert first_not_finite(tensors) is None
    for value in (math.nan, math.inf, -math.inf):
        assert first_not_finite({**tensors, "e": torch.tensor([0.0, value])}) == "e"
