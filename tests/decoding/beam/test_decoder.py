"""Beam search against enumeration, and what greedy promises."""

from __future__ import annotations

import itertools
import logging
import math
import re
from collections import defaultdict

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from ocrtrain.decoding import BeamDecoder, GreedyDecoder, LanguageModel, Transcript
from ocrtrain.decoding.lm.kneser_ney import build_language_model
from ocrtrain.errors import InputError
from ocrtrain.text import Charset, Writing

SYMBOLS = "ab "
CHARSET = Charset(SYMBOLS)
EXHAUSTIVE = {"beam_width": 10_000, "symbol_threshold": 0.0, "prefix_threshold": 0.0, "threads": 1}


def posteriors(lines: int, frames: int, classes: int, seed: int, sharpness: float = 2.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    logits = sharpness * torch.randn(lines, frames, classes, generator=generator, dtype=torch.float64)
    return logits.log_softmax(-1).float().double()  # the search reads single precision, and sums in double


def enumerated(log_probs: Tensor, symbols: str = SYMBOLS) -> dict[str, float]:
    """P(text | line) of every text, summed over all K^T alignments."""
    T, K = log_probs.shape
    sums: dict[str, float] = defaultdict(float)
    for path in itertools.product(range(K), repeat=T):
        text = "".join(symbols[label - 1] for label, _ in itertools.groupby(path) if label)
        sums[text] += math.exp(sum(float(log_probs[t, label]) for t, label in enumerate(path)))
    return sums


def small_model() -> LanguageModel:
    return build_language_model(lambda: ["abab ab\nba ab b\naab abba\n b\n"], 3)


@pytest.mark.parametrize(
    ("frames", "classes"), [(1, 2), (2, 2), (3, 2), (5, 2), (1, 4), (2, 3), (3, 3), (4, 4), (5, 3)]
)
@pytest.mark.parametrize("sharpness", [0.0, 1.0, 4.0])
def test_an_unlimited_beam_is_enumeration(frames: int, classes: int, sharpness: float) -> None:
    symbols = SYMBOLS[: classes - 1]
    decoder = BeamDecoder(Charset(symbols), nbest=10_000, **EXHAUSTIVE)
    log_probs = posteriors(4, frames, classes, seed=frames * classes, sharpness=sharpness)
    for line, transcript in enumerate(decoder(log_probs, torch.full((4,), frames))):
        expected = enumerated(log_probs[line], symbols)
        assert {h.text: math.exp(h.log_prob) for h in transcript.nbest} == pytest.approx(
            dict(expected), rel=1e-8
        )
        assert sum(h.share for h in transcript.nbest) == pytest.approx(1)
        assert [h.score for h in transcript.nbest] == sorted(
            (h.score for h in transcript.nbest), reverse=True
        )
        assert transcript.confidence == pytest.approx(max(expected.values()), rel=1e-8)
        assert expected[transcript.text] == pytest.approx(transcript.confidence, rel=1e-8)


def test_the_best_text_is_never_less_probable_than_the_best_path_on_sure_lines() -> None:
    log_probs, lengths = posteriors(50, 40, 4, seed=3, sharpness=5), torch.arange(50) % 40 + 1
    pairs = zip(
        BeamDecoder(CHARSET)(log_probs, lengths), GreedyDecoder(CHARSET)(log_probs, lengths), strict=True
    )
    better = 0
    for beam, greedy in pairs:
        assert beam.confidence >= greedy.confidence * (1 - 1e-6)
        better += beam.text != greedy.text
        if beam.text == greedy.text:
            assert beam.confidence == pytest.approx(greedy.confidence, rel=1e-4)
            assert [c[2:] for c in beam.characters] == [c[2:] for c in greedy.characters]
            for one, other in zip(beam.characters, greedy.characters, strict=True):
                assert one.probability == pytest.approx(other.probability, rel=1e-6)
    assert better


def best_alignment(log_probs: Tensor, text: str) -> float:
    """The log-probability of the best alignment, by CTC's loss on frames that take only one path."""
    spelt = [0, *itertools.chain.from_iterable((k, 0) for k in CHARSET.encode(text))]
    score = np.full(len(spelt), -np.inf)
    score[:2] = log_probs[0, spelt[:2]]
    for t in range(1, len(log_probs)):
        before = score.copy()
        for s, k in enumerate(spelt):
            sources = [before[s], before[s - 1] if s else -np.inf]
            if s > 1 and k and k != spelt[s - 2]:
                sources.append(before[s - 2])
            score[s] = max(sources) + float(log_probs[t, k])
    return float(score[-2:].max())


@pytest.mark.parametrize("sharpness", [0.2, 2.0])  # the first has best alignments that are next to nothing
def test_characters_stand_where_the_best_alignment_has_them(sharpness: float) -> None:
    log_probs = posteriors(6, 60, 4, seed=11, sharpness=sharpness)
    for line, transcript in enumerate(BeamDecoder(CHARSET)(log_probs, torch.full((6,), 60))):
        path = torch.zeros(60, dtype=torch.int64)
        for character in transcript.characters:
            label = CHARSET.encode(character.text)[0]
            path[character.first_frame : character.last_frame + 1] = label
            frames = log_probs[line, character.first_frame : character.last_frame + 1, label]
            assert character.probability == pytest.approx(float(frames.exp().max()), rel=1e-6)
        own = float(log_probs[line].gather(1, path[:, None]).sum())
        assert own == pytest.approx(best_alignment(log_probs[line], transcript.text), rel=1e-8)


def test_long_lines_do_not_underflow() -> None:
    log_probs = posteriors(1, 3000, 4, seed=2, sharpness=1.0)
    (transcript,) = BeamDecoder(CHARSET, nbest=1)(log_probs, torch.tensor([3000]))
    text = torch.tensor(CHARSET.encode(transcript.text))
    exact = -F.ctc_loss(log_probs[0][:, None], text, [3000], [len(text)], reduction="sum")
    assert transcript.nbest[0].log_prob == pytest.approx(float(exact), rel=1e-8)
    assert len(transcript.characters) == len(text) > 500


@pytest.mark.parametrize("filler", [0.0, float("nan"), float("inf")])
def test_lines_do_not_depend_on_each_other_or_on_threads(filler: float) -> None:
    log_probs, lengths = posteriors(40, 20, 4, seed=5).float(), (torch.arange(40) * 7) % 21
    for line, length in enumerate(lengths):
        log_probs[line, length:] = filler
    widths = [10.0 * int(length) for length in lengths]
    together = BeamDecoder(CHARSET, threads=3, nbest=3)(log_probs, lengths, widths)
    one = BeamDecoder(CHARSET, threads=1, nbest=3)
    alone = [
        one(log_probs[i : i + 1, :n], lengths[i : i + 1], widths[i : i + 1])[0] for i, n in enumerate(lengths)
    ]
    assert together == alone
    assert all(c.x1 == 10 * (c.last_frame + 1) for t in together for c in t.characters)


def fused(model: LanguageModel, text: str, weight: float, bonus: float, log_prob: float) -> float:
    return log_prob + weight * model.log_prob(text) + bonus * len(text)


def test_a_language_model_enters_the_score_as_defined() -> None:
    model = small_model()
    decoder = BeamDecoder(CHARSET, nbest=10_000, lm=model, lm_weight=0.7, lm_bonus=0.3, **EXHAUSTIVE)
    log_probs = posteriors(3, 4, 4, seed=1)
    for line, transcript in enumerate(decoder(log_probs, torch.full((3,), 4))):
        expected = {
            text: fused(model, text, 0.7, 0.3, math.log(p)) for text, p in enumerated(log_probs[line]).items()
        }
        assert {h.text: h.score for h in transcript.nbest} == pytest.approx(expected, rel=1e-5)
        assert transcript.text == max(expected, key=expected.__getitem__)
        assert math.log(transcript.confidence) == pytest.approx(
            math.log(enumerated(log_probs[line])[transcript.text]), rel=1e-6
        )


def test_a_weight_of_zero_is_no_language_model_bit_for_bit() -> None:
    log_probs, lengths = posteriors(30, 30, 4, seed=9), torch.full((30,), 30)
    without = BeamDecoder(CHARSET, nbest=5)(log_probs, lengths)
    assert (
        BeamDecoder(CHARSET, nbest=5, lm=small_model(), lm_weight=0, lm_bonus=2)(log_probs, lengths)
        == without
    )
    assert BeamDecoder(CHARSET, nbest=5, lm=small_model(), lm_weight=2)(log_probs, lengths) != without


def test_an_unknown_character_is_no_trap() -> None:
    charset = Charset("abſ ")
    path = torch.tensor([[1, 3, 0, 3, 2]])
    log_probs = torch.full((1, 5, 5), math.log(0.004)).scatter(2, path[..., None], math.log(0.984))
    (transcript,) = BeamDecoder(charset, lm=small_model(), lm_weight=1.0)(log_probs, torch.tensor([5]))
    assert transcript.text == "aſſb"
    with pytest.raises(InputError, match="knows none of the characters"):
        BeamDecoder(Charset("жд"), lm=small_model())


DATES = r"(0[1-9]|[12]\d|3[01])\.(0[1-9]|1[0-2])\.\d{4}"


def test_a_pattern_holds_for_every_text() -> None:
    charset = Charset("0123456789.abc")
    log_probs, lengths = posteriors(40, 24, 15, seed=4, sharpness=1.0), torch.arange(40) % 15 + 10
    for transcript, length in zip(
        BeamDecoder(charset, pattern=DATES, beam_width=4, nbest=4)(log_probs, lengths), lengths, strict=True
    ):
        if length >= 11:  # ten symbols; two of them may have to be equal
            assert transcript.nbest
        for hypothesis in transcript.nbest:
            assert re.fullmatch(DATES, hypothesis.text)


@pytest.mark.parametrize("pattern", ["(ab)*", "a+b?", "aa|b b", "[^a]{2}", "a.b", "b{1,3}", "(a|b)(a| )?"])
def test_a_pattern_chooses_among_all_texts_that_match(pattern: str) -> None:
    log_probs = posteriors(5, 4, 4, seed=8, sharpness=1.0)
    decoder = BeamDecoder(CHARSET, pattern=pattern, nbest=10_000, **EXHAUSTIVE)
    for line, transcript in enumerate(decoder(log_probs, torch.full((5,), 4))):
        expected = {t: p for t, p in enumerated(log_probs[line]).items() if re.fullmatch(pattern, t)}
        assert {h.text: math.exp(h.log_prob) for h in transcript.nbest} == pytest.approx(expected, rel=1e-8)


def test_lines_have_patterns_of_their_own(caplog: pytest.LogCaptureFixture) -> None:
    log_probs = posteriors(4, 5, 4, seed=8, sharpness=1.0)
    patterns, alphabets = ["a+", None, "(ab ){9}", "b?"], [None, "a ", None, None]
    with caplog.at_level(logging.WARNING):
        read = BeamDecoder(CHARSET, threads=1)(log_probs, torch.full((4,), 5), None, patterns, alphabets)
    assert re.fullmatch("a+", read[0].text) and set(read[1].text) <= {"a", " "}
    assert read[2] == Transcript("", 0.0, ())
    assert "1 of 4 lines" in caplog.text and "line 2 of 5 frames" in caplog.text
    assert read[3].text in ("", "b")
    many = (log_probs.repeat(10, 1, 1), torch.full((40,), 5), None, patterns * 10, alphabets * 10)
    assert BeamDecoder(CHARSET, threads=3)(*many) == read * 10
    free = BeamDecoder(CHARSET)(log_probs, torch.full((4,), 5))
    assert BeamDecoder(CHARSET)(log_probs, torch.full((4,), 5), None, [None] * 4) == free


def test_frames_that_a_doubled_symbol_needs_are_kept_in_reserve() -> None:
    # "aab" needs four frames. The first ones are sure of a blank, so a search that waits too long is lost.
    log_probs = torch.tensor([[0.97, 0.01, 0.01, 0.01]] * 4).log()[None]
    (transcript,) = BeamDecoder(CHARSET, pattern="aab", beam_width=1)(log_probs, torch.tensor([4]))
    assert transcript.text == "aab" and transcript.confidence == pytest.approx(0.97 * 0.01**3, rel=1e-5)


def test_words_constrain_and_reward() -> None:
    log_probs = posteriors(6, 5, 4, seed=12, sharpness=1.0)
    lengths = torch.full((6,), 5)
    words = ["ab", "b", "bb"]
    constrained = BeamDecoder(CHARSET, words=words, words_mode="constrain", nbest=10_000, **EXHAUSTIVE)
    rewarded = BeamDecoder(CHARSET, words=words, word_bonus=1.5, nbest=10_000, **EXHAUSTIVE)
    both = zip(constrained(log_probs, lengths), rewarded(log_probs, lengths), strict=True)
    for line, (only, more) in enumerate(both):
        every = enumerated(log_probs[line])
        allowed = {text: p for text, p in every.items() if all(word in words for word in text.split())}
        assert {h.text: math.exp(h.log_prob) for h in only.nbest} == pytest.approx(allowed, rel=1e-8)
        scores = {
            text: math.log(p) + 1.5 * sum(word in words for word in text.split()) for text, p in every.items()
        }
        assert {h.text: h.score for h in more.nbest} == pytest.approx(scores, rel=1e-8)


def test_a_word_begun_is_a_word_finished() -> None:
    charset = Charset("abc ")
    log_probs = posteriors(20, 9, 5, seed=2, sharpness=1.0)
    decoder = BeamDecoder(charset, words=["abba", "cc"], words_mode="constrain", beam_width=1)
    for transcript in decoder(log_probs, torch.arange(20) % 9 + 1):
        assert all(word in ("abba", "cc") for word in transcript.text.split())


def test_what_was_never_seen_has_no_confidence() -> None:
    nothing = Transcript("", 0.0, ())
    decoder = BeamDecoder(CHARSET)
    assert decoder(torch.zeros(0, 7, 4), torch.zeros(0, dtype=torch.int64)) == []
    assert decoder(torch.zeros(2, 0, 4), torch.tensor([0, 0])) == [nothing, nothing]
    assert decoder(posteriors(2, 3, 4, 0), torch.tensor([0, 0]), widths=[0, 0]) == [nothing, nothing]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_any_precision_is_read(dtype: torch.dtype) -> None:
    log_probs, lengths = posteriors(4, 12, 4, seed=3, sharpness=6).to(dtype), torch.tensor([12, 12, 5, 0])
    for one, other in zip(
        BeamDecoder(CHARSET)(log_probs, lengths),
        BeamDecoder(CHARSET)(log_probs.double(), lengths),
        strict=True,
    ):
        assert one.text == other.text and one.confidence == pytest.approx(other.confidence, rel=1e-4)


def test_texts_from_right_to_left_come_back_in_logical_order() -> None:
    charset = Charset("\u05d0\u05d1 ", Writing(direction="rtl"))
    log_probs, lengths = posteriors(20, 12, 4, seed=6, sharpness=6), torch.full((20,), 12)
    beam = BeamDecoder(charset, nbest=1)(log_probs, lengths, [120.0] * 20)
    for one, other in zip(beam, GreedyDecoder(charset)(log_probs, lengths, [120.0] * 20), strict=True):
        assert one.nbest[0].text == one.text == "".join(c.text for c in one.characters)
        if one.text == other.text:
            assert [c.x0 for c in one.characters] == [c.x0 for c in other.characters]
    assert any(t.characters[0].x0 > t.characters[-1].x0 for t in beam if len(t.characters) > 1)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("label", [0, 2])
def test_a_frame_that_is_not_a_number_is_named(value: float, label: int) -> None:
    log_probs = posteriors(20, 4, 4, seed=0)
    log_probs[17, 2, label] = value
    with pytest.raises(InputError, match="line 17, frame 2"):
        BeamDecoder(CHARSET)(log_probs, torch.full((20,), 4))


def test_impossible_symbols_are_not_written() -> None:
    log_probs = posteriors(5, 6, 4, seed=0)
    log_probs[:, :, 1] = float("-inf")
    for transcript in BeamDecoder(CHARSET, nbest=50, **EXHAUSTIVE)(log_probs, torch.full((5,), 6)):
        assert all("a" not in hypothesis.text for hypothesis in transcript.nbest)


def test_many_classes_of_which_none_stands_out() -> None:
    log_probs = torch.full((1, 2, 30_001), -math.log(30_001))
    charset = Charset([chr(0x4E00 + i) for i in range(20_000)] + [chr(0xAC00 + i) for i in range(10_000)])
    (transcript,) = BeamDecoder(charset)(log_probs, torch.tensor([2]))
    assert len(transcript.text) == 1  # one symbol has three alignments, two or none have one


@pytest.mark.parametrize(
    ("shape", "lengths", "message"),
    [
        ((1, 4, 5), [4], r"\[lines, frames, 4\]"),
        ((1, 4, 1), [4], "fits the charset"),
        ((1, 4, 4), [5], "0 to 4"),
    ],
)
def test_what_does_not_fit_is_said(shape: tuple[int, ...], lengths: list[int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        BeamDecoder(CHARSET)(torch.zeros(shape), torch.tensor(lengths))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"beam_width": 0}, "beam_width=0"),
        ({"nbest": -1}, "nbest=-1"),
        ({"symbol_threshold": 1.0}, "symbol_threshold"),
        ({"prefix_threshold": -0.1}, "prefix_threshold"),
        ({"words": ["xyz"]}, "can write none"),
        ({"words": ["a"], "words_mode": "help"}, "words_mode='help'"),
        ({"alphabet": "xyz"}, "shares no symbol"),
        ({"pattern": "[0-9]"}, "is matched by no text"),
        ({"pattern": "a", "alphabet": "b"}, "within the alphabet 'b'"),
        ({"lm": "nowhere.npz"}, "nowhere.npz: cannot be read"),
    ],
)
def test_settings_that_cannot_work_are_said(settings: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        BeamDecoder(CHARSET, **settings)  # type: ignore[arg-type]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_reads_the_same() -> None:
    log_probs, lengths = posteriors(40, 60, 4, seed=5).float(), torch.arange(40) + 21
    assert BeamDecoder(CHARSET)(log_probs.cuda(), lengths.cuda()) == BeamDecoder(CHARSET)(log_probs, lengths)
