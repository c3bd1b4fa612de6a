"""Whatever a decoder's setting is given, it is refused with its name, or it works."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from ocrtrain.decoding import BeamDecoder
from ocrtrain.decoding.lm.kneser_ney import build_language_model
from ocrtrain.errors import InputError
from ocrtrain.text import Charset

CHARSET = Charset("abcd ")
HOSTILE: tuple[Any, ...] = (
    math.nan, math.inf, -math.inf, -1, 0, 1, 0.5, 1000, 1e300, 10**400, True, False, "x", "1", "", "\ud800",
    [], [1], {"a": 1}, 1j, b"a", "(" * 400 + "a" + ")" * 400, "a{" + "9" * 5000 + "}", "[" * 1000,
)  # fmt: skip
# What of these may pass, besides what is refused: all that is in range and of the right kind.
GOOD: dict[str, tuple[Any, ...]] = {
    "beam_width": (1, 1000),
    "symbol_threshold": (0, 0.5),
    "prefix_threshold": (0, 0.5),
    "nbest": (0, 1, 1000),
    "lm_weight": (0, 1, 0.5),
    "lm_bonus": (-1, 0, 1, 0.5),
    "word_bonus": (-1, 0, 1, 0.5),
    "words_mode": (),
    "threads": (1, 1000),
    "lm": (),
    "words": (),
    "pattern": ("",),
    "alphabet": ("(" * 400 + "a" + ")" * 400, "a{" + "9" * 5000 + "}"),
}


@pytest.fixture(scope="module")
def lines() -> torch.Tensor:
    return torch.randn(3, 12, 6, generator=torch.Generator().manual_seed(2)).log_softmax(-1)


@pytest.mark.parametrize("name", GOOD)
def test_a_setting_is_refused_by_name_or_works(name: str, lines: torch.Tensor) -> None:
    model = build_language_model(lambda: ["abba dacc\nbad cab\n"], 3)
    for value in HOSTILE:
        settings = {"lm": model, "words": ["abba", "a"], "threads": 1, name: value}
        good = any(type(value) is type(each) and value == each for each in GOOD[name])
        if not good:
            with pytest.raises(InputError) as caught:
                BeamDecoder(CHARSET, **settings)
            assert name in caught.value.what or str(value) in caught.value.what, value
            if name not in ("lm", "words"):  # paths are named whole
                assert len(str(caught.value)) < 500
        else:
            for transcript in BeamDecoder(CHARSET, **settings)(lines, torch.tensor([12, 5, 0])):
                assert 0 <= transcript.confidence <= 1


@pytest.mark.parametrize(
    "settings",
    [
        {"lm_weight": 100.0, "lm_bonus": 100.0, "word_bonus": 100.0},
        {"lm_weight": 100.0, "lm_bonus": -100.0, "word_bonus": -100.0},
        {"lm_weight": 0.0, "lm_bonus": 100.0},
        {"lm_weight": 100.0, "words_mode": "constrain"},
        {"lm_weight": 100.0, "pattern": "[abcd]{3,30}", "lm_bonus": 100.0},
        {"word_bonus": 100.0, "beam_width": 1, "prefix_threshold": 0.0, "symbol_threshold": 0.0},
    ],
)
def test_no_limit_of_the_settings_overflows(settings: dict[str, Any]) -> None:
    model = build_language_model(lambda: ["abba dacc\nbad cab\n"], 3)
    lines = torch.randn(6, 300, 6, generator=torch.Generator().manual_seed(3)).mul(4).log_softmax(-1)
    decoder = BeamDecoder(
        CHARSET, **{"lm": model, "words": ["abba", "a", "cab"], "nbest": 5, "threads": 1, **settings}
    )
    for transcript in decoder(lines, torch.full((6,), 300)):
        assert transcript.nbest, "a line with frames has a reading"
        assert all(math.isfinite(each.score) and math.isfinite(each.log_prob) for each in transcript.nbest)
        scores = [each.score for each in transcript.nbest]
        assert scores == sorted(scores, reverse=True)


def test_an_end_that_a_model_lacks_does_not_empty_a_line() -> None:
    """Its log-probability, -99 in base 10, times a great weight, is less than float64 has room for."""
    model = build_language_model(lambda: ["abba dacc\nbad cab\n"], 1)
    ends = model.levels[0].log_prob.copy()
    ends[2] = -99 * math.log(10)
    level = type(model.levels[0])(
        model.levels[0].parent, model.levels[0].symbol, ends, model.levels[0].backoff
    )
    model = type(model)(model.symbols, [level])
    line = torch.full((1, 5, 6), -9.0)
    line[0, range(5), [1, 0, 2, 0, 3]] = -1e-3
    (transcript,) = BeamDecoder(CHARSET, lm=model, lm_weight=5.0, lm_bonus=12.0)(line, torch.tensor([5]))
    assert transcript.text == "abc"


@pytest.mark.parametrize("doubt", [-5.0, -50.0, -200.0, -740.0])
@pytest.mark.parametrize("frames", [30, 100])
def test_what_a_pattern_forces_has_ctc_s_own_probability(doubt: float, frames: int) -> None:
    """However little the recognizer believes in it: torch computes the same sum in logarithms."""
    log_probs = torch.full((1, frames, 6), doubt)
    log_probs[:, :, 0] = 0.0
    decoder = BeamDecoder(CHARSET, pattern="(ab){10}", nbest=1)
    (transcript,) = decoder(log_probs, torch.tensor([frames]))
    expected = -torch.nn.functional.ctc_loss(
        log_probs.double().transpose(0, 1), torch.tensor([[1, 2] * 10]), (frames,), (20,), reduction="sum"
    )
    assert transcript.text == "ab" * 10
    assert transcript.nbest[0].log_prob == pytest.approx(float(expected), rel=1e-9)


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("(" * 51 + "a" + ")" * 51, "more than 50 groups"),
        ("(" * 100_000, "more than 50 groups"),
        ("a{" + "9" * 5000 + "}", "repeats more than 1000 times"),
        ("a{1," + "9" * 5000 + "}", "repeats more than 1000 times"),
        ("a" * 200_000, "too many states"),
        ("((a{1000}){1000}){1000}", "too many states"),
        ("((){1000}){1000}", "too many states"),
        ("(a|b)*a(a|b){20}", "more than 5,000 states"),
    ],
    ids=range(8),
)
def test_patterns_that_are_too_much_are_refused(pattern: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as caught:
        BeamDecoder(CHARSET, pattern=pattern)
    assert len(str(caught.value)) < 300


def test_fifty_groups_within_one_another_are_read() -> None:
    assert BeamDecoder(CHARSET, pattern="(" * 50 + "a" + ")" * 50).pattern
