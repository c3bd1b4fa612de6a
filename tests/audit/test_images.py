"""What is told of an image, and that it does not depend on who looks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ocrtrain.audit import images
from ocrtrain.audit.images import Seen, look, look_at_all
from ocrtrain.data.formats.folder import FolderSource


def test_equal_pixels_have_one_digest_and_their_shape_counts() -> None:
    pixels = np.arange(48, dtype=np.uint8).reshape(6, 8)
    assert look(pixels).digest == look(pixels.copy()).digest
    assert len({look(p).digest for p in (pixels, pixels.reshape(8, 6), pixels + 1, pixels[::-1])}) == 4
    assert (look(pixels).width, look(pixels).height) == (8, 6)


def test_paper_without_ink_is_blank() -> None:
    noise = np.random.default_rng(0).integers(225, 240, (30, 200), dtype=np.uint8)
    assert look(noise).blank
    noise[10:20, 20:60] = 40
    assert not look(noise).blank


def test_a_sketch_stands_for_steps_down_from_left_to_right() -> None:
    falling = np.tile(np.repeat(np.arange(65, dtype=np.uint8)[::-1] * 3 + 40, 4), (40, 1))
    falling[20:] = falling[20:, ::-1]
    upper, lower = np.split(np.unpackbits(look(falling).sketch), 2)
    assert upper.all() and not lower.any()


def test_the_number_of_processes_changes_nothing(
    draw_lines: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw_lines(tmp_path, count=70)
    damaged = tmp_path / "03.png"
    source = FolderSource(tmp_path)
    damaged.write_bytes(damaged.read_bytes()[:-40])
    monkeypatch.setattr(images, "FEW", 1)
    counted: list[int] = []
    alone, together = look_at_all(source, 1, counted.append), look_at_all(source, 2)
    assert counted == [64, 6]
    assert isinstance(alone[3], str) and alone[3] == together[3] and "damaged" in alone[3]
    for one, other in zip(alone, together, strict=True):
        if isinstance(one, Seen):
            assert isinstance(other, Seen) and one.digest == other.digest
            assert np.array_equal(one.sketch, other.sketch)
