"""The compiled loops give the same numbers in every process, whoever compiled them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ocrtrain.model.ssm.backend import numba_missing

# Every loop, forward and backward: hashes of an output, and of all gradients.
HASHES = """
import hashlib, torch
from ocrtrain.model.ssm import Mamba, Mamba2

torch.manual_seed(0)
torch.set_num_threads(2)
for kind in (Mamba, Mamba2):
    layer, x = kind(64), torch.randn(3, 70, 64, requires_grad=True)
    y = layer(x, torch.tensor([70, 41, 5]))
    (y**2).sum().backward()
    parts = [y, x.grad, *(p.grad for p in layer.parameters())]
    print([hashlib.sha1(part.detach().numpy().tobytes()).hexdigest()[:8] for part in parts])
"""


@pytest.mark.skipif(numba_missing() is not None, reason=f"Numba cannot run: {numba_missing()}")
def test_who_compiles_rounds_like_who_reads_from_the_cache(tmp_path: Path) -> None:
    own = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    said = [
        subprocess.run(
            [sys.executable, "-c", HASHES], env=own, capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    ]
    assert list(tmp_path.rglob("*.nbc"))  # the first one compiled, and the second one did not have to
    assert said[0] == said[1] and said[0].count("[") == 2
