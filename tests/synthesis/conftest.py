"""A cache of fonts for each test."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep what a test remembers of fonts away from the user's cache."""
    monkeypatch.setenv("OCRTRAIN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"
