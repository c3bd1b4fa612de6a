"""What tests share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

REAL_LINES = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture
def real_lines() -> Callable[[str], Path]:
    """Find a folder of real lines by its name, such as "fraktur/train"; skips where there is none."""

    def find(name: str) -> Path:
        folder = REAL_LINES / name
        if not folder.is_dir():
            pytest.skip(f"real lines {name!r} are not beside this checkout")
        return folder

    return find
