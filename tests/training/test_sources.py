"""A run on several sources tells how each fares."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest


def test_the_table_has_the_error_rate_of_each_source(
    fit: Callable[..., CompletedProcess[str]], draw_lines: Callable[..., Path], tmp_path: Path
) -> None:
    characters = {}
    for name, count in {"few": 4, "many": 12}.items():
        folder = draw_lines(tmp_path / name, count, seed=count)
        texts = [path.read_text("utf-8").rstrip("\n") for path in folder.glob("*.gt.txt")]
        characters[name] = sum(map(len, texts))
    mix = ",".join(f"{name}: {{path: {name}, val: {name}}}" for name in characters)
    fit(f"data.mix={{{mix}}}", "run=mixed", "trainer.max_steps=20", "trainer.validate_every_steps=10")
    rows = list(csv.DictReader((tmp_path / "runs/mixed/metrics.csv").read_text("utf-8").splitlines()))
    validated = [row for row in rows if row["val_cer"]]
    assert [row["step"] for row in validated] == ["10", "20"]
    for row in validated:
        edits = sum(float(row[f"val_cer {name}"]) * count for name, count in characters.items())
        assert edits / sum(characters.values()) == pytest.approx(float(row["val_cer"]), 1e-4)
