"""Best-path decoding against its definition, written out."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ocrtrain.decoding import GreedyDecoder, Transcript
from ocrtrain.errors import InputError
from ocrtrain.text import Charset

CHARSET = Charset("ab ")


def posteriors(lines: int, frames: int, classes: int, seed: int, sharpness: float = 2.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (sharpness * torch.randn(lines, frames, classes, generator=generator)).log_softmax(-1)


def collapse(labels: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(label for label, _ in itertools.groupby(labels) if label != 0)


def probability_by_enumeration(log_probs: Tensor, reading: tuple[int, ...]) -> float:
    """Sum over all K^T alignments that collapse to `reading`."""
    T, K = log_probs.shape
    return sum(
        math.exp(sum(float(log_probs[t, label]) for t, label in enumerate(path)))
        for path in itertools.product(range(K), repeat=T)
        if collapse(path) == reading
    )


@pytest.mark.parametrize("seed", range(20))
def test_text_and_confidence_equal_enumeration(seed: int) -> None:
    log_probs = posteriors(3, 5, 4, seed)
    lengths = torch.tensor([5, 3, 1])
    for line, transcript in enumerate(GreedyDecoder(CHARSET)(log_probs, lengths)):
        valid = log_probs[line, : lengths[line]]
        reading = collapse(tuple(valid.argmax(-1).tolist()))
        assert transcript.text == CHARSET.decode(reading)
        assert transcript.confidence == pytest.approx(probability_by_enumeration(valid, reading), rel=1e-4)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(0, 3), max_size=12), min_size=1, max_size=5), st.integers(0, 1000))
def test_characters_are_the_runs_of_the_best_path(paths: list[list[int]], seed: int) -> None:
    T = max(1, *map(len, paths))
    log_probs = posteriors(len(paths), T, 4, seed, sharpness=0.5)
    for line, path in enumerate(paths):
        for t, label in enumerate(path):
            log_probs[line, t, label] += 8
    log_probs = log_probs.log_softmax(-1)
    transcripts = GreedyDecoder(CHARSET)(log_probs, torch.tensor([len(path) for path in paths]))
    for line, (path, transcript) in enumerate(zip(paths, transcripts, strict=True)):
        frame, expected = 0, []
        for label, run in itertools.groupby(path):
            end = frame + len(list(run))
            if label != 0:
                probability = float(log_probs[line, frame:end, label].exp().max())
                expected.append((CHARSET.symbols[label - 1], probability, frame, end - 1))
            frame = end
        assert [c.text for c in transcript.characters] == [text for text, *_ in expected]
        assert transcript.text == "".join(c.text for c in transcript.characters)
        for character, (_, probability, first, last) in zip(transcript.characters, expected, strict=True):
            assert character.probability == pytest.approx(probability, rel=1e-5)
            assert (character.first_frame, character.last_frame) == (first, last)
            assert (character.x0, character.x1) == (first, last + 1)


@pytest.mark.parametrize("filler", [0.0, float("nan"), float("-inf"), float("inf")])
def test_frames_beyond_the_lengths_change_nothing(filler: float) -> None:
    log_probs, lengths = posteriors(6, 9, 4, seed=1), torch.tensor([9, 4, 1, 0, 7, 9])
    alone = [
        GreedyDecoder(CHARSET)(log_probs[i : i + 1, :n], lengths[i : i + 1])[0] for i, n in enumerate(lengths)
    ]
    padded = torch.full((6, 17, 4), filler)
    for i, n in enumerate(lengths):
        padded[i, :n] = log_probs[i, :n]
    together = GreedyDecoder(CHARSET)(padded, lengths)
    for one, other in zip(alone, together, strict=True):
        assert one.characters == other.characters
        assert one.confidence == pytest.approx(other.confidence, rel=1e-6)


def test_ranges_are_in_pixels_of_the_image() -> None:
    # Two a's parted by a blank, in 5 of 8 frames, from an image 120 pixels wide: 24 pixels a frame.
    path = torch.tensor([[0, 1, 1, 0, 1, 2, 2, 2]])
    log_probs = torch.full((1, 8, 4), -20.0).scatter(2, path[..., None], 0.0).log_softmax(-1)
    (transcript,) = GreedyDecoder(CHARSET)(log_probs, torch.tensor([5]), widths=[120])
    assert transcript.text == "aa"
    assert [(c.x0, c.x1) for c in transcript.characters] == [(24.0, 72.0), (96.0, 120.0)]
    assert transcript.confidence == pytest.approx(1.0, abs=1e-5)


def test_an_empty_reading_is_as_sure_as_its_blanks() -> None:
    log_probs = torch.tensor([[[0.9, 0.1], [0.8, 0.2]]]).log()
    (transcript,) = GreedyDecoder(Charset("a"))(log_probs, torch.tensor([2]))
    assert (transcript.text, transcript.characters) == ("", ())
    assert transcript.confidence == pytest.approx(0.72, rel=1e-5)


def test_a_doubtful_boundary_costs_no_confidence_but_a_doubtful_letter_does() -> None:
    sure, torn = [0.001, 0.998, 0.001], [0.499, 0.5, 0.001]  # blank or a: the same text either way
    doubtful = [0.001, 0.5, 0.499]  # a or b
    log_probs = torch.tensor([[sure, torn], [sure, doubtful]]).log()
    boundary, letter = GreedyDecoder(Charset("ab"))(log_probs, torch.tensor([2, 2]))
    assert boundary.text == letter.text == "a"
    assert boundary.confidence > 0.99 and letter.confidence < 0.52


def test_what_was_never_seen_has_no_confidence() -> None:
    nothing = Transcript("", 0.0, ())
    assert GreedyDecoder(CHARSET)(torch.zeros(0, 7, 4), torch.zeros(0, dtype=torch.int64)) == []
    assert GreedyDecoder(CHARSET)(torch.zeros(2, 0, 4), torch.tensor([0, 0])) == [nothing, nothing]
    assert GreedyDecoder(CHARSET)(posteriors(1, 3, 4, 0), torch.tensor([0]), widths=[0]) == [nothing]


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_any_precision_is_read(dtype: torch.dtype) -> None:
    log_probs = posteriors(4, 12, 4, seed=3, sharpness=6).to(dtype)
    lengths = torch.tensor([12, 12, 5, 0])
    expected = GreedyDecoder(CHARSET)(log_probs.double(), lengths)
    for one, other in zip(GreedyDecoder(CHARSET)(log_probs, lengths), expected, strict=True):
        assert one.text == other.text
        assert one.confidence == pytest.approx(other.confidence, rel=1e-4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_reads_the_same() -> None:
    log_probs, lengths = posteriors(40, 60, 4, seed=5), torch.arange(40) + 21
    there = GreedyDecoder(CHARSET)(log_probs.cuda(), lengths, widths=[240.0] * 40)
    for one, other in zip(GreedyDecoder(CHARSET)(log_probs, lengths, [240.0] * 40), there, strict=True):
        assert one.text == other.text
        assert one.confidence == pytest.approx(other.confidence, rel=1e-3)
        assert [(c.x0, c.x1) for c in one.characters] == [(c.x0, c.x1) for c in other.characters]


def test_decoding_needs_neither_lightning_nor_hydra() -> None:
    check = "import ocrtrain.decoding, sys; sys.exit(bool({'lightning', 'hydra'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", check], check=True)


def test_a_frame_that_is_not_a_number_is_named() -> None:
    log_probs = posteriors(2, 4, 4, seed=0)
    log_probs[1, 2, 0] = float("nan")
    with pytest.raises(InputError, match="line 1, frame 2"):
        GreedyDecoder(CHARSET)(log_probs, torch.tensor([4, 4]))


@pytest.mark.parametrize(
    ("shape", "lengths", "widths", "message"),
    [
        ((1, 4, 5), [4], None, r"\[lines, frames, 4\]"),
        ((4, 4), [4], None, r"\[lines, frames, 4\]"),
        ((1, 4, 4), [5], None, "0 to 4 frames"),
        ((1, 4, 4), [-1], None, "0 to 4 frames"),
        ((1, 4, 4), [4, 4], None, "of 1 lines"),
        ((1, 4, 4), [4], [10.0, 10.0], "of 1 lines"),
    ],
)
def test_what_does_not_fit_is_said(
    shape: tuple[int, ...], lengths: list[int], widths: list[float] | None, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        GreedyDecoder(CHARSET)(torch.zeros(shape), torch.tensor(lengths), widths)
