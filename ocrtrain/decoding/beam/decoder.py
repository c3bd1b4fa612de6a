"""Prefix beam search: the text with the largest sum over its alignments, with a language model and rules."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from math import exp, log
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ocrtrain.cores import in_parts, usable_cores
from ocrtrain.decoding.inputs import check_shapes, not_a_number
from ocrtrain.decoding.lm.language_model import LanguageModel
from ocrtrain.decoding.lm.load import load_language_model
from ocrtrain.decoding.rules.automaton import StartedAutomaton, joined, no_rules
from ocrtrain.decoding.rules.pattern import compile_pattern
from ocrtrain.decoding.rules.words import read_words, word_rules
from ocrtrain.decoding.settings import BeamWidth, Bonus, ListLength, Threads, Threshold, Weight, text
from ocrtrain.decoding.tables import START, Automaton, Model
from ocrtrain.decoding.transcript import Hypothesis, Transcript
from ocrtrain.decoding.transcripts import Readings
from ocrtrain.errors import InputError
from ocrtrain.fields import shown
from ocrtrain.settings import checked
from ocrtrain.text import Charset

logger = logging.getLogger(__name__)

LEAST_LINES = 4  # for each thread: starting one costs as much as reading a line

# What is passed over by default, as (symbols of a frame, prefixes), where the best text is all that is
# wanted, and where others matter too: in lists of them, and with gains, which come later than the
# recognizer's opinion.
BEST_ONLY = (5e-3, 1e-3)
OTHERS_TOO = (1e-5, 1e-9)


class BeamDecoder:
    """Finds texts by their probability P(text | line), the sum over all alignments that spell them.

    The `beam_width` best prefixes are kept after each frame; of a frame, the symbols with a probability of
    at least `symbol_threshold` are looked at, and a prefix stays while it has at least `prefix_threshold` of
    the best one's probability (null: 5e-3 and 1e-3 where the best text is all that is asked for, 1e-5 and
    1e-9 with `nbest`, `lm` or `words`; rules look at all symbols). What is found is then scored exactly, over
    all alignments, so the ranking among the texts found, and every number returned, are CTC's own. With
    thresholds of 0 and a beam as wide as there are prefixes, the search is exhaustive.

    nbest: how many readings a transcript lists (those with next to no probability are not found). lm: a
    language model, or the file of one, whose log-probability enters the ranking `lm_weight` times, with
    `lm_bonus` for each character; null takes what `lm tune` stored in the file, else 0.5 and 0. A weight of
    0 leaves the model out altogether. words: a list, or a file, of words that texts must consist of
    (`words_mode="constrain"`), or are rewarded for by `word_bonus` each (`"reward"`). pattern, alphabet:
    what all texts must match, see `pattern.py`. threads: null takes all cores. Raises `InputError` for
    settings that cannot work.
    """

    def __init__(
        self,
        charset: Charset,
        beam_width: int = 10,
        symbol_threshold: float | None = None,
        prefix_threshold: float | None = None,
        nbest: int = 0,
        lm: str | Path | LanguageModel | None = None,
        lm_weight: float | None = None,
        lm_bonus: float | None = None,
        words: str | Path | Iterable[str] | None = None,
        words_mode: str = "reward",
        word_bonus: float = 1.0,
        pattern: str | None = None,
        alphabet: str | None = None,
        threads: int | None = None,
    ) -> None:
        self.charset = charset
        self.beam_width = checked(beam_width, BeamWidth, "beam_width")
        self.nbest = checked(nbest, ListLength, "nbest")
        self.threads = usable_cores() if threads is None else checked(threads, Threads, "threads")
        self.lm = _language_model(lm, charset)
        self._model = _bound(self.lm, lm_weight, lm_bonus, charset)
        word_bonus = checked(word_bonus, Bonus, "word_bonus")
        if isinstance(words, (str, os.PathLike)):
            words = read_words(words)
        none = no_rules(len(charset))
        self._words = none if words is None else word_rules(words, words_mode, word_bonus, charset)
        self.pattern, self.alphabet = pattern, alphabet
        self._pattern = self._rules(pattern, alphabet)
        others = self.nbest > 0 or self._model.symbols[START] >= 0 or self._words.start >= 0
        symbol, prefix = OTHERS_TOO if others else BEST_ONLY
        self.symbol_threshold = (
            symbol if symbol_threshold is None else checked(symbol_threshold, Threshold, "symbol_threshold")
        )
        self.prefix_threshold = (
            prefix if prefix_threshold is None else checked(prefix_threshold, Threshold, "prefix_threshold")
        )

    def __call__(
        self,
        log_probs: Tensor,
        lengths: Tensor,
        widths: Sequence[float] | None = None,
        patterns: Sequence[str | None] | None = None,
        alphabets: Sequence[str | None] | None = None,
    ) -> list[Transcript]:
        """Read N lines, as `GreedyDecoder` does; raises `InputError` as it does.

        patterns, alphabets: one for each line, in place of the decoder's own. Where a line has too few
        frames for any text that its rules allow, the transcript is empty, its confidence is 0, and a warning
        says so.
        """
        check_shapes(log_probs, lengths, len(self.charset), widths)
        N, T, _ = log_probs.shape
        for each in (patterns, alphabets):
            if each is not None and len(each) != N:
                raise InputError("patterns", f"are {len(each)} for {N} lines", "give one for each line.")
        if N == 0 or T == 0:
            return [Transcript("", 0.0, ()) for _ in range(N)]
        array = log_probs.detach().to("cpu", torch.float32).contiguous().numpy()
        frames = lengths.detach().cpu().numpy().astype(np.int64)
        pattern, starts = self._patterns(N, patterns, alphabets)
        found = self._search(array, frames, pattern, starts)
        wrong = found.wrong
        if (wrong >= 0).any():
            line = int(np.flatnonzero(wrong >= 0)[0])
            raise not_a_number(
                line, int(wrong[line]), int(np.isnan(array[line, : frames[line]]).any(-1).sum())
            )
        self._warn(found.counts[:, 0], frames)
        return found.transcripts(self.charset, frames.tolist(), widths, self.nbest)

    def _search(
        self, array: NDArray[Any], frames: NDArray[np.int64], pattern: Automaton, starts: NDArray[np.int32]
    ) -> _Found:
        from ocrtrain.decoding.beam.lines_numba import (
            decode_lines,  # what does not need Numba does not load it
        )

        N, T, _ = array.shape
        found = _Found(N, T, max(1, min(self.nbest, self.beam_width)))
        most = max(0.0, float(self._model.numbers[2])) + self._words.longest_gain
        limit = log(self.symbol_threshold) if self.symbol_threshold > 0 else -np.inf
        if starts.max() >= 0 or (self._words.start >= 0 and self._words.automaton.need.any()):
            limit = -np.inf  # what is allowed may be less probable than anything that would be looked at

        # Each thread takes a line in turn: neighbours in a batch are of similar length, so all end together.
        threads = min(self.threads, -(-N // LEAST_LINES))

        def decode(begin: int) -> None:
            decode_lines(
                array,
                frames,
                begin,
                threads,
                self.beam_width,
                limit,
                self.prefix_threshold,
                self._model,
                pattern,
                starts,
                self._words.automaton,
                self._words.start,
                exp(most),
                *found.arrays(),
            )

        in_parts(decode, threads)
        return found

    def _rules(self, pattern: str | None, alphabet: str | None) -> StartedAutomaton:
        if pattern is None and alphabet is None:
            return no_rules(len(self.charset))
        pattern = None if pattern is None else text("pattern", pattern)
        alphabet = None if alphabet is None else text("alphabet", alphabet)
        return StartedAutomaton(compile_pattern(pattern, alphabet, self.charset), 0)

    def _patterns(
        self, N: int, patterns: Sequence[str | None] | None, alphabets: Sequence[str | None] | None
    ) -> tuple[Automaton, NDArray[np.int32]]:
        if patterns is None and alphabets is None:
            return self._pattern.automaton, np.full(N, self._pattern.start, np.int32)
        pairs = list(
            zip(
                [self.pattern] * N if patterns is None else patterns,
                [self.alphabet] * N if alphabets is None else alphabets,
                strict=True,
            )
        )
        distinct = {pair: self._rules(*pair) for pair in dict.fromkeys(pairs)}
        some = {pair: rules.automaton for pair, rules in distinct.items() if rules.start >= 0}
        if not some:
            return no_rules(len(self.charset)).automaton, np.full(N, -1, np.int32)
        automaton, first = joined(list(some.values()))
        starts = dict(zip(some, first, strict=True))
        return automaton, np.array([starts.get(pair, -1) for pair in pairs], np.int32)

    def _warn(self, counts: NDArray[np.int32], frames: NDArray[np.int64]) -> None:
        nothing = np.flatnonzero((counts < 0) & (frames > 0))
        if len(nothing):
            logger.warning(
                "%d of %d lines have no text that the rules allow, first line %d of %d frames: left empty",
                len(nothing),
                len(frames),
                nothing[0],
                frames[nothing[0]],
            )


class _Found:
    """Arrays that the compiled search fills for N lines of T frames and B texts each; see `decode_lines`."""

    def __init__(self, N: int, T: int, B: int) -> None:
        self.wrong = np.empty(N, np.int32)
        self.counts = np.empty((N, B), np.int32)
        self.labels = np.empty((N, B, T), np.int32)
        self.scores, self.sums = np.empty((N, B)), np.empty((N, B))
        self.first, self.last = np.empty((N, T), np.int32), np.empty((N, T), np.int32)
        self.probabilities = np.empty((N, T), np.float32)

    def arrays(self) -> tuple[NDArray[Any], ...]:
        return (
            self.wrong,
            self.counts,
            self.labels,
            self.scores,
            self.sums,
            self.first,
            self.last,
            self.probabilities,
        )

    def transcripts(
        self, charset: Charset, frames: Sequence[int], widths: Sequence[float] | None, nbest: int
    ) -> list[Transcript]:
        counts = np.maximum(self.counts[:, 0], 0)
        inside = np.arange(self.first.shape[1]) < counts[:, None]
        confidences = np.where(self.counts[:, 0] < 0, 0.0, np.exp(np.minimum(self.sums[:, 0], 0.0))).tolist()
        readings = Readings(
            counts,
            self.labels[:, 0][inside],
            self.first[inside],
            self.last[inside],
            self.probabilities[inside],
            confidences,
        )
        others = [self._hypotheses(charset, n) for n in range(len(counts))] if nbest else None
        return readings.transcripts(charset, frames, widths, others)

    def _hypotheses(self, charset: Charset, n: int) -> tuple[Hypothesis, ...]:
        B = int((self.counts[n] >= 0).sum())
        if not B:
            return ()
        weights = np.exp(self.scores[n, :B] - self.scores[n, 0])
        shares = (weights / weights.sum()).tolist()
        return tuple(
            Hypothesis(
                charset.decode(self.labels[n, b, : self.counts[n, b]].tolist()),
                min(float(self.sums[n, b]), 0.0),
                float(self.scores[n, b]),
                shares[b],
            )
            for b in range(B)
        )


def _language_model(lm: object, charset: Charset) -> LanguageModel | None:
    """Load a model where the name of a file was given."""
    if lm is None or isinstance(lm, LanguageModel):
        return lm
    if not isinstance(lm, (str, os.PathLike)):
        raise InputError(f"lm={shown(lm)}", "must be a language model", "name the file of one.")
    return load_language_model(lm, charset.symbols)


def _bound(model: LanguageModel | None, weight: float | None, bonus: float | None, charset: Charset) -> Model:
    """The model in the terms of the charset, or an empty one where it has no say."""
    if weight is not None:
        weight = checked(weight, Weight, "lm_weight")
    if bonus is not None:
        bonus = checked(bonus, Bonus, "lm_bonus")
    if model is not None:
        weight = (0.5 if model.weight is None else model.weight) if weight is None else weight
        bonus = (0.0 if model.bonus is None else model.bonus) if bonus is None else bonus
        bound = model.bind(charset, weight, bonus)
        if weight > 0:
            return bound
    return Model(
        np.zeros((0, 4), np.int32),
        np.zeros((0, 2), np.float32),
        np.full(len(charset) + 2, -1, np.int32),
        np.zeros(3),
    )
