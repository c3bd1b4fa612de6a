"""Zip files of torch's: every part as it was written (what a reader makes of it: test_torch_file)."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ocrtrain.checkpoint.integrity import DamagedFile, check_zip


def test_a_part_that_does_not_fit_its_checksum_is_found(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    torch.save({"a": torch.full((5000,), 1.5)}, path)
    check_zip(path)
    whole = path.read_bytes()
    at = whole.index(torch.full((10,), 1.5).numpy().tobytes())
    path.write_bytes(whole[: at + 2] + b"\x00" + whole[at + 3 :])
    with pytest.raises(DamagedFile, match="CRC"):
        check_zip(path)
    path.write_bytes(whole[:-30])
    with pytest.raises(DamagedFile):
        check_zip(path)
