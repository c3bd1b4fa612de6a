"""Confusions: characters that are read as others, and how many of each kind are found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from rapidfuzz.distance import Levenshtein

from ocrtrain.evaluation.character_classes import character_class

LONGEST = 4  # characters on either side of a confusion of strings
CHUNK = 10_000  # lines whose characters are counted at once


@dataclass(frozen=True, slots=True)
class Found:
    """How a kind of character fares: `truth` of them stand there, `read` were read, `found` are both.

    A character is found where the alignment puts it upon the same character.
    """

    name: str
    truth: int
    read: int
    found: int

    @property
    def recall(self) -> float | None:
        """The share of those that stand there that were read; None if none stands there."""
        return self.found / self.truth if self.truth else None

    @property
    def precision(self) -> float | None:
        """The share of those that were read that stand there; None if none was read."""
        return self.found / self.read if self.read else None


@dataclass(slots=True)
class Confusions:
    """Counts of confusions along one shortest alignment per line; those of parts add up to the whole.

    `pairs`: (character of the truth, character read in its place), "" on the side that has nothing; their sum
    is the number of edits. `strings`: the same for whole stretches between characters that agree, where
    either side has more than one character and none more than 4, such as ("rn", "m"). `truth`, `read`: all
    characters of either side.
    """

    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)
    strings: Counter[tuple[str, str]] = field(default_factory=Counter)
    truth: Counter[str] = field(default_factory=Counter)
    read: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: Confusions) -> Confusions:
        return Confusions(
            self.pairs + other.pairs,
            self.strings + other.strings,
            self.truth + other.truth,
            self.read + other.read,
        )

    def characters(self) -> list[Found]:
        """Tell how each character fares, those with most errors first."""
        missed: Counter[str] = Counter()
        for (truth, _), count in self.pairs.items():
            missed[truth] += count
        every = sorted(self.truth.keys() | self.read.keys())
        found = [Found(c, self.truth[c], self.read[c], self.truth[c] - missed[c]) for c in every]
        return sorted(found, key=lambda f: -(f.truth + f.read - 2 * f.found))

    def classes(self) -> list[Found]:
        """Tell how each class of characters fares, the most frequent first."""
        sums: dict[str, list[int]] = {}
        for each in self.characters():
            total = sums.setdefault(character_class(each.name), [0, 0, 0])
            for i, count in enumerate((each.truth, each.read, each.found)):
                total[i] += count
        found = [Found(name, *counts) for name, counts in sums.items()]
        return sorted(found, key=lambda f: -f.truth)

    def spaces(self) -> Found:
        """Tell how white space fares: the words that run together, and those that are torn apart."""
        return next((f for f in self.classes() if f.name == "spaces"), Found("spaces", 0, 0, 0))


def count_confusions(truths: Sequence[str], predictions: Sequence[str]) -> Confusions:
    """Count the confusions of N lines, both sides in NFC."""
    counted = Confusions()
    for start in range(0, len(truths), CHUNK):
        counted.truth.update("".join(truths[start : start + CHUNK]))
        counted.read.update("".join(predictions[start : start + CHUNK]))
    for truth, prediction in zip(truths, predictions, strict=True):
        if truth != prediction:
            _count_line(truth, prediction, counted)
    return counted


def _count_line(truth: str, prediction: str, counted: Confusions) -> None:
    """Count a line's pairs, and its stretches of neighbouring edits, which `editops` lists in order."""
    pairs, strings = counted.pairs, counted.strings
    begin = end = read_begin = read_end = 0
    steps: list[tuple[str, int, int]] = Levenshtein.editops(truth, prediction).as_list()  # type: ignore[assignment]
    for operation, i, j in steps:
        if i != end or j != read_end:  # something agrees in between
            _count_string(truth[begin:end], prediction[read_begin:read_end], strings)
            begin, read_begin = i, j
        end, read_end = i + (operation != "insert"), j + (operation != "delete")
        pairs[truth[i:end], prediction[j:read_end]] += 1
    _count_string(truth[begin:end], prediction[read_begin:read_end], strings)


def _count_string(truth: str, read: str, strings: Counter[tuple[str, str]]) -> None:
    if 1 < max(len(truth), len(read)) <= LONGEST:
        strings[truth, read] += 1
