"""Milder rulers, each with its name and its rule: what the figures would be if some things did not matter."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ocrtrain.evaluation.edits import EditCounts, edit_table, exact_table
from ocrtrain.evaluation.intervals import rate_interval


@dataclass(frozen=True, slots=True)
class Variant:
    """A change that both sides undergo before they are compared; `words` tells whether words remain."""

    name: str
    rule: str
    fold: Callable[[str], str]
    words: bool = True


@dataclass(frozen=True, slots=True)
class VariantFigures:
    """What a variant comes to; `interval` is the 95% interval of its CER."""

    variant: Variant
    counts: EditCounts
    interval: tuple[float, float]


class _WithoutPunctuation(dict[int, int | None]):
    """A table for `str.translate` that looks up each character once, when it first occurs."""

    def __missing__(self, code: int) -> int | None:
        self[code] = None if unicodedata.category(chr(code)).startswith("P") else code
        return self[code]


_TABLE = _WithoutPunctuation()


def without_punctuation(text: str) -> str:
    """Remove what Unicode calls punctuation; white space that met there becomes one space."""
    return " ".join(text.translate(_TABLE).split())


def without_white_space(text: str) -> str:
    """Remove all white space."""
    return "".join(text.split())


VARIANTS = (
    Variant("case_folded", "upper and lower case are the same (Unicode case folding)", str.casefold),
    Variant(
        "no_punctuation",
        "punctuation (Unicode categories P*) is removed, then runs of white space are one space",
        without_punctuation,
    ),
    Variant("no_white_space", "white space is removed; there are no words then", without_white_space, False),
)


def judge_variants(truths: Sequence[str], predictions: Sequence[str]) -> list[VariantFigures]:
    """Count the edits that remain under each of `VARIANTS`, of N > 0 lines in NFC."""
    return [_judge(variant, truths, predictions) for variant in VARIANTS]


def _judge(variant: Variant, truths: Sequence[str], predictions: Sequence[str]) -> VariantFigures:
    folded = [variant.fold(truth) for truth in truths]
    wrong = [i for i, (truth, read) in enumerate(zip(truths, predictions, strict=True)) if truth != read]
    table = exact_table(folded)  # what was read exactly still is
    table[wrong] = edit_table([folded[i] for i in wrong], [variant.fold(predictions[i]) for i in wrong])
    interval = rate_interval(table[:, :3].sum(axis=1), table[:, 3])
    return VariantFigures(variant, EditCounts.from_list(table.sum(axis=0)), interval)
