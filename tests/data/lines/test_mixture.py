"""Mixed sources: shares, streams that go on, and a name for each line."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ocrtrain.data import GeneratedLines, LineSets, build_line_sets
from ocrtrain.data.lines.mixture import JoinedLines, MixedLines, Part
from ocrtrain.errors import InputError
from ocrtrain.line import Line
from ocrtrain.synthesis import build_generator


class Lines:
    """Lines whose text tells number and epoch, and whose width changes with both."""

    def __init__(self, name: str, lines: int) -> None:
        self.name, self.lines = name, lines

    def __len__(self) -> int:
        return self.lines

    def line(self, index: int, epoch: int) -> Line:
        return Line(np.zeros((10, 10), np.uint8), f"{self.name} {index} {epoch}", self.name)

    def widths(self, epoch: int) -> NDArray[np.float32]:
        return np.arange(self.lines, dtype=np.float32) + 1000 * epoch

    def part_of(self, index: int) -> str:
        return ""


def parts(small: float = 1.0, large: float = 1.0) -> list[Part]:
    return [Part("small", Lines("s", 5), small), Part("large", Lines("l", 50), large, np.arange(10, 50))]


def texts(lines: MixedLines, epoch: int) -> list[str]:
    return [lines.line(i, epoch).text for i in range(len(lines))]


def test_an_epoch_has_the_shares_that_the_weights_say() -> None:
    mixed = MixedLines(parts(1, 3))
    assert len(mixed) == 45  # as many as there are
    assert Counter(mixed.part_of(i) for i in range(45)) == {"small": 11, "large": 34}
    assert [text[0] for text in texts(mixed, 0)] == ["s"] * 11 + ["l"] * 34
    assert len(MixedLines(parts(1, 3), lines=400)) == 400
    assert len(MixedLines(parts(1, 2), lines=10)) == 10


@pytest.mark.parametrize("weights", [(1, 1), (1, 9), (7, 2)])
def test_all_lines_of_a_source_come_equally_often(weights: tuple[float, float]) -> None:
    mixed = MixedLines(parts(*weights), seed=3)
    seen: list[str] = []
    for epoch in range(20):
        seen += texts(mixed, epoch)
        for name, lines in (("s", range(5)), ("l", range(10, 50))):
            count = Counter(int(text.split()[1]) for text in seen if text[0] == name)
            assert set(count) <= set(lines)
            assert max(count.values()) - min(count.get(i, 0) for i in lines) <= 1
    # The second time, it is a line of the source's next epoch.
    assert len(set(seen)) == len(seen)


def test_it_depends_on_seed_and_epoch_alone() -> None:
    mixed, again = MixedLines(parts(), seed=1), MixedLines(parts(), seed=1)
    assert texts(again, 7) == texts(mixed, 7)
    assert texts(mixed, 0) == texts(pickle.loads(pickle.dumps(again)), 0)
    assert texts(MixedLines(parts(), seed=2), 7) != texts(mixed, 7) != texts(mixed, 8)


def test_widths_are_those_of_the_lines() -> None:
    mixed = MixedLines(parts(3, 2), seed=5)
    for epoch in (0, 1, 9):
        expected = []
        for text in texts(mixed, epoch):
            _, index, time = text.split()
            expected.append(int(index) + 1000 * int(time))
        assert mixed.widths(epoch).tolist() == expected


def test_joined_lines_come_one_source_after_the_other() -> None:
    joined = JoinedLines(parts())
    assert len(joined) == 45
    assert [joined.part_of(i) for i in (0, 4, 5, 44)] == ["small", "small", "large", "large"]
    assert [joined.line(i, 0).text for i in (4, 5)] == ["s 4 0", "l 10 0"]
    assert joined.widths(0).tolist() == [*range(5), *range(10, 50)]


def opened(**settings: Any) -> LineSets:
    data = build_line_sets(**settings)
    data.open(columns_per_frame=4)
    return data


def test_stored_and_drawn_lines_mix(draw_lines: Callable[..., Path], tmp_path: Path) -> None:
    real = str(draw_lines(tmp_path / "real", count=20))
    drawn = build_generator(charset="xyz", fonts=["bundled"])
    mix = {"real": {"path": real, "weight": 3}, "drawn": {"generator": drawn, "lines": 40}}
    data = opened(mix=mix, holdout=0.1)
    assert len(data.train_set) == 18 + 40
    assert set(data.charset.symbols) == set(" abcäxyz")
    assert Counter(data.train_set[0, i].part for i in range(58)) == {"real": 44, "drawn": 14}  # type: ignore[union-attr]
    assert data.val_parts == ["real", "drawn"] and len(data.val_set) == 2 + 4
    source = data.val_set.source
    assert isinstance(source, JoinedLines) and isinstance(source.parts[1].source, GeneratedLines)
    aside = {source.line(i, 0).source for i in range(2)}
    assert not aside & {data.train_set.source.line(i, e).source for i in range(44) for e in range(3)}
    # What is drawn and what is stored is measured in one unit.
    assert data.train_set.widths(0).max() < 400


def test_a_source_may_bring_its_own_validation_lines(draw_lines: Callable[..., Path], tmp_path: Path) -> None:
    a, b, val = (str(draw_lines(tmp_path / name, count=10, seed=i)) for i, name in enumerate("abv"))
    data = opened(mix={"a": {"path": a, "val": val}, "b": b}, holdout=0.2)
    assert data.val_parts == ["a", "b"] and len(data.val_set) == 12 and len(data.train_set) == 18
    assert opened(mix={"a": a, "b": b}, val=val).val_parts == []


@pytest.mark.parametrize(
    ("mix", "message"),
    [
        ({}, "data.mix: is empty"),
        ({"a": {"weight": 2}}, "data.mix.a: needs a path or a generator"),
        ({"a": {"path": "x", "wieght": 2}}, "data.mix.a.wieght: is not a setting"),
        ({"a": {"path": "x", "weight": 0}}, "data.mix.a.weight=0: must be a positive number"),
        ({"a": {"path": "x", "weight": "much"}}, "data.mix.a.weight=much: must be a positive number"),
    ],
)
def test_mistakes_are_named(mix: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}"):
        opened(mix=mix)


def test_there_is_one_way_to_name_training_lines() -> None:
    with pytest.raises(InputError, match=r"^data\.mix: stands beside data\.train"):
        build_line_sets(train="a", mix={"b": "c"})
    with pytest.raises(InputError, match=r"^data\.train: must be given"):
        opened()
