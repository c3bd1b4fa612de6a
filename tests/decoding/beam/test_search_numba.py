"""The compiled search against prefix beam search as it is defined, in plain Python."""

from __future__ import annotations

import itertools
from collections import defaultdict
from math import exp, log

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ocrtrain.decoding import BeamDecoder
from ocrtrain.text import Charset

CHARSET = Charset("ab ")
Labels = tuple[int, ...]


def prefix_beam_search(log_probs: NDArray[np.floating], beam_width: int) -> list[tuple[Labels, float]]:
    """Search one line, log_probs [T, K]; returns the labels of prefixes and log P(labels | line), best first.

    With no more prefixes than `beam_width`, these are all texts of T frames with their exact probabilities.
    """
    beam: dict[Labels, tuple[float, float]] = {(): (1.0, 0.0)}  # that end in a blank, in the last symbol
    for frame in np.exp(np.asarray(log_probs, float)):
        longer: dict[Labels, list[float]] = defaultdict(lambda: [0.0, 0.0])
        for prefix, (blank, label) in beam.items():
            longer[prefix][0] += (blank + label) * frame[0]
            if prefix:
                longer[prefix][1] += label * frame[prefix[-1]]
            for k in range(1, len(frame)):
                # A doubled symbol needs a blank in between.
                flow = blank if prefix and k == prefix[-1] else blank + label
                longer[(*prefix, k)][1] += flow * frame[k]
        ranked = sorted(longer.items(), key=lambda item: -sum(item[1]))
        beam = {prefix: (blank, label) for prefix, (blank, label) in ranked[:beam_width] if blank + label > 0}
    return sorted(((prefix, log(sum(both))) for prefix, both in beam.items()), key=lambda item: -item[1])


def posteriors(lines: int, frames: int, classes: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(lines, frames, classes, generator=generator, dtype=torch.float64)
    return logits.log_softmax(-1).float().double()  # the search reads single precision, and sums in double


@pytest.mark.parametrize(("frames", "classes"), [(1, 2), (5, 2), (2, 3), (4, 4), (5, 3)])
def test_the_definition_without_a_limit_is_enumeration(frames: int, classes: int) -> None:
    """Of all K^T alignments, whose probabilities add up for each text."""
    (log_probs,) = posteriors(1, frames, classes, seed=frames * classes).numpy()
    sums: dict[Labels, float] = defaultdict(float)
    for path in itertools.product(range(classes), repeat=frames):
        labels = tuple(label for label, _ in itertools.groupby(path) if label)
        sums[labels] += exp(sum(log_probs[t, label] for t, label in enumerate(path)))
    found = {labels: exp(value) for labels, value in prefix_beam_search(log_probs, 10_000)}
    assert found == pytest.approx(dict(sums))


@pytest.mark.parametrize("width", [1, 3, 10])
def test_a_narrow_beam_keeps_what_the_definition_keeps(width: int) -> None:
    log_probs = posteriors(12, 24, 4, seed=7)
    decoder = BeamDecoder(CHARSET, width, symbol_threshold=0.0, prefix_threshold=0.0, nbest=width, threads=1)
    for line, transcript in enumerate(decoder(log_probs, torch.full((12,), 24))):
        kept = {
            CHARSET.decode(labels): value
            for labels, value in prefix_beam_search(log_probs[line].numpy(), width)
        }
        found = {hypothesis.text: hypothesis.log_prob for hypothesis in transcript.nbest}
        assert found.keys() == kept.keys()
        for text, log_prob in found.items():
            exact = -F.ctc_loss(
                log_probs[line][:, None],
                torch.tensor(CHARSET.encode(text)),
                [24],
                [len(text)],
                reduction="sum",
            )
            assert log_prob == pytest.approx(float(exact), rel=1e-8)
            assert log_prob >= kept[text] - 1e-9  # a beam loses alignments, the score afterwards has them all
