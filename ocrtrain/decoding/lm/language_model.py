"""A language model of characters: n-grams with backing off, as arrays that a compiled search walks."""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocrtrain.decoding.lm.archive import ArchiveError, read_arrays
from ocrtrain.decoding.lm.level import BEGIN, END, SPECIAL, UNKNOWN, Level
from ocrtrain.decoding.lm.model_check import LEAST_LOG_PROB, MOST_NODES, ModelError, check_model
from ocrtrain.decoding.tables import BACKOFF, FIRST, FOLLOW, LOG_PROB, SUFFIX, SYMBOL_OF, Model
from ocrtrain.errors import InputError
from ocrtrain.files import atomic_path
from ocrtrain.text import Charset, normalize

FORMAT = 1


class LanguageModel:
    """log P(next character | those before it), in natural logarithms.

    symbols: the special ones (unknown, begin and end of a line), then characters; `weight` and `bonus` are
    what tuning found to be good for fusing it with a recognizer, or None. Raises `ModelError` for what
    compiled code could not walk safely, see `check_model`.
    """

    def __init__(
        self,
        symbols: Sequence[str],
        levels: Sequence[Level],
        weight: float | None = None,
        bonus: float | None = None,
    ) -> None:
        check_model(symbols, levels, weight, bonus)
        self.symbols = tuple(symbols)
        self.order = len(levels)
        self.weight, self.bonus = weight, bonus
        self.levels = tuple(levels)
        self.nodes, self.values = _linked(self.levels, len(self.symbols))
        self._index = {symbol: i for i, symbol in enumerate(self.symbols)}

    def __len__(self) -> int:
        return sum(len(level.symbol) for level in self.levels)

    @property
    def start(self) -> int:
        """The context that begins a line."""
        return int(self.nodes[1 + self._index[BEGIN], FOLLOW])

    def log_prob(self, text: str, ends: bool = True) -> float:
        """log P(text) of a whole line, with its end or without."""
        from ocrtrain.decoding.steps_numba import model_step

        state, total = self.start, 0.0
        for character in normalize(text):
            symbol = self._index.get(character)
            if symbol is None:
                total, state = total + self.unknown_log_prob, 0
            else:
                more, state = model_step(self.nodes, self.values, state, symbol)
                total += more
        return total + (model_step(self.nodes, self.values, state, self._index[END])[0] if ends else 0.0)

    @property
    def unknown_log_prob(self) -> float:
        """Log-probability of a character that the model never saw: at least that of one drawn at random.

        A model's own value is the smaller the more text it was built from, down to a ban. But the recognizer
        has seen the character, and a text that merely lacks it is no argument against it.
        """
        return max(float(self.values[1 + self._index[UNKNOWN], LOG_PROB]), -log(len(self.symbols)))

    def bind(self, charset: Charset, weight: float, bonus: float) -> Model:
        """Give the model in the terms of `charset`; raises `InputError` if they share no character."""
        known = [self._index.get(symbol, -1) for symbol in charset.symbols]
        if max(known) < 0:
            some = "".join(self.symbols[len(SPECIAL) :][:20])
            raise InputError(
                "lm",
                f"knows none of the characters that the recognizer writes, but {some!r}",
                "build one from text in the recognizer's script: python -m ocrtrain lm build text=FILE",
            )
        symbols = np.array([-1, *known, self._index[END], self.start], np.int32)
        return Model(self.nodes, self.values, symbols, np.array([self.unknown_log_prob, weight, bonus]))

    def save(self, path: str | Path) -> None:
        """Write a compressed NumPy archive, no pickles; raises `InputError` where that cannot be done."""
        content: dict[str, NDArray[Any]] = {
            "format": np.array(FORMAT),
            "symbols": np.array([ord(symbol) for symbol in self.symbols[len(SPECIAL) :]], np.uint32),
            "order": np.array(self.order),
        }
        if self.weight is not None and self.bonus is not None:
            content["tuned"] = np.array([self.weight, self.bonus])
        for n, level in enumerate(self.levels, 1):
            size = len(self.levels[n - 2].symbol) if n > 1 else 1
            children = np.bincount(level.parent, minlength=size)
            content[f"children{n}"] = children.astype(np.min_scalar_type(children.max(initial=0)))
            content[f"symbol{n}"] = level.symbol.astype(np.min_scalar_type(len(self.symbols)))
            content[f"log_prob{n}"] = level.log_prob.astype(np.float32)
            content[f"backoff{n}"] = level.backoff.astype(np.float32)
        with atomic_path(path) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(file, **content)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: str | Path) -> LanguageModel:
        """Read what `save` wrote; raises `InputError` for anything else."""
        try:
            content = read_arrays(path)
            version = _single(content, "format", 2**31)
            if version != FORMAT:
                raise ModelError(f"is of format {version}, and {FORMAT} is known here")
            codes = _integers(content, "symbols", 0x10FFFF)
            levels, below = [], 1
            for n in range(1, _single(content, "order", len(content)) + 1):
                children = _integers(content, f"children{n}", MOST_NODES)
                symbol = _integers(content, f"symbol{n}", MOST_NODES)
                if len(children) != below or children.sum() != len(symbol):
                    raise ModelError(f"has {n}-grams that do not fit the {n - 1}-grams")
                parent = np.repeat(np.arange(len(children)), children)
                values = _column(content, f"log_prob{n}"), _column(content, f"backoff{n}")
                levels.append(Level(parent, symbol, *values))
                below = len(symbol)
            tuned = content.pop("tuned").tolist() if "tuned" in content else (None, None)
            if content or not isinstance(tuned, list | tuple) or len(tuned) != 2:
                raise ModelError("holds what is not known to this version")
            return cls([*SPECIAL, *map(chr, codes.tolist())], levels, *tuned)
        except OSError as error:
            raise _unreadable(path, f"cannot be read: {error.strerror or error}") from error
        except (ArchiveError, ModelError) as error:
            raise _unreadable(path, str(error)) from error


def _column(content: dict[str, NDArray[Any]], name: str) -> NDArray[Any]:
    """Take an array out of `content`."""
    if name not in content:
        raise ModelError(f"is not a language model, or was cut short: it lacks {name}")
    return content.pop(name)


def _integers(content: dict[str, NDArray[Any]], name: str, most: int) -> NDArray[np.int64]:
    """Take an array of integers from 0 to `most` out of `content`."""
    array = _column(content, name)
    if (
        array.dtype.kind not in "iu"
        or array.ndim != 1
        or (len(array) and not 0 <= array.min() <= array.max() <= most)
    ):
        raise ModelError(f"has {name} that are not integers from 0 to {most:,}")
    return array.astype(np.int64)


def _single(content: dict[str, NDArray[Any]], name: str, most: int) -> int:
    array = _column(content, name)
    if array.dtype.kind not in "iu" or array.ndim or not 0 <= array <= most:
        raise ModelError(f"has a wrong {name}")
    return int(array)


def _unreadable(path: str | Path, why: str) -> InputError:
    return InputError(
        str(path), why, "make one: python -m ocrtrain lm build text=FILE, or lm convert lm=FILE.arpa"
    )


def _linked(levels: Sequence[Level], symbols: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Lay out levels as one table of nodes, the empty context first, and link contexts to shorter ones."""
    sizes = [len(level.symbol) for level in levels]
    offsets = np.cumsum([1, *sizes])
    total = int(offsets[-1])
    nodes = np.zeros((total + 1, 4), np.int32)
    values = np.zeros((total, 2), np.float32)
    nodes[0, SYMBOL_OF] = -1
    nodes[total, FIRST] = total
    suffix = np.zeros(1, np.int64)  # of the level below, as node numbers
    keys = np.zeros(0, np.int64)
    for n, level in enumerate(levels):
        own = slice(offsets[n], offsets[n + 1])
        parents = slice(0, 1) if n == 0 else slice(offsets[n - 1], offsets[n])
        count = parents.stop - parents.start
        nodes[parents, FIRST] = offsets[n] + np.searchsorted(level.parent, np.arange(count))
        nodes[own, SYMBOL_OF] = level.symbol
        values[own, LOG_PROB] = np.clip(level.log_prob, LEAST_LOG_PROB, 0.0)
        values[own, BACKOFF] = level.backoff
        own_keys = level.parent.astype(np.int64) * symbols + level.symbol
        if n == 0:
            own_suffix = np.zeros(sizes[0], np.int64)
        else:
            # The suffix of (parent, w) is the child w of the parent's suffix; where a foreign model lacks it,
            # that of a shorter one.
            own_suffix = _child_of(nodes, suffix[level.parent], level.symbol, offsets, keys, symbols, n)
        nodes[own, SUFFIX] = own_suffix
        suffix, keys = own_suffix, np.concatenate([keys, own_keys])
    nodes[offsets[-2] : offsets[-1], FIRST] = total
    has_children = np.diff(nodes[:, FIRST]) > 0
    for n in range(len(levels)):
        own = slice(offsets[n], offsets[n + 1])
        itself = np.arange(offsets[n], offsets[n + 1])
        nodes[own, FOLLOW] = np.where(has_children[own], itself, nodes[nodes[own, SUFFIX], FOLLOW])
    return nodes, values


def _child_of(
    nodes: NDArray[np.int32],
    contexts: NDArray[np.int64],
    symbol: NDArray[np.integer[Any]],
    offsets: NDArray[np.int64],
    keys: NDArray[np.int64],
    symbols: int,
    level: int,
) -> NDArray[np.int64]:
    """The nodes of `contexts` (of `level` - 1 symbols or fewer) with one symbol more, or of their suffixes.

    keys: parent * symbols + symbol of all nodes but the root, parents counted within their level.
    """
    found = np.full(len(contexts), -1, np.int64)
    contexts = contexts.copy()
    for n in range(level - 1, -1, -1):  # the number of symbols of a context
        low, high = (0, 1) if n == 0 else (offsets[n - 1], offsets[n])
        here = np.flatnonzero((found < 0) & (contexts >= low) & (contexts < high))
        wanted = (contexts[here] - low) * symbols + symbol[here]
        table = keys[offsets[n] - 1 : offsets[n + 1] - 1]
        at = np.minimum(np.searchsorted(table, wanted), len(table) - 1)
        good = table[at] == wanted
        found[here[good]] = offsets[n] + at[good]
        rest = here[~good]
        contexts[rest] = nodes[contexts[rest], SUFFIX]
    return found
