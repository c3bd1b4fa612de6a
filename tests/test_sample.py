"""The sample of lines that lies in data/, for the first commands that people type."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

from ocrtrain.data.formats import open_lines

SAMPLE = Path(__file__).resolve().parents[1] / "data" / "lines"


def test_the_sample_is_read_whole_and_stays_small() -> None:
    for name, count in (("train", 48), ("val", 16)):
        lines = open_lines(str(SAMPLE / name))
        assert len(lines) == count and not lines.skipped
        assert all(text.strip() == text != "" for text in lines.originals)
    assert sum(path.stat().st_size for path in SAMPLE.rglob("*") if path.is_file()) < 1_000_000


def test_it_is_audited_and_trained_on_as_the_readme_says(
    command: Callable[..., CompletedProcess[str]], fit: Callable[..., CompletedProcess[str]]
) -> None:
    sets = [f"data.train={SAMPLE / 'train'}", f"data.val={SAMPLE / 'val'}"]
    assert command("audit", *sets).returncode == 0
    ended = fit(*sets, "trainer.max_steps=2", "run=sample")
    assert "48 training and 16 validation lines" in ended.stderr
