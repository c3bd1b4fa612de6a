"""Logical order to display order and back: texts are read as they are typed, images from left to right.

A recognizer's frames run from left to right, so it learns a text's characters in the order in which they
stand in the image, which the Unicode bidirectional algorithm (UAX 9) gives. Brackets and other paired signs
within right-to-left text are learned as they look, mirrored. A mark stays behind the letter that it stands
on, whatever the direction: as in scripts from left to right, and so that it cannot end up on another letter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Literal
from unicodedata import bidirectional

import numpy as np

from ocrtrain.errors import InputError

Direction = Literal["auto", "ltr", "rtl", "none"]

MOSTLY = 0.95  # of the lines with letters: from this share on, a set is one of right-to-left lines

# The blocks whose characters run from right to left, assigned or not, and the signs that make others do so.
_RIGHT_TO_LEFT = re.compile(
    "[\u0590-\u08ff\u200f\u202b\u202e\u2067\ufb1d-\ufdff\ufe70-\ufeff"
    "\U00010800-\U00010fff\U0001e800-\U0001efff]"
)
# Invisible signs that open or close an embedding. No image shows them: they keep their place and do nothing.
_EMBEDDING = frozenset(("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI", "BN"))
_IGNORED, _LETTER = "\u200b", "a"

# Three digits to base 32 make a tag. The first three blocks are of class BN, which the algorithm ignores;
# marks (class NSM, the second three) go with their letter even at the end of a line.
_TAGS, _MARKS, _BASE = 0xE0020, 0xE0100, 32
MAX_LENGTH = _BASE**3

Order = list[tuple[int, bool]]


def runs_right_to_left(text: str) -> bool:
    """Tell whether anything in `text` may run from right to left."""
    return not text.isascii() and _RIGHT_TO_LEFT.search(text) is not None


def mixes_directions(text: str, direction: Direction) -> bool:
    """Tell whether anything in `text` runs against the direction of its line."""
    against = ("R", "AL", "AN") if base_direction(text, direction) == "ltr" else ("L", "EN", "AN")
    return any(bidirectional(character) in against for character in text)


def base_direction(text: str, direction: Direction) -> Literal["ltr", "rtl"]:
    """Give the direction of a whole line: `direction`, or with "auto" that of most of its letters.

    Counting letters gives the same answer for the logical and the display order, and for the first line of
    a paragraph as for the others, in which any word may come first.
    """
    if direction != "auto":
        return "rtl" if direction == "rtl" else "ltr"
    classes = [bidirectional(character) for character in text]
    leftward = classes.count("R") + classes.count("AL")
    return "rtl" if leftward > classes.count("L") else "ltr"


def settle(direction: Direction, texts: Sequence[str]) -> Direction:
    """Decide for a set of texts what "auto" leaves open: how lines without letters run.

    "ltr" if nothing in them runs from right to left, "rtl" if nearly all lines with letters do, else "auto":
    each line by its own letters.
    """
    if direction != "auto":
        return direction
    candidates = [text for text in texts if runs_right_to_left(text)]
    if not candidates:
        return "ltr"
    leftward = sum(base_direction(text, "auto") == "rtl" for text in candidates)
    lettered = sum(any(bidirectional(c) in ("L", "R", "AL") for c in text) for text in texts)
    return "rtl" if leftward >= MOSTLY * lettered else "auto"


def to_display(text: str, direction: Direction) -> str:
    """Give the characters of `text` from left to right as an image shows them, brackets as they look."""
    if stays(text, direction):
        return text
    clusters = _clusters(text)
    return _arrange(clusters, _display_order(clusters, base_direction(text, direction)))


def to_logical(shown: str, direction: Direction) -> list[tuple[int, str]] | None:
    """Give what is read from left to right in logical order: each character with its place in `shown`.

    None stands for a line that stays as it is. Several texts can look the same ("abc 1" within Hebrew is
    "abc 1" or "1 abc"): of those, the one that reads on within a phrase from left to right is given. The
    result looks like `shown` wherever any text does, but for odd mixes of digits and unpaired brackets.
    """
    if stays(shown, direction):
        return None
    clusters = _clusters(shown)
    base = base_direction(shown, direction)
    first: Order | None = None
    for order in _guesses(clusters, base):
        logical = [_turned(clusters[i], odd) for i, odd in order]
        if _arrange(logical, _display_order(logical, base)) == shown:
            break
        first = first or order
    else:
        assert first is not None
        order = first
    starts = np.cumsum([0, *map(len, clusters)]).tolist()
    return [
        (starts[i] + k, character)
        for i, odd in order
        for k, character in enumerate(_turned(clusters[i], odd))
    ]


def mirrored(character: str) -> str:
    """Give the sign that looks like `character` does in a right-to-left run: ")" for "(", mostly itself."""
    from bidi.mirror import MIRRORED

    return str(MIRRORED.get(character, character))


def stays(text: str, direction: Direction) -> bool:
    """Tell whether `text`, and so any part of it, is the same in logical and in display order."""
    return direction == "none" or not text or (direction != "rtl" and not runs_right_to_left(text))


def _clusters(text: str) -> list[str]:
    """Split `text` before everything that is no mark."""
    starts = [i for i, c in enumerate(text) if i == 0 or c < "\u0300" or bidirectional(c) != "NSM"]
    return [text[start:end] for start, end in zip(starts, [*starts[1:], len(text)], strict=True)]


def _turned(cluster: str, odd: bool) -> str:
    return mirrored(cluster[0]) + cluster[1:] if odd else cluster


def _arrange(clusters: Sequence[str], order: Order) -> str:
    return "".join(_turned(clusters[i], odd) for i, odd in order)


def _display_order(clusters: Sequence[str], base: Literal["ltr", "rtl"]) -> Order:
    """Name clusters by their indices from left to right, each with whether it runs from right to left.

    python-bidi gives a string and not the places in it, so every character takes its index along, spelled in
    three invisible characters that the algorithm lets follow it: (lowest digit first) they come after it, or
    reversed before it where it runs from right to left.
    """
    from bidi import get_display

    n = len(clusters)
    if n > MAX_LENGTH:
        raise InputError(
            f"text {clusters[0]}{clusters[1]}{clusters[2]}...",
            f"has {n:,} characters, and the most that are put in order are {MAX_LENGTH:,}",
            "cut the line into shorter ones.",
        )
    heads = [_probe(cluster[0]) for cluster in clusters]
    codes = np.empty((n, 4), np.uint32)
    codes[:, 0] = [ord(head) for head in heads]
    codes[:, 1:] = _TAGS + _BASE * np.arange(3) + np.arange(n)[:, None] // _BASE ** np.arange(3) % _BASE
    written = (i for i in range(n - 1, -1, -1) if bidirectional(heads[i]) not in ("WS", "BN"))
    # What is ignored counts as space where nothing but space follows.
    codes[next(written, 0), 1:] += _MARKS - _TAGS
    shown = get_display(codes.tobytes().decode("utf-32-le"), base_dir="R" if base == "rtl" else "L")
    found = np.frombuffer(shown.encode("utf-32-le"), np.uint32).astype(np.int64)
    found = found[found >= _TAGS].reshape(n, 3)
    digits = np.where(found >= _MARKS, found - _MARKS, found - _TAGS)
    indices = (digits % _BASE * _BASE ** (digits // _BASE)).sum(1)
    return list(zip(indices.tolist(), (digits[:, 0] >= 2 * _BASE).tolist(), strict=True))


def _probe(character: str) -> str:
    """Give a character's stand-in while lines are put in order: itself, if it is neither a sign nor a tag."""
    kind = bidirectional(character)
    if kind in _EMBEDDING:
        return _IGNORED
    if kind in ("B", "S"):  # the line goes on behind it
        return " "
    if ord(character) >= _TAGS:  # of private use, or of an emoji
        return _LETTER if kind in ("", "L") else _IGNORED
    return character


def _guesses(clusters: Sequence[str], base: Literal["ltr", "rtl"]) -> Iterator[Order]:
    """Propose logical orders of what is shown, the likeliest first."""
    n = len(clusters)
    seen = _display_order(clusters, base)
    if base == "rtl":
        # Read from the right, with phrases from left to right taken whole, digits and all; then without that.
        for row in (_phrases_as_letters(clusters, seen), clusters):
            backwards = [mirrored(cluster[0]) for cluster in reversed(row)]
            order = _display_order(backwards, base)
            yield [(n - 1 - i, odd) for i, odd in reversed(order)]
    yield seen


def _phrases_as_letters(clusters: Sequence[str], order: Order) -> list[str]:
    """Put a letter for everything in the left-to-right runs that have letters."""
    row = list(clusters)
    leftward = dict(order)
    start = 0
    while start < len(row):
        end = start
        while end < len(row) and leftward[end] == leftward[start]:
            end += 1
        if not leftward[start] and any(bidirectional(c[0]) == "L" for c in row[start:end]):
            row[start:end] = [_LETTER] * (end - start)
        start = end
    return row
