"""A sample depends on its key alone, and a batch holds its samples."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from ocrtrain.data.batches.batch import Batch
from ocrtrain.data.batches.buckets import EndlessBatches
from ocrtrain.data.batches.collate import Collate, Sample, Unreadable
from ocrtrain.data.batches.dataset import LineDataset
from ocrtrain.data.formats.folder import FolderSource
from ocrtrain.data.images.augment import Augment
from ocrtrain.data.images.preprocess import Preprocess
from ocrtrain.data.lines.generated import GeneratedLines
from ocrtrain.synthesis import build_generator
from ocrtrain.text import Charset


@pytest.fixture(params=["real", "generated"])
def dataset(request: pytest.FixtureRequest, draw_lines: Callable[..., Path], tmp_path: Path) -> LineDataset:
    """Ten lines, some of them of 12 on disk, all changed a little."""
    preprocess = Preprocess(height=24, multiple=16)
    if request.param == "real":
        source = FolderSource(draw_lines(tmp_path))
        indices = [11, 2, 3, 4, 5, 6, 7, 8, 9, 10]
        return LineDataset(source, preprocess, Charset(" abcä"), Augment(), seed=3, indices=indices)
    generator = build_generator(charset="abc", fonts=["bundled"], height=24, channels=1)
    return LineDataset(GeneratedLines(generator, 10, seed=5), preprocess, Charset("abc"), Augment(), seed=3)


def sample(dataset: LineDataset, epoch: int, index: int) -> Sample:
    found = dataset[epoch, index]
    assert isinstance(found, Sample)
    return found


def same(one: Batch, other: Batch) -> bool:
    tensors = all(
        torch.equal(getattr(one, name), getattr(other, name))
        for name in ("pixels", "widths", "targets", "target_lengths")
    )
    return tensors and (one.texts, one.sources, one.unreadable) == (
        other.texts,
        other.sources,
        other.unreadable,
    )


def test_the_same_key_gives_the_same_sample_in_any_order(dataset: LineDataset) -> None:
    keys = [(epoch, index) for epoch in range(2) for index in range(len(dataset))]
    before = {key: sample(dataset, *key) for key in keys}
    for key in reversed(keys):
        again = sample(dataset, *key)
        assert np.array_equal(again.pixels, before[key].pixels)
        assert (again.text, again.source, again.labels) == (
            before[key].text,
            before[key].source,
            before[key].labels,
        )
    changes = [np.array_equal(before[0, i].pixels, before[1, i].pixels) for i in range(len(dataset))]
    assert not any(changes)  # another epoch, other changes


def test_another_seed_gives_other_changes(dataset: LineDataset) -> None:
    first = sample(dataset, 0, 0).pixels
    dataset.seed = 4
    assert not np.array_equal(first, sample(dataset, 0, 0).pixels)


def test_batches_do_not_depend_on_the_number_of_workers(dataset: LineDataset) -> None:
    def batches(workers: int) -> list[Batch]:
        torch.manual_seed(workers)
        sampler = EndlessBatches(dataset, 4, seed=1)
        loader = DataLoader(
            dataset, batch_sampler=sampler, num_workers=workers, collate_fn=Collate(dataset.preprocess)
        )
        return list(islice(loader, 7))

    alone, with_two = batches(0), batches(2)
    assert all(same(one, other) for one, other in zip(alone, with_two, strict=True))
    assert [len(batch) for batch in alone[:3]].count(4) == 2


def test_labels_are_the_classes_of_the_text(dataset: LineDataset) -> None:
    for index in range(len(dataset)):
        found = sample(dataset, 1, index)
        assert dataset.charset.decode(found.labels) == found.text
        assert found.pixels.shape[:2] == (1, 24)


def test_indices_choose_lines_and_their_widths(draw_lines: Callable[..., Path], tmp_path: Path) -> None:
    source = FolderSource(draw_lines(tmp_path))
    chosen = LineDataset(source, Preprocess(), Charset(" abcä"), indices=[7, 2])
    assert len(chosen) == 2
    assert [Path(sample(chosen, 0, i).source).name for i in range(2)] == ["07.png", "02.png"]
    assert chosen.widths(0).tolist() == [Preprocess().columns(a) for a in source.widths(0)[[7, 2]]]


def test_judged_lines_keep_their_text_though_it_cannot_be_written(
    draw_lines: Callable[..., Path], tmp_path: Path
) -> None:
    draw_lines(tmp_path, count=1)
    (tmp_path / "00.gt.txt").write_text("xaybz")
    found = sample(LineDataset(FolderSource(tmp_path), Preprocess(), Charset("ab")), 0, 0)
    assert (found.text, found.labels) == ("xaybz", [1, 2])


def test_a_damaged_line_is_named_and_the_others_stay(draw_lines: Callable[..., Path], tmp_path: Path) -> None:
    source = FolderSource(draw_lines(tmp_path, count=3))
    image = tmp_path / "01.png"
    image.write_bytes(image.read_bytes()[:-40])
    dataset = LineDataset(source, Preprocess(), Charset(" abcä"))
    damaged = dataset[0, 1]
    assert isinstance(damaged, Unreadable) and str(image) in damaged.reason
    batch = Collate(dataset.preprocess)([dataset[0, i] for i in range(3)])
    assert [Path(name).name for name in batch.sources] == ["00.png", "02.png"]
    assert len(batch) == 2 and batch.pixels.shape[0] == 2 and batch.unreadable == [damaged.reason]


def test_a_batch_of_damaged_lines_is_empty() -> None:
    batch = Collate(Preprocess())([Unreadable("a"), Unreadable("b")])
    assert len(batch) == 0 and batch.unreadable == ["a", "b"]
    assert batch.pixels.shape == (0, 1, 40, 32) and batch.targets.shape == (0, 0)


def test_a_batch_is_padded_with_zeros() -> None:
    def of(width: int, labels: list[int]) -> Sample:
        return Sample(np.full((1, 8, width), 200, np.uint8), labels, "x" * len(labels), f"{width}.png")

    batch = Collate(Preprocess(height=8, multiple=16))([of(20, [1, 2]), of(3, [3, 3, 1])])
    assert batch.pixels.shape == (2, 1, 8, 32) and batch.pixels.dtype == torch.uint8
    assert batch.widths.tolist() == [20, 3]
    for row, width in enumerate((20, 3)):
        assert (batch.pixels[row, ..., :width] == 200).all() and not batch.pixels[row, ..., width:].any()
    assert batch.targets.tolist() == [[1, 2, 0], [3, 3, 1]] and batch.target_lengths.tolist() == [2, 3]
    moved = batch.to("cpu")
    assert same(moved, batch)


def test_a_batch_of_a_fixed_width_has_it() -> None:
    narrow = Sample(np.zeros((3, 32, 10), np.uint8), [1], "x", "a.png")
    assert Collate(Preprocess(32, 3, width=320))([narrow]).pixels.shape == (1, 3, 32, 320)
