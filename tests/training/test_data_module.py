"""Lines as Lightning takes them, and who may know of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from hydra.utils import instantiate

from ocrtrain.data import LineSets
from ocrtrain.training.data_module import LineDataModule


def test_presets_and_checkpoints_written_before_keep_their_names(
    draw_lines: Callable[..., Path], tmp_path: Path
) -> None:
    folder = str(draw_lines(tmp_path / "lines", count=4))
    lines = instantiate({"_target_": "ocrtrain.data.LineData", "train": folder, "batch_size": 2})
    assert isinstance(lines, LineSets) and lines.batching.batch_size == 2
    # Lightning looks for a data module's state under this name.
    assert LineDataModule(lines).__class__.__qualname__ == "LineData"


def test_lines_are_opened_and_batched_without_lightning(
    draw_lines: Callable[..., Path], tmp_path: Path
) -> None:
    folder = str(draw_lines(tmp_path / "lines", count=4))
    code = f"""
import sys
from ocrtrain.data import build_line_sets
lines = build_line_sets(train={folder!r}, batch_size=2)
lines.open(columns_per_frame=4)
assert len(next(iter(lines.batches()))) in (1, 2) and len(lines.val_batches()) == 1
print([name for name in ("lightning", "hydra", "ocrtrain.training") if name in sys.modules])
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.stdout.strip(), ended.returncode) == ("[]", 0), ended.stderr
