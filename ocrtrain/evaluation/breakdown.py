"""The same figures for parts of the lines: by source, length, width and script."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ocrtrain.evaluation.edits import EditCounts
from ocrtrain.evaluation.intervals import rate_interval

LENGTHS = (1, 2, 6, 11, 21, 41, 81, 161)  # where a group of lengths begins, in characters of the truth
ASPECTS = (0.0, 2.0, 5.0, 10.0, 20.0, 40.0)  # where a group of widths begins, in multiples of the height
MOST_GROUPS = 20


@dataclass(frozen=True, slots=True)
class Group:
    """Some of the lines; `interval` is the 95% interval of their CER."""

    name: str
    counts: EditCounts
    interval: tuple[float, float]


def break_down(
    labels: Sequence[str], table: NDArray[np.int64], order: Sequence[str] | None = None
) -> list[Group]:
    """Judge the lines of each label: table is int64 [N, 8], see `edit_table`; labels are N names.

    Groups come in `order`, by default those with most lines first; of more than 20, the smallest are put
    together. The counts of all groups add up to those of all lines.
    """
    sizes = Counter(labels)
    names = [name for name, _ in sizes.most_common()] if order is None else [n for n in order if n in sizes]
    kept = names if len(names) <= MOST_GROUPS else names[: MOST_GROUPS - 1]
    place = {name: i for i, name in enumerate(kept)}
    group = np.fromiter((place.get(label, len(kept)) for label in labels), np.int64, len(labels))
    shown = kept if len(kept) == len(names) else [*kept, f"({len(names) - len(kept)} others)"]
    return [_group(name, table[group == i]) for i, name in enumerate(shown)]


def _group(name: str, table: NDArray[np.int64]) -> Group:
    interval = rate_interval(table[:, :3].sum(axis=1), table[:, 3])
    return Group(name, EditCounts.from_list(table.sum(axis=0)), interval)


def break_down_all(
    labels: Mapping[str, Sequence[str]], table: NDArray[np.int64], aspects: Sequence[float] | None
) -> dict[str, list[Group]]:
    """Judge the lines by each of `labels`, by the length of the truth, and, where known, by width."""
    lengths = _ranges(LENGTHS)
    groups = {key: break_down(names, table) for key, names in labels.items()}
    groups["length"] = break_down([lengths[bisect_right(LENGTHS, n)] for n in table[:, 3]], table, lengths)
    if aspects is not None:
        widths = _ranges(ASPECTS)
        groups["width"] = break_down([widths[bisect_right(ASPECTS, a)] for a in aspects], table, widths)
    return groups


def _ranges(begins: Sequence[float]) -> list[str]:
    """Name the ranges before, between and after `begins`, those of whole numbers by their first and last."""
    whole = all(isinstance(begin, int) for begin in begins)
    names = [f"below {begins[0]:g}"]
    for begin, end in pairwise(begins):
        last = end - 1 if whole else end
        names.append(f"{begin:g}" if last == begin else f"{begin:g} to {last:g}")
    return [*names, f"{begins[-1]:g} and more"]


def folders(names: Iterable[str]) -> list[str]:
    """Name the folder of each line's file: "." for those that lie in none."""
    return [name.rpartition("/")[0] or "." for name in names]
