"""Reads what `torch.save` wrote, as it was written, and nothing but tensors and plain values."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ocrtrain.checkpoint.integrity import DamagedFile, check_zip

DEEPEST = 50  # nested mappings and lists
KINDS = {
    *(torch.float64, torch.float32, torch.float16, torch.bfloat16),
    *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
}


def read_torch_file(path: Path) -> Any:
    """Read the file at `path`, in torch's zip format: nested mappings and lists of tensors and plain values.

    Nothing in it is executed: unknown types are refused by torch's restricted unpickler. Raises
    `pickle.UnpicklingError` for what is of another kind or holds anything else, and DamagedFile where the
    checksums do not fit or a tensor is not what it says.
    """
    if not zipfile.is_zipfile(path):
        with open(path, "rb") as file:
            if (start := file.read(2)) == b"PK" or not start:
                raise DamagedFile("the end is missing")
        raise pickle.UnpicklingError("not in torch's zip format")
    check_zip(path)
    try:
        with warnings.catch_warnings(
            action="ignore"
        ):  # what a foreign file makes torch say, we say ourselves
            # Mapped: a tensor that claims more than the file has gets no more than that, and is refused.
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        return _Owner(path.stat().st_size).own(content)
    except (pickle.UnpicklingError, DamagedFile):
        raise
    except Exception as error:  # whatever torch says of a damaged or foreign file
        raise DamagedFile(str(error).partition("\n")[0] or type(error).__name__) from None


class _Owner:
    """Copies nested values out of a mapped file of `size` bytes, checked, each once."""

    def __init__(self, size: int) -> None:
        # Tensors may share their numbers, but not so many times that a small file fills the memory.
        self.left = 4 * size + 2**20
        self.copies: dict[int, Any] = {}
        self.originals: list[Any] = []  # so that no other takes their place and their id

    def own(self, value: Any, depth: int = 0) -> Any:
        if value is None or type(value) in (bool, int, float, str, bytes):
            return value
        if depth > DEEPEST:
            raise DamagedFile("it is nested too deep")
        if id(value) in self.copies:
            return self.copies[id(value)]
        self.originals.append(value)
        if isinstance(value, Tensor):
            copy: Any = self._tensor(value)
        elif isinstance(value, Mapping):
            copy = {key: self.own(item, depth + 1) for key, item in value.items()}
        elif isinstance(value, list):
            copy = [self.own(item, depth + 1) for item in value]
        elif isinstance(value, tuple):
            copy = tuple(self.own(item, depth + 1) for item in value)
        else:
            raise pickle.UnpicklingError(f"a {type(value).__name__}")
        self.copies[id(value)] = copy
        return copy

    def _tensor(self, value: Tensor) -> Tensor:
        if value.layout != torch.strided or value.device.type != "cpu" or value.is_nested:
            raise DamagedFile("a tensor is sparse or without values")
        if value.dtype not in KINDS:
            raise DamagedFile(f"a tensor is of the kind {value.dtype}")
        size = value.numel() * value.element_size()
        self.left -= size
        if size > value.untyped_storage().nbytes() or self.left < 0:
            raise DamagedFile("a tensor is larger than the file")
        # In the order in memory that it had: fused optimizers rely on that of the parameters.
        return value.detach().clone()


def first_not_finite(tensors: Mapping[str, Any]) -> str | None:
    """Name the first of the tensors that holds NaN or an infinity; None if all numbers are finite."""
    for name, value in tensors.items():
        if isinstance(value, Tensor) and value.is_floating_point() and value.numel():
            least, most = torch.aminmax(value)  # NaN goes through both
            if not (torch.isfinite(least) and torch.isfinite(most)):
                return str(name)
    return None
