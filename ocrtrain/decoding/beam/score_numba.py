"""Probability of a given text, and the places of its characters: CTC over one line, compiled by Numba.

Both run over the prefixes of the text one after the other, each over the frames in which it matters. A frame
matters for a prefix if what the alignments have by then is at least `NEGLIGIBLE` of the whole text's
probability: from there on they can only lose. In a confident reading that is a handful of frames.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import numba
import numpy as np

from ocrtrain.decoding.tables import BLANK

NEGLIGIBLE = 1e-10
SOME = 8  # frames that are judged alike


@numba.njit(cache=True, nogil=True)
def tails(scales, T, tail):
    """Fill tail [T + 1]: what probability that is scaled as a frame's is worth in units of the last frame's.

    It decides what is negligible, so a value may be too small: it is that of the first of some frames.
    Returns the logarithm of all divisors of T frames together.
    """
    rest = 0.0
    tail[T] = 1.0
    for stop in range(T, 0, -SOME):
        lowest = 0.0
        for t in range(stop - 1, max(stop - SOME, 0) - 1, -1):
            rest += scales[t]
            lowest = min(lowest, rest)
        value = np.exp(lowest)
        for t in range(max(stop - SOME, 0), stop):
            tail[t] = value
    return rest


@numba.njit(cache=True, nogil=True)
def forward(log_probs, scales, silence, tail, labels, factors, lower, align, rows, back):
    """The probability of a text (scaled, gains included), summed over alignments, and of its best one.

    log_probs: [T, K]; scales, silence: [T], the divisors of `search` and the blank's scaled probability;
    tail: see `tails`; labels, factors: [L], the text and the gain of each symbol as a factor; lower: a lower
    bound of the result; rows: [8, T + 1] to work in. With `align`, back [L + 1, T + 1] is filled for
    `frames_of`. Index i of a row is after i frames.
    """
    T = log_probs.shape[0]
    L = labels.shape[0]
    # The alignments before the symbol (a blank last, a symbol last), those with it, and the best of each.
    old_b, old_l, new_b, new_l = rows[0], rows[1], rows[2], rows[3]
    old_best_b, old_best_l, new_best_b, new_best_l = rows[4], rows[5], rows[6], rows[7]
    later = 1.0
    for d in range(L):
        later *= max(factors[d], 1.0)  # what the symbols to come can gain, at most
    least = lower * NEGLIGIBLE / later

    old_b[0], old_l[0], old_best_b[0], old_best_l[0] = 1.0, 0.0, 1.0, 0.0
    begin, end = 0, 0
    while end < T:
        value = old_b[end] * silence[end]
        if value < least * tail[end + 1]:
            break
        end += 1
        old_b[end], old_l[end], old_best_b[end], old_best_l[end] = value, 0.0, value, 0.0
        if align:
            back[0, end] = 0
    before = BLANK
    for d in range(L):
        k = labels[d]
        factor = factors[d]
        least *= max(factor, 1.0)
        doubled = k == before
        begin_before, end_before = begin, end
        b, label, best_b, best_label = 0.0, 0.0, 0.0, 0.0
        begin, end = -1, -1
        for i in range(begin_before + 1, T + 1):
            inflow, best_inflow, source = 0.0, 0.0, 1
            if i - 1 <= end_before:
                inflow, best_inflow = old_b[i - 1], old_best_b[i - 1]
                if not doubled:
                    inflow += old_l[i - 1]
                    if old_best_l[i - 1] > best_inflow:
                        best_inflow, source = old_best_l[i - 1], 2
            elif begin < 0:
                break
            share = np.exp(log_probs[i - 1, k] - scales[i - 1])
            quiet = silence[i - 1]
            b, label = (b + label) * quiet, (label + inflow * factor) * share
            if b + label < least * tail[i]:
                if begin < 0:
                    b, label = 0.0, 0.0
                    continue
                if i - 1 >= end_before:
                    break
            if begin < 0:
                begin = i
            end = i
            new_b[i], new_l[i] = b, label
            if align:
                pointers = 0
                if best_label > best_b:
                    best_b, pointers = best_label, 4
                best_b *= quiet
                if best_inflow * factor > best_label:
                    best_label = best_inflow * factor
                    pointers += source
                best_label *= share
                new_best_b[i], new_best_l[i] = best_b, best_label
                back[d + 1, i] = pointers
        if begin < 0:
            return 0.0, 0.0
        old_b, new_b = new_b, old_b
        old_l, new_l = new_l, old_l
        old_best_b, new_best_b = new_best_b, old_best_b
        old_best_l, new_best_l = new_best_l, old_best_l
        before = k
    if end < T:
        return 0.0, 0.0
    best = max(old_best_b[T], old_best_l[T]) if align else 0.0
    if align:
        back[L, T] |= 8 if old_best_l[T] > old_best_b[T] else 0
    return old_b[T] + old_l[T], best


@numba.njit(cache=True, nogil=True)
def log_forward(log_probs, labels):
    """log P(text), summed over alignments in logarithms: slow, and for numbers of any size.

    What `forward` is for texts whose beginnings are so much more probable than the whole that float64 ends.
    """
    T = log_probs.shape[0]
    S = 2 * labels.shape[0] + 1
    score = np.full(S, -np.inf)
    score[0] = log_probs[0, BLANK]
    if S > 1:
        score[1] = log_probs[0, labels[0]]
    for t in range(1, T):
        for s in range(S - 1, -1, -1):
            total = score[s]
            if s >= 1:
                total = np.logaddexp(total, score[s - 1])
            if s >= 2 and s % 2 == 1 and labels[s // 2] != labels[s // 2 - 1]:
                total = np.logaddexp(total, score[s - 2])
            score[s] = total + log_probs[t, labels[s // 2] if s % 2 == 1 else BLANK]
    return np.logaddexp(score[S - 1], score[S - 2]) if S > 1 else score[0]


@numba.njit(cache=True, nogil=True)
def frames_of(back, T, L, first_frame, last_frame):
    """Follow the best alignment back: fill the first and last frames [L] of a text; last is -1 before."""
    d = L
    in_label = back[L, T] & 8 != 0
    for i in range(T, 0, -1):
        if in_label:
            pointers = back[d, i] & 3
            if i == T or last_frame[d - 1] < 0:
                last_frame[d - 1] = i - 1
            if pointers:
                first_frame[d - 1] = i - 1
                in_label = pointers == 2
                d -= 1
        elif d > 0:
            in_label = back[d, i] & 4 != 0


@numba.njit(cache=True, nogil=True)
def best_alignment(log_probs, labels, first_frame, last_frame):
    """Viterbi's alignment in logarithms over all frames, for texts whose best alignment is too small a part.

    Fills the first and the last frame of each of labels [L] (Graves et al., ICML 2006, section 4.1, with the
    maximum in place of the sum).
    """
    T = log_probs.shape[0]
    S = 2 * labels.shape[0] + 1
    score = np.full(S, -np.inf)
    steps = np.zeros((T, S), np.int8)
    score[0] = log_probs[0, BLANK]
    if S > 1:
        score[1] = log_probs[0, labels[0]]
    for t in range(1, T):
        for s in range(S - 1, -1, -1):
            best, step = score[s], 0
            if s >= 1 and score[s - 1] > best:
                best, step = score[s - 1], 1
            if s >= 2 and s % 2 == 1 and labels[s // 2] != labels[s // 2 - 1] and score[s - 2] > best:
                best, step = score[s - 2], 2
            score[s] = best + log_probs[t, labels[s // 2] if s % 2 == 1 else BLANK]
            steps[t, s] = step
    s = S - 1
    if S > 1 and score[S - 2] > score[S - 1]:
        s = S - 2
    last_frame[:] = -1
    for t in range(T - 1, -1, -1):
        if s % 2 == 1:
            first_frame[s // 2] = t
            if last_frame[s // 2] < 0:
                last_frame[s // 2] = t
        s -= steps[t, s]
