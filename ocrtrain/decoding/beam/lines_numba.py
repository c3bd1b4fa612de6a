"""Lines of a batch, from log-probabilities to ranked texts with positions, compiled by Numba."""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import numba
import numpy as np

from ocrtrain.decoding.beam.score_numba import (
    NEGLIGIBLE,
    best_alignment,
    forward,
    frames_of,
    log_forward,
    tails,
)
from ocrtrain.decoding.beam.search_numba import search
from ocrtrain.decoding.beam.trie_numba import PARENT, SYMBOL, end_gain
from ocrtrain.decoding.tables import ROOT, START

FARTHEST = 1e-200  # the least that a line's frames may be scaled by, from first to last, in float64


@numba.njit(cache=True, nogil=True)
def _spell(node, trie, factors, labels, weights):
    """Write the classes of a prefix and their factors; returns how many there are."""
    L = 0
    at = node
    while at != ROOT:
        L += 1
        at = trie[at, PARENT]
    for d in range(L - 1, -1, -1):
        labels[d], weights[d] = trie[node, SYMBOL], factors[node]
        node = trie[node, PARENT]
    return L


@numba.njit(cache=True, nogil=True)
def _largest(values, count):
    """The index of the first largest of `values[:count]`."""
    best = 0
    for i in range(1, count):
        if values[i] > values[best]:
            best = i
    return best


def _compiled(sources):
    """Make `decode_lines`, the one function of a search that Numba caches.

    Its cache looks at the file of a function and at what the function encloses, not at what is called. So a
    hash of all sources is enclosed here, and functions that call those of another file have no cache.
    """

    @numba.njit(cache=True, nogil=True)
    def decode_lines(
        log_probs,
        lengths,
        begin,
        step,
        width,
        limit,
        keep,
        model,
        pattern,
        pattern_starts,
        words,
        words_start,
        most,
        wrong,
        counts,
        labels,
        scores,
        sums,
        first_frames,
        last_frames,
        probabilities,
    ):
        """Read every `step`-th line of log_probs [N, T, K] from line `begin` on, by their lengths [N].

        width to most: see `search`; pattern_starts [N]: each line's first state. Filled for each line, best
        first: counts [N, B], the symbols of a text (-1: no such text); labels [N, B, T]; scores [N, B], what
        texts are ranked by; sums [N, B], log P(text | line); and for the best text first_frames,
        last_frames, probabilities [N, T]. wrong [N]: the first frame that is not a number, or -1.
        """
        assert sources
        T_most = log_probs.shape[1]
        B = counts.shape[1]
        scales, silence, tail = np.empty(T_most), np.empty(T_most), np.empty(T_most + 1)
        rows = np.empty((8, T_most + 1))
        text, weights = np.empty(T_most, np.int32), np.empty(T_most)
        for n in range(begin, log_probs.shape[0], step):
            T = lengths[n]
            wrong[n] = -1
            for rank in range(B):
                counts[n, rank] = -1
            if T == 0:
                continue
            line = log_probs[n, :T]
            start = pattern_starts[n]
            wrong[n], beam, nodes, total, trie, gains, factors = search(
                line, width, limit, keep, model, pattern, start, words, words_start, most, scales[:T], silence
            )
            if wrong[n] >= 0 or beam == 0:
                continue
            divided = tails(scales, T, tail)
            free = model.symbols[START] < 0 and start < 0 and words_start < 0
            # Rules can force the search to what is so improbable that what matters of other alignments, which
            # are divided by the same, has no room in float64.
            far = (start >= 0 or words_start >= 0) and tail[0] < FARTHEST
            ends, lower = np.zeros(beam), np.empty(beam)
            # No text can have more than its part of the beam and all that the search let go (with some room
            # for log-probabilities that are rounded).
            lost = np.exp(-divided) * (1.0 + 1e-6 * T) if free else np.inf
            for b in range(beam):
                if not free:
                    ends[b] = end_gain(nodes[b], trie, model, pattern, words)
                # Logarithms: what a language model makes of an end can be less than float64 has room for.
                lower[b] = np.log(total[b]) + ends[b]
                lost -= total[b]
            back = np.empty((0, 0), np.uint8)
            exact = np.full(beam, -np.inf)
            best, aligned, alignment = 0.0, -1, 0.0
            for _ in range(beam):
                b = _largest(lower, beam)
                if lower[b] == -np.inf or (B == 1 and total[b] + lost <= best):
                    break
                lower[b] = -np.inf
                L = _spell(nodes[b], trie, factors, text, weights)
                align = aligned < 0 and not far  # most often the first one stays the first
                if align:
                    aligned = b
                    back = np.empty((L + 1, T + 1), np.uint8)
                value, most_probable = 0.0, 0.0
                if not far:
                    value, most_probable = forward(
                        line,
                        scales[:T],
                        silence,
                        tail,
                        text[:L],
                        weights,
                        total[b],
                        align,
                        rows,
                        back,
                    )
                if 0.0 < value < np.inf:
                    exact[b] = np.log(value) + ends[b]
                    best = max(best, value)
                else:
                    most_probable = 0.0
                    exact[b] = log_forward(line, text[:L]) + gains[nodes[b]] - divided + ends[b]
                if align:
                    alignment = most_probable
            winner = _largest(exact, beam)
            for rank in range(min(B, beam)):
                b = _largest(exact, beam)
                if exact[b] == -np.inf:
                    break
                L = _spell(nodes[b], trie, factors, labels[n, rank], weights)
                counts[n, rank] = L
                scores[n, rank] = exact[b] + divided
                sums[n, rank] = scores[n, rank] - ends[b] - gains[nodes[b]]
                exact[b] = -np.inf
            if counts[n, 0] <= 0:
                continue
            b, L = winner, counts[n, 0]
            read = labels[n, 0, :L]
            if b != aligned and not far:
                _spell(nodes[b], trie, factors, text, weights)
                back = np.empty((L + 1, T + 1), np.uint8)
                _, alignment = forward(
                    line, scales[:T], silence, tail, read, weights, total[b], True, rows, back
                )
            first, last = first_frames[n, :L], last_frames[n, :L]
            for d in range(L):
                last[d] = -1
            if NEGLIGIBLE * total[b] <= alignment < np.inf:
                frames_of(back, T, L, first, last)
            else:
                # So small a part of the text's probability that it may have left the frames that matter.
                best_alignment(line, read, first, last)
            for d in range(L):
                top = line[first[d], read[d]]
                for t in range(first[d] + 1, last[d] + 1):
                    top = max(top, line[t, read[d]])
                probabilities[n, d] = np.exp(top)

    return decode_lines


def _sources() -> str:
    """Hash everything that is compiled into `decode_lines`: all Numba files of decoding, and the tables."""
    decoding = Path(__file__).parents[1]
    files = [decoding / "tables.py", *sorted(decoding.rglob("*_numba.py"))]
    return sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


decode_lines = _compiled(_sources())
