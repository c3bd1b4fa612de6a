"""Which lines go together, in which order, on which rank."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ocrtrain.data.batches.buckets import BatchLimit, EndlessBatches, padding_share, plan_by_width, plan_epoch

widths_of_lines = st.integers(1, 300).map(lambda n: random_widths(n, seed=n))


def random_widths(lines: int, seed: int = 0) -> NDArray[np.float32]:
    """Widths as those of lines: most of them middling, a few very long."""
    return np.random.default_rng(seed).lognormal(2.5, 0.6, lines).astype(np.float32)


class Lines:
    """Lines whose widths change from epoch to epoch, as those of generated lines do."""

    def __init__(self, lines: int) -> None:
        self.lines = lines

    def __len__(self) -> int:
        return self.lines

    def widths(self, epoch: int) -> NDArray[np.float32]:
        return random_widths(self.lines, seed=epoch)


@settings(max_examples=50, deadline=None)
@given(widths_of_lines, st.integers(1, 20), st.integers(0, 5), st.integers(0, 5))
def test_every_line_occurs_once(widths: NDArray[np.float32], batch_size: int, seed: int, epoch: int) -> None:
    plan = plan_epoch(widths, batch_size, seed, epoch)
    assert sorted(np.concatenate(plan).tolist()) == list(range(len(widths)))
    assert len(plan) == -(-len(widths) // batch_size)
    assert sorted(map(len, plan))[1:] == [batch_size] * (len(plan) - 1)


def as_lists(plan: list[NDArray[np.int64]]) -> list[list[int]]:
    return [batch.tolist() for batch in plan]


def test_a_plan_depends_on_seed_and_epoch_alone() -> None:
    widths = random_widths(500)
    plan = as_lists(plan_epoch(widths, 8, seed=3, epoch=7))
    np.random.seed(1)
    assert as_lists(plan_epoch(widths.copy(), 8, seed=3, epoch=7)) == plan
    others = [as_lists(plan_epoch(widths, 8, *key)) for key in ((3, 8), (4, 7), (7, 3))]
    assert all(sorted(map(sorted, other)) != sorted(map(sorted, plan)) for other in others)


def test_lines_meet_others_in_each_epoch_and_widths_come_in_no_order() -> None:
    widths = random_widths(2048)
    plan = plan_epoch(widths, 16, seed=0, epoch=0)
    means = [float(widths[batch].mean()) for batch in plan]
    assert abs(np.corrcoef(means, range(len(means)))[0, 1]) < 0.3


@pytest.mark.parametrize("batch_size", [4, 16, 64])
def test_little_is_padding(batch_size: int) -> None:
    widths = random_widths(6000)
    shuffled = np.array_split(np.random.default_rng(0).permutation(6000), 6000 // batch_size)
    assert padding_share(widths, plan_epoch(widths, batch_size, 0, 0)) < 0.1
    assert padding_share(widths, shuffled) > 0.3


def test_padding_share_by_hand() -> None:
    widths = np.array([1, 2, 3, 6], np.float32)
    # 2 + 2 + 6 + 6 columns hold 12.
    assert padding_share(widths, [np.array([0, 1]), np.array([2, 3])]) == pytest.approx(0.25)
    assert padding_share(widths, [np.array([i]) for i in range(4)]) == 0.0
    assert padding_share(widths[:0], []) == 0.0


def test_plan_by_width() -> None:
    assert as_lists(plan_by_width(np.array([5, 1, 4, 1, 3], np.float32), 2)) == [[1, 3], [4, 2], [0]]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 60), st.integers(1, 9), st.integers(0, 80), st.integers(1, 3))
def test_from_any_batch_on_the_sequence_is_the_same(lines: int, size: int, start: int, ranks: int) -> None:
    for rank in range(ranks):
        arguments = (Lines(lines), size, 5)
        whole = list(islice(EndlessBatches(*arguments, rank=rank, ranks=ranks), start + 6))
        rest = list(islice(EndlessBatches(*arguments, start=start, rank=rank, ranks=ranks), 6))
        assert rest == whole[start:]


def test_epochs_follow_one_another() -> None:
    batches = EndlessBatches(Lines(10), 4, seed=1)
    assert batches.batches_per_epoch == 3
    drawn = list(islice(batches, 9))
    for epoch in range(3):
        keys = sorted(key for batch in drawn[3 * epoch : 3 * epoch + 3] for key in batch)
        assert keys == [(epoch, i) for i in range(10)]


@pytest.mark.parametrize(("lines", "ranks"), [(48, 2), (48, 3), (50, 4), (3, 2)])
def test_ranks_share_each_batch(lines: int, ranks: int) -> None:
    whole = EndlessBatches(Lines(lines), 4, seed=1)
    parts = [EndlessBatches(Lines(lines), 4, seed=1, rank=rank, ranks=ranks) for rank in range(ranks)]
    assert {part.batches_per_epoch for part in parts} == {whole.batches_per_epoch}
    drawn = [list(islice(part, 2 * whole.batches_per_epoch)) for part in parts]
    for together, *shares in zip(islice(whole, 2 * whole.batches_per_epoch), *drawn, strict=True):
        assert sorted(together) == sorted(key for share in shares for key in share)  # each line once
        assert max(map(len, shares)) - min(map(len, shares)) <= 1


@settings(max_examples=60, deadline=None)
@given(widths_of_lines, st.integers(1, 20), st.floats(1, 400), st.sampled_from([1, 32]))
def test_a_limit_bounds_every_batch_and_epochs_are_alike(
    widths: NDArray[np.float32], batch_size: int, columns: float, multiple: int
) -> None:
    limit = BatchLimit(columns, multiple)
    plans = [plan_epoch(widths, batch_size, 1, epoch, limit) for epoch in range(3)]
    assert len({len(plan) for plan in plans}) == 1
    for plan in plans:
        assert sorted(np.concatenate(list(plan)).tolist()) == list(range(len(widths)))
        for batch in plan:
            padded = -(-float(widths[batch].max()) // multiple) * multiple
            assert len(batch) <= batch_size and (len(batch) == 1 or len(batch) * padded <= columns)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 200), st.integers(1, 20), st.floats(5, 400), st.integers(0, 20), st.integers(1, 3))
def test_epochs_have_as_many_batches_where_widths_change(
    lines: int, size: int, columns: float, start: int, ranks: int
) -> None:
    arguments = (Lines(lines), size, 5)
    for rank in range(ranks):
        options = {"rank": rank, "ranks": ranks, "limit": BatchLimit(columns)}
        whole = EndlessBatches(*arguments, **options)
        each = whole.batches_per_epoch
        drawn = list(islice(whole, max(3 * each, start + 3)))
        for epoch in range(3):
            assert {key[0] for batch in drawn[epoch * each : epoch * each + each] for key in batch} <= {epoch}
        assert list(islice(EndlessBatches(*arguments, start=start, **options), 3)) == drawn[start : start + 3]
        if ranks == 1:
            for epoch in range(3):
                seen = sorted(i for batch in drawn[epoch * each : epoch * each + each] for _, i in batch)
                assert seen == list(range(lines))


def test_mates_change_from_epoch_to_epoch() -> None:
    widths = random_widths(200)
    mates = [{frozenset(batch.tolist()) for batch in plan_epoch(widths, 16, 0, e)} for e in range(2)]
    assert len(mates[0] & mates[1]) < 3


def test_plan_by_width_with_a_limit() -> None:
    widths = random_widths(300)
    batches = plan_by_width(widths, 16, BatchLimit(120.0))
    assert sorted(np.concatenate(batches).tolist()) == list(range(300))
    assert all(len(b) == 1 or len(b) * widths[b].max() <= 120 for b in batches)
    assert [float(widths[b].max()) for b in batches] == sorted(float(widths[b].max()) for b in batches)


def test_a_plan_that_is_there_is_taken_for_the_first_epoch_alone() -> None:
    lines = Lines(40)
    plain = EndlessBatches(lines, 8, seed=2)
    first = plan_epoch(lines.widths(0), 8, seed=2, epoch=0)
    for start in (0, 3, 7):
        expected = [*islice(EndlessBatches(lines, 8, seed=2, start=start), 12)]
        assert [*islice(EndlessBatches(lines, 8, seed=2, start=start, first=first), 12)] == expected
    again = EndlessBatches(lines, 8, seed=2, first=first)
    assert [*islice(again, 12)] == [*islice(again, 12)] == [*islice(plain, 12)]


@pytest.mark.parametrize("most", [255, 65_535, 65_536, 2**30])
def test_whole_widths_are_sorted_as_any_others(most: int) -> None:
    """Whole numbers are sorted in a quicker way, as long as they are small: the plan must not tell."""
    widths = np.random.default_rng(most).integers(1, most, 300, endpoint=True).astype(np.float32)
    widths[7] = most
    whole, scaled = plan_epoch(widths, 8, seed=1, epoch=0), plan_epoch(widths / 1024, 8, seed=1, epoch=0)
    assert as_lists(whole) == as_lists(scaled)
