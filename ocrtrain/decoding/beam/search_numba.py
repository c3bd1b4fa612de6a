"""Prefix beam search over the frames of one line, compiled by Numba.

A prefix is a node of a trie. The beam holds, for each of its prefixes, the probability of all alignments so
far that spell it and end in a blank, or in its last symbol (Graves, "Supervised Sequence Labelling with
Recurrent Neural Networks", 2012, section 7.5.3; Hannun et al., arXiv:1408.2873).

Probabilities are plain float64, divided by the best of their frame and now and then by the beam's best, with
the logarithm of all divisors kept: products and sums are several times cheaper than logarithms of sums.
"""

# Numba compiles these functions from their source: their arguments are arrays and tuples of them, described
# in `tables.py` and `search`, and annotations would only repeat that. Nothing here is cached by itself: see
# `lines_numba.py`.
# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import numba
import numpy as np

from ocrtrain.decoding.beam.trie_numba import (
    MODEL,
    PARENT,
    PATTERN,
    PLACE,
    SYMBOL,
    WORDS,
    child_of,
    grown_line,
    grown_rows,
    too_late,
    weigh,
)
from ocrtrain.decoding.tables import BLANK, ROOT, START

SMALL, LARGE = 1e-30, 1e30  # between these the beam's best is left as it is


@numba.njit(nogil=True)
def kth_largest(values, count, k, scratch):
    """The k-th largest (from 1) of `values[:count]` (Hoare's quickselect)."""
    for i in range(count):
        scratch[i] = values[i]
    low, high, wanted = 0, count - 1, k - 1
    while low < high:
        pivot = scratch[(low + high) >> 1]
        i, j = low, high
        while i <= j:
            while scratch[i] > pivot:
                i += 1
            while scratch[j] < pivot:
                j -= 1
            if i <= j:
                scratch[i], scratch[j] = scratch[j], scratch[i]
                i += 1
                j -= 1
        if wanted <= j:
            high = j
        elif wanted >= i:
            low = i
        else:
            break
    return scratch[wanted]


@numba.njit(nogil=True)
def search(
    log_probs, width, limit, keep, model, pattern, pattern_start, words, words_start, most, scales, silence
):
    """Search one line.

    Fills scales [T], the logarithm of what each frame's probabilities were divided by, and silence [T], what
    that makes of the blank's.

    log_probs: [T, K] of the line's own frames; width: prefixes to keep; limit: the log-probability below
    which a frame's symbol is passed over; keep: the share of the beam's best below which a prefix is
    dropped; most: the greatest factor that a symbol's gain can be. Returns the first frame that is not a
    number (-1: none), the number of prefixes found, their nodes and probabilities (scaled), and the trie:
    its nodes, their gains (of the whole prefix; of its last symbol, as a factor).
    """
    T, K = log_probs.shape
    trie = np.empty((256, 8), np.int32)
    for column in range(8):
        trie[ROOT, column] = -1
    trie[ROOT, SYMBOL] = BLANK
    trie[ROOT, PLACE] = 0
    trie[ROOT, MODEL] = model.symbols[START]
    trie[ROOT, PATTERN] = pattern_start
    trie[ROOT, WORDS] = words_start
    gains, factors = np.zeros(256), np.ones(256)
    count = 1
    bound = pattern_start >= 0 or words_start >= 0
    weighed = bound or model.symbols[START] >= 0

    # The beam: nodes, and probabilities of their alignments that end in a blank and in their last symbol.
    nodes, blank, label = np.empty(width, np.int32), np.empty(width), np.empty(width)
    ends = np.empty(width, np.int32)  # their last symbols
    next_blank, next_label, total = np.empty(width), np.empty(width), np.empty(width)
    # For each prefix of the beam, those that are one symbol longer and in the beam too, as linked lists.
    longer, other = np.empty(width, np.int32), np.empty(width, np.int32)
    # What the next beam is chosen from: first the beam's own prefixes, then longer ones (place, symbol,
    # node).
    size = 4 * width + K
    options, values, scratch = np.empty((size, 3), np.int32), np.empty(size), np.empty(size)
    candidates, shares, dense = np.empty(K, np.int32), np.empty(K), np.zeros(K)
    nodes[0], ends[0], blank[0], label[0], beam = ROOT, BLANK, 1.0, 0.0, 1
    if bound and too_late(ROOT, BLANK, T, trie, pattern, words):
        beam = 0

    for t in range(T):
        row = log_probs[t]
        wanted = 0
        for k in range(1, K):
            wanted += not row[k] < limit  # true for what is not a number, too
        found = 0
        if wanted:  # in most frames none is, and the loop above runs on eight at once
            for k in range(1, K):
                if not row[k] < limit:
                    candidates[found] = k
                    found += 1
        top = np.float64(row[BLANK])
        if found == 0 and top < limit:  # so many classes that none stands out
            for k in range(1, K):
                candidates[k - 1] = k
            found = K - 1
        healthy = not np.isnan(top)
        lead = 0
        for i in range(found):
            healthy &= not np.isnan(row[candidates[i]])
            if row[candidates[i]] > top:
                top, lead = np.float64(row[candidates[i]]), i
        if not healthy or not abs(top) < np.inf:
            return t, 0, nodes, total, trie, gains, factors
        scales[t] = top
        if found == 0 and not bound:  # the blank is the best, and alone
            silence[t] = 1.0
            for b in range(beam):
                blank[b] += label[b]
                label[b] = 0.0
            continue
        quiet = np.exp(row[BLANK] - top)
        silence[t] = quiet
        if found > 0:
            candidates[0], candidates[lead] = candidates[lead], candidates[0]
        for i in range(found):
            shares[i] = np.exp(row[candidates[i]] - top)
            dense[candidates[i]] = shares[i]

        for b in range(beam):
            total[b] = blank[b] + label[b]
            longer[b] = -1
        floor, best = np.inf, 0.0
        for b in range(beam):
            node = nodes[b]
            k = ends[b]
            next_blank[b] = total[b] * quiet
            next_label[b] = 0.0
            if node != ROOT:
                next_label[b] = label[b] * dense[k]
                place = trie[trie[node, PARENT], PLACE]
                if place >= 0:
                    other[b], longer[place] = longer[place], b
                    source = blank[place] if ends[place] == k else total[place]
                    next_label[b] += source * dense[k] * factors[node]
            if bound:
                left = T - 1 - t
                if too_late(node, BLANK, left, trie, pattern, words):
                    next_blank[b] = 0.0
                if too_late(node, k, left, trie, pattern, words):
                    next_label[b] = 0.0
            value = next_blank[b] + next_label[b]
            values[b] = value
            floor = min(floor, value)
            best = max(best, value)
        if beam < width:
            floor = 0.0
        floor = max(floor, best * keep)

        ready = beam
        for b in range(beam):
            parent = nodes[b]
            own = ends[b]
            if ready + found > options.shape[0]:
                size = 2 * (ready + found)
                options, values, scratch = grown_rows(options, size), grown_line(values, size), np.empty(size)
            if count + found + width > trie.shape[0]:
                size = 2 * (count + found + width)
                trie, gains, factors = (
                    grown_rows(trie, size),
                    grown_line(gains, size),
                    grown_line(factors, size),
                )
            for i in range(found):
                k = candidates[i]
                # What a doubled symbol needs is a blank between the two.
                value = (blank[b] if k == own else total[b]) * shares[i]
                if value * most <= floor:
                    continue
                known = longer[b]
                while known >= 0 and ends[known] != k:
                    known = other[known]
                if known >= 0:  # in the beam: counted above
                    continue
                child = -1
                if weighed:
                    child = child_of(parent, k, count, trie, gains, factors)
                    if child == count:
                        weigh(child, trie, gains, factors, model, pattern, words)
                        count += 1
                    value *= factors[child]
                    if value <= floor or (bound and too_late(child, k, T - 1 - t, trie, pattern, words)):
                        continue
                options[ready, 0], options[ready, 1], options[ready, 2] = parent, k, child
                values[ready] = value
                ready += 1
                if value > best:
                    best = value
                    floor = max(floor, best * keep)

        # Where several are as good as the last one kept, the first are kept.
        threshold, equals = best * keep, width
        if ready > width:
            kth = kth_largest(values, ready, width, scratch)
            if kth >= threshold:
                threshold = kth
                for i in range(ready):
                    if values[i] > kth:
                        equals -= 1
        kept = 0
        for i in range(ready):
            value = values[i]
            good = value > 0.0 and kept < width and (value > threshold or (value == threshold and equals > 0))
            if good and value == threshold:
                equals -= 1
            if i < beam:
                node = nodes[i]
                if not good:
                    trie[node, PLACE] = -1
                    continue
                blank[kept], label[kept] = next_blank[i], next_label[i]
            else:
                if not good:
                    continue
                node = options[i, 2]
                if node < 0:
                    node = child_of(options[i, 0], options[i, 1], count, trie, gains, factors)
                    if node == count:
                        count += 1
                blank[kept], label[kept] = 0.0, value
            nodes[kept], ends[kept] = node, trie[node, SYMBOL]
            trie[node, PLACE] = kept
            kept += 1
            if value == best and kept > 1:
                # The best goes first, with its best symbol: the rest is measured against it from the start.
                first, last = nodes[0], kept - 1
                nodes[0], nodes[last] = node, first
                ends[0], ends[last] = ends[last], ends[0]
                blank[0], blank[last] = blank[last], blank[0]
                label[0], label[last] = label[last], label[0]
                trie[node, PLACE], trie[first, PLACE] = 0, last
        beam = kept
        for i in range(found):
            dense[candidates[i]] = 0.0
        if best < SMALL or best > LARGE:
            if best == 0.0:
                return -1, 0, nodes, total, trie, gains, factors
            for b in range(beam):
                blank[b] /= best
                label[b] /= best
            scales[t] += np.log(best)
            silence[t] /= best

    for b in range(beam):
        total[b] = blank[b] + label[b]
    return -1, beam, nodes, total, trie, gains, factors
