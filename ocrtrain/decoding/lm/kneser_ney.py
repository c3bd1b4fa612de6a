"""N-grams of characters, counted in text and smoothed as Kneser, Ney, Chen and Goodman have taught.

Sources: Kneser and Ney, "Improved backing-off for m-gram language modeling", ICASSP 1995; Chen and Goodman,
"An empirical study of smoothing techniques for language modeling", 1998, section 3 (three discounts,
interpolated); Heafield et al., "Scalable modified Kneser-Ney language model estimation", ACL 2013 (counts at
the beginning of lines, the unknown symbol).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocrtrain.decoding.lm.language_model import LanguageModel
from ocrtrain.decoding.lm.level import SPECIAL, Level
from ocrtrain.errors import InputError

_UNKNOWN, _BEGIN, _END = range(3)
_FALLBACK = (0.5, 1.0, 1.5)  # discounts where too few n-grams occur once to four times to estimate them
_BITS = 63
HIGHEST_ORDER = _BITS  # of text with the fewest symbols; see `count_ngrams`
_CODES = 0x110000
_LINE_FEED = 10

Blocks = Callable[[], Iterable[str]]


@dataclass(frozen=True, slots=True)
class Counts:
    """Occurrences of n-grams of `order` symbols, packed into numbers of `bits` bits for each symbol.

    keys: uint64 [m], ordered, the first symbol in the highest bits; counts: int64 [m]. A line's first symbols
    have the begin of a line before them as often as it takes.
    """

    symbols: tuple[str, ...]
    order: int
    bits: int
    keys: NDArray[np.uint64]
    counts: NDArray[np.int64]


def build_language_model(blocks: Blocks, order: int) -> LanguageModel:
    """Build a model of `order` from text.

    blocks: called twice, gives the text in pieces of whole lines. Raises `InputError` where there is no
    text, and where the order is too high for so many symbols.
    """
    return smoothed(count_ngrams(blocks, order))


def count_ngrams(blocks: Blocks, order: int) -> Counts:
    """Count the n-grams of all lines that are not empty; see `build_language_model`."""
    seen = np.zeros(_CODES, bool)
    for block in blocks():
        seen[_codes(block)] = True
    seen[_LINE_FEED] = False
    characters = np.flatnonzero(seen)
    symbols = (*SPECIAL, *map(chr, characters.tolist()))
    if not len(characters):
        raise InputError("text", "holds no characters", "give a file or a folder with text.")
    bits = max(1, (len(symbols) - 1).bit_length())
    if order < 1 or order * bits > _BITS:
        raise InputError(
            f"order={order}",
            f"does not fit: of {len(symbols):,} symbols, orders 1 to {_BITS // bits} can be counted",
            "choose a lower order, or text with fewer different characters.",
        )
    numbers = np.zeros(_CODES, np.uint64)
    numbers[characters] = np.arange(len(SPECIAL), len(symbols))
    numbers[_LINE_FEED] = _END
    totals = (np.zeros(0, np.uint64), np.zeros(0, np.int64))
    for block in blocks():
        keys = np.sort(_packed(numbers[_codes(block)], order, bits))
        totals = _added(totals, _run_lengths(keys, np.ones(len(keys), np.int64)))
    return Counts(symbols, order, bits, *totals)


def _codes(block: str) -> NDArray[np.uint32]:
    """The code points of whole lines, one line feed behind each that is not empty."""
    codes = np.frombuffer((block.rstrip("\n") + "\n").encode("utf-32-le"), "<u4")
    ends = codes == _LINE_FEED
    empty = ends & np.concatenate([[True], ends[:-1]])
    return codes[~empty] if empty.any() else codes


def _packed(numbers: NDArray[np.uint64], order: int, bits: int) -> NDArray[np.uint64]:
    """The n-gram that ends at each symbol of lines that each end in `_END`."""
    keys, before = numbers.copy(), numbers
    starts = np.concatenate([[True], numbers[:-1] == _END])
    for back in range(1, order):
        # The symbols so many places before; beyond the first of a line stands its begin.
        before = np.concatenate([before[:1], before[:-1]])
        before[starts] = _BEGIN
        keys |= before << np.uint64(back * bits)
    return keys


def _run_lengths(
    keys: NDArray[np.uint64], counts: NDArray[np.int64]
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Sum the counts of equal neighbours of `keys`."""
    if not len(keys):
        return keys, counts
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    return keys[starts], np.add.reduceat(counts, starts)


def _added(
    one: tuple[NDArray[np.uint64], NDArray[np.int64]], other: tuple[NDArray[np.uint64], NDArray[np.int64]]
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    keys = np.concatenate([one[0], other[0]])
    order = np.argsort(keys, kind="stable")  # two ordered runs, which this sort merges in linear time
    return _run_lengths(keys[order], np.concatenate([one[1], other[1]])[order])


def smoothed(counts: Counts) -> LanguageModel:
    """Turn counts into an interpolated model with modified Kneser-Ney smoothing."""
    V, bits = len(counts.symbols), np.uint64(counts.bits)
    levels: list[Level] = []
    keys_below = np.zeros(0, np.uint64)
    probs_below = np.zeros(0)
    backoffs: list[NDArray[np.float64]] = []
    for n, (keys, adjusted) in enumerate(_adjusted(counts), 1):
        symbol = (keys & np.uint64((1 << counts.bits) - 1)).astype(np.int64)
        if n == 1:
            context = np.zeros(len(keys), np.int64)
            contexts = 1
            shorter = np.full(len(keys), 1 / (V - 1))  # drawn at random from all but the begin of a line
        else:
            context = np.searchsorted(keys_below, keys >> bits)
            contexts = len(keys_below)
            mask = np.uint64((1 << (counts.bits * (n - 1))) - 1)
            shorter = probs_below[np.searchsorted(keys_below, keys & mask)]
        discounts = estimate_discounts(adjusted)
        discount = discounts[np.minimum(adjusted, 3)]
        total = np.bincount(context, adjusted, minlength=contexts)
        taken = np.bincount(context, discount, minlength=contexts)
        with np.errstate(invalid="ignore", divide="ignore"):
            left = taken / total
        probs = (adjusted - discount) / total[context] + left[context] * shorter
        if n == 1:
            all_probs = np.full(V, left[0] / (V - 1))
            all_probs[symbol] = probs
            all_probs[_BEGIN] = 1e-99  # is never predicted, and only there as a context
            keys, symbol, context = np.arange(V, dtype=np.uint64), np.arange(V), np.zeros(V, np.int64)
            probs = all_probs
        else:
            backoffs.append(np.log(np.where(total > 0, left, 1.0)))
        levels.append(Level(context, symbol, np.log(probs), np.zeros(len(keys))))
        keys_below, probs_below = keys, probs
    backoffs.append(np.zeros(len(levels[-1].symbol)))
    return LanguageModel(
        counts.symbols,
        [
            Level(level.parent, level.symbol, level.log_prob, backoff)
            for level, backoff in zip(levels, backoffs, strict=True)
        ],
    )


def _adjusted(counts: Counts) -> Iterator[tuple[NDArray[np.uint64], NDArray[np.int64]]]:
    """Each length's n-grams, from 1 up, with the counts that smoothing works on.

    These are occurrences for the longest n-grams and for those that begin a line, and for all others
    the number of different symbols that come before them.
    """
    bits = counts.bits
    keys, raw, adjusted = counts.keys, counts.counts, counts.counts
    levels = []
    for n in range(counts.order, 0, -1):
        levels.append((keys, adjusted))
        if n == 1:
            break
        suffix = keys & np.uint64((1 << (bits * (n - 1))) - 1)
        order = np.argsort(suffix, kind="stable")
        suffix, raw = suffix[order], raw[order]
        keys, different = _run_lengths(suffix, np.ones(len(suffix), np.int64))
        _, raw = _run_lengths(suffix, raw)
        begins = (keys >> np.uint64(bits * (n - 2))) == _BEGIN
        adjusted = np.where(begins, raw, different)
    for n, (keys, adjusted) in zip(range(1, counts.order + 1), reversed(levels), strict=True):
        # More than one begin of a line is how n-grams shorter than n were written.
        real = keys >> np.uint64(bits * (n - 2)) != (_BEGIN << bits | _BEGIN) if n > 1 else slice(None)
        yield keys[real], adjusted[real]


def estimate_discounts(counts: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """Estimate what is taken from counts of 0, 1, 2, and 3 or more, by how many counts are 1 to 4."""
    n1, n2, n3, n4 = (int((counts == count).sum()) for count in (1, 2, 3, 4))
    if min(n1, n2, n3, n4) == 0:
        return np.array([0.0, *_FALLBACK])
    y = n1 / (n1 + 2 * n2)
    found = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
    if not all(0 < discount <= k for k, discount in enumerate(found, 1)):
        return np.array([0.0, *_FALLBACK])
    return np.array([0.0, *found])
