"""Edit counts: what separates readings from the truth, and the rates that follow."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from ocrtrain.text import normalize

BLOCK = 2048
STRANGE_SPACE = re.compile(r"[^\S ]")  # where it does not occur, words are what `str.split` finds


@dataclass(frozen=True, slots=True)
class EditCounts:
    """Counts over any number of lines; counts of parts add up to the count of the whole.

    `characters`, `words`: of the references. `substitutions`, `deletions` (in the reference only) and
    `insertions` (in the reading only): of characters, in one shortest alignment per line. `word_edits`: all
    three, of words.
    """

    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0
    characters: int = 0
    word_edits: int = 0
    words: int = 0
    exact_lines: int = 0
    lines: int = 0

    def __add__(self, other: EditCounts) -> EditCounts:
        return EditCounts(*(a + b for a, b in zip(self.to_list(), other.to_list(), strict=True)))

    @property
    def edits(self) -> int:
        """The Levenshtein distances of all lines, summed."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def cer(self) -> float:
        """Character error rate: edits over reference characters; over 1 where the references are all empty.

        As in jiwer 4: it may exceed 1, nothing read where nothing stands is 0, "abc" read there is 3.
        """
        return self.edits / max(self.characters, 1)

    @property
    def wer(self) -> float:
        """Word error rate: the same, of words."""
        return self.word_edits / max(self.words, 1)

    @property
    def line_accuracy(self) -> float:
        """The share of lines that are read without any error; 0 where there are no lines."""
        return self.exact_lines / max(self.lines, 1)

    def to_list(self) -> list[int]:
        """List the counts in the order of the fields, to be summed over processes as one tensor."""
        return list(astuple(self))

    @classmethod
    def from_list(cls, counts: Iterable[float]) -> EditCounts:
        """Take counts in the order of `to_list`."""
        return cls(*(int(count) for count in counts))


def count_edits(references: Sequence[str], predictions: Sequence[str]) -> EditCounts:
    """Count the edits of a corpus, line by line; see `edit_table` for what is compared."""
    return EditCounts.from_list(edit_table(references, predictions).sum(axis=0))


def edit_table(references: Sequence[str], predictions: Sequence[str]) -> NDArray[np.int64]:
    """Count the edits of each line: int64 [N, 8], a row is one line's `EditCounts.to_list()`.

    Both sides are brought to NFC; nothing is stripped, so a space at an end counts (jiwer's default strips
    the ends before it counts characters). Words are what jiwer 4's default makes of a line; see
    `split_words`. Among several shortest alignments the one that rapidfuzz, jiwer's engine, finds is counted.
    Raises `ValueError` unless there are as many predictions as references.
    """
    if len(references) != len(predictions):
        raise ValueError(f"{len(references)} references, but {len(predictions)} predictions")
    # Block by block, since the word lists of a million lines would keep the garbage collector busy.
    blocks = range(0, len(references), BLOCK)
    tables = [_edit_table(references[i : i + BLOCK], predictions[i : i + BLOCK]) for i in blocks]
    return np.concatenate([np.zeros((0, len(fields(EditCounts))), np.int64), *tables])


def _edit_table(references: Sequence[str], predictions: Sequence[str]) -> NDArray[np.int64]:
    truths, readings = normalize_all(references), normalize_all(predictions)
    lengths = np.fromiter(map(len, truths), np.int64, len(truths))
    excess = np.fromiter(map(len, readings), np.int64, len(readings)) - lengths
    distances = _distances(truths, readings)
    insertions, deletions = np.maximum(excess, 0), np.maximum(-excess, 0)
    # Lengths and distance alone fix the three counts, unless an insertion and a deletion could pair up.
    for i in np.flatnonzero(distances - np.abs(excess) >= 2).tolist():
        operations = Levenshtein.editops(truths[i], readings[i]).as_list()
        deletions[i] = [operation[0] for operation in operations].count("delete")
        insertions[i] = excess[i] + deletions[i]
    substitutions = distances - insertions - deletions

    word_counts, word_edits = count_words(truths), np.zeros_like(distances)
    wrong = np.flatnonzero(distances)
    indices = wrong.tolist()
    sides = [_split_all([side[i] for i in indices]) for side in (truths, readings)]
    word_edits[wrong] = _distances(*sides)
    exact = (distances == 0).astype(np.int64)
    columns = (substitutions, deletions, insertions, lengths, word_edits, word_counts, exact)
    return np.stack([*columns, np.ones_like(exact)], axis=1)


def exact_table(texts: Sequence[str]) -> NDArray[np.int64]:
    """Give what `edit_table` gives where each text is read as it is, without comparing: int64 [N, 8]."""
    table = np.zeros((len(texts), len(fields(EditCounts))), np.int64)
    for start in range(0, len(texts), BLOCK):
        block = normalize_all(texts[start : start + BLOCK])
        rows = slice(start, start + len(block))
        table[rows, 3] = np.fromiter(map(len, block), np.int64, len(block))
        table[rows, 5] = count_words(block)
    table[:, 6:] = 1
    return table


def normalize_all(texts: Sequence[str]) -> Sequence[str]:
    """Bring texts to NFC; a look at all of them together tells whether there is anything to do."""
    if unicodedata.is_normalized("NFC", "\n".join(texts)):  # nothing composes with a line's end
        return texts
    return [normalize(text) for text in texts]


def count_words(texts: Sequence[str]) -> NDArray[np.int64]:
    """Count the words of each text, as `split_words` finds them: int64 [N]."""
    if STRANGE_SPACE.search("".join(texts)):
        return np.array([len(split_words(text)) for text in texts], np.int64)
    joined = "\n" + "\n".join(texts)
    characters = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32)
    blank = (characters == ord(" ")) | (characters == ord("\n"))
    begins = np.flatnonzero(blank[:-1] & ~blank[1:])
    lines = np.searchsorted(np.flatnonzero(characters == ord("\n")), begins, side="right") - 1
    return np.bincount(lines, minlength=len(texts)).astype(np.int64)


def _split_all(texts: Sequence[str]) -> list[list[str]]:
    return list(map(split_words if STRANGE_SPACE.search("".join(texts)) else str.split, texts))


def _distances(left: Sequence[Sequence[str]], right: Sequence[Sequence[str]]) -> NDArray[np.int64]:
    distances: NDArray[np.int64] = process.cpdist(left, right, scorer=Levenshtein.distance, dtype=np.int64)
    return distances


def split_words(text: str) -> list[str]:
    """Split at spaces as jiwer 4 does by default: runs of white space are one space, the ends are stripped.

    A single tab, no-break space or ideographic space between two words therefore does not part them.
    """
    words = text.split()
    if " ".join(words) == text:
        return words
    text = re.sub(r"\s\s+", " ", text).strip()
    return [word for word in text.split(" ") if word]
