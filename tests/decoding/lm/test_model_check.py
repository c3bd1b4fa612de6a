"""A language model that is not whole is refused, whichever file it comes from, before it is ever searched."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ocrtrain.decoding import BeamDecoder
from ocrtrain.decoding.lm.kneser_ney import build_language_model
from ocrtrain.decoding.lm.language_model import LanguageModel
from ocrtrain.decoding.lm.level import SPECIAL, Level
from ocrtrain.decoding.lm.load import load_language_model, save_language_model
from ocrtrain.decoding.lm.model_check import ModelError
from ocrtrain.errors import InputError
from ocrtrain.text import Charset

SYMBOLS = (*SPECIAL, "a", "b")


def parts() -> tuple[list[str], list[Level]]:
    """A model of two characters: 5 1-grams, and "<s> a", "a b", "b </s>" below them."""
    one = Level(np.zeros(5, int), np.arange(5), np.full(5, -1.5), np.full(5, -0.5))
    two = Level(np.array([1, 3, 4]), np.array([3, 4, 2]), np.full(3, -0.5), np.zeros(3))
    return list(SYMBOLS), [one, two]


def test_a_whole_model_passes() -> None:
    assert len(LanguageModel(*parts())) == 8
    assert LanguageModel(*parts(), 100.0, -100.0).weight == 100.0


def set_at(level: int, name: str, place: int, value: float) -> Callable[[list[str], list[Level]], None]:
    def spoil(_: list[str], levels: list[Level]) -> None:
        getattr(levels[level], name)[place] = value

    return spoil


def shorter(level: int, name: str) -> Callable[[list[str], list[Level]], None]:
    def spoil(_: list[str], levels: list[Level]) -> None:
        columns = {key: getattr(levels[level], key) for key in ("parent", "symbol", "log_prob", "backoff")}
        levels[level] = Level(**{**columns, name: columns[name][:-1]})

    return spoil


def symbol(place: int, value: str) -> Callable[[list[str], list[Level]], None]:
    return lambda symbols, _: symbols.__setitem__(place, value)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        *[
            (set_at(level, name, 2, value), "2-gram|1-gram")
            for level in (0, 1)
            for name in ("log_prob", "backoff")
            for value in (math.nan, math.inf, -math.inf, 1e300)
        ],
        (set_at(0, "log_prob", 3, 0.01), "at most 0"),
        (set_at(1, "backoff", 0, 300.0), "back-off"),
        (set_at(1, "parent", 0, -1), "without its beginning"),
        (set_at(1, "parent", 2, 5), "without its beginning"),
        (set_at(1, "symbol", 0, -1), "of a symbol that it lacks"),
        (set_at(1, "symbol", 2, 5), "of a symbol that it lacks"),
        (set_at(1, "parent", 2, 2), "out of order"),
        (set_at(0, "symbol", 2, 1), "every symbol once"),
        *[(shorter(1, name), "a different number") for name in ("parent", "symbol", "log_prob", "backoff")],
        (symbol(3, "b"), "a symbol twice"),
        (symbol(3, "ab"), "not one character"),
        (symbol(3, ""), "not one character"),
        (symbol(3, "\ud800"), "surrogate"),
        (symbol(0, "a"), "does not begin with the symbols"),
        (lambda symbols, _: symbols.append("c"), "every symbol once"),
        (lambda _, levels: levels.clear(), "no n-grams"),
    ],
)
def test_a_model_that_is_not_whole_is_refused(
    spoil: Callable[[list[str], list[Level]], None], reason: str
) -> None:
    symbols, levels = parts()
    spoil(symbols, levels)
    with pytest.raises(ModelError, match=reason):
        LanguageModel(symbols, levels)


@pytest.mark.parametrize(("weight", "bonus"), [(math.nan, 0), (-1, 0), (101, 0), (1, math.inf), (1, 101)])
def test_what_tuning_cannot_have_found_is_refused(weight: float, bonus: float) -> None:
    with pytest.raises(ModelError, match=r"weight|bonus"):
        LanguageModel(*parts(), weight, bonus)


def lm(order: int = 3) -> LanguageModel:
    draws = random.Random(1)
    lines = ["".join(draws.choices("abcd ", k=12)) for _ in range(40)]
    return build_language_model(lambda: ["\n".join(lines)], order)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "NaN", "1e400", "-1e308", "0.5"])
@pytest.mark.parametrize("column", [0, 2])
def test_no_number_of_an_arpa_file_gets_past(value: str, column: int, tmp_path: Path) -> None:
    save_language_model(lm(), tmp_path / "m.arpa")
    lines = (tmp_path / "m.arpa").read_text().split("\n")
    place = lines.index("\\1-grams:") + 4
    fields = lines[place].split("\t")
    fields[column] = value
    lines[place] = "\t".join(fields)
    (tmp_path / "m.arpa").write_text("\n".join(lines))
    if (column, value) == (2, "0.5"):  # a back-off weight may be above 1
        load_language_model(tmp_path / "m.arpa")
        return
    with pytest.raises(InputError, match=r"m\.arpa"):
        load_language_model(tmp_path / "m.arpa")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("ngram 1=8", "ngram 1=" + "9" * 5000),
        ("ngram 1=8", "ngram " + "1" * 5000 + "=8"),
        ("\\1-grams:", "\\" + "1" * 5000 + "-grams:"),
        ("ngram 1=8", "ngram 1=٨"),
        ("\ta\t", "\t<U+D800>\t"),
        ("\ta\t", "\t<U+FFFFFF>\t"),
        ("\ta\t", "\tab\t"),
        ("\ta\t", "\ta b c d e\t"),
        ("\\1-grams:", "\\2-grams:"),
        ("\\end\\", ""),
    ],
    ids=range(10),
)
def test_an_arpa_file_that_is_not_sound_is_refused(old: str, new: str, tmp_path: Path) -> None:
    save_language_model(lm(), tmp_path / "m.arpa")
    text = (tmp_path / "m.arpa").read_text()
    assert old in text
    (tmp_path / "m.arpa").write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(InputError, match=r"m\.arpa"):
        load_language_model(tmp_path / "m.arpa")


def test_weights_of_backing_off_that_are_too_large_make_no_more_than_1(tmp_path: Path) -> None:
    symbols, levels = parts()
    levels[0].backoff[:] = 200.0
    model = LanguageModel(symbols, levels)
    assert model.log_prob("bbbb", ends=False) == 0.0
    log_probs = torch.randn(8, 20, 3, generator=torch.Generator().manual_seed(0)).log_softmax(-1)
    decoder = BeamDecoder(Charset("ab"), lm=model, lm_weight=100.0, lm_bonus=100.0, nbest=5)
    for transcript in decoder(log_probs, torch.full((8,), 20)):
        assert transcript.text and all(math.isfinite(each.score) for each in transcript.nbest)
