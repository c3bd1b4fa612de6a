"""Language models on disk: our format, ARPA's and KenLM's say the same."""

from __future__ import annotations

import math
import random
from pathlib import Path

import numpy as np
import pytest

from ocrtrain.decoding.lm.arpa import read_arpa, symbol_of, token_of, write_arpa
from ocrtrain.decoding.lm.kenlm_binary import read_kenlm
from ocrtrain.decoding.lm.kneser_ney import build_language_model
from ocrtrain.decoding.lm.language_model import LanguageModel
from ocrtrain.decoding.lm.load import load_language_model, save_language_model
from ocrtrain.errors import InputError
from ocrtrain.text import Charset

TEXTS = ["", "a", "abba", "ab ba", "ddd", "b\u00a0c", "zzz", "a" * 30]

ARPA = """\
made by hand

\\data\\
ngram 1=4
ngram 2=2

\\1-grams:
-1.0\t<unk>
-99\t<s>\t-0.5
-0.5\ta\t-0.25
-0.7\t</s>

\\2-grams:
-0.1\t<s> a
-0.2\ta </s>

\\end\\
"""


@pytest.fixture
def model() -> LanguageModel:
    draws = random.Random(0)
    lines = [
        "".join(draws.choices("abcd \u00a0", [5, 3, 1, 2, 1, 1], k=draws.randint(1, 14))) for _ in range(80)
    ]
    return build_language_model(lambda: ["\n".join(lines)], 4)


def test_backing_off_is_what_the_format_says(tmp_path: Path) -> None:
    (tmp_path / "m.arpa").write_text(ARPA)
    model = read_arpa(tmp_path / "m.arpa")
    ten = math.log(10)
    assert model.log_prob("a") == pytest.approx(-(0.1 + 0.2) * ten, rel=1e-6)
    assert model.log_prob("aa") == pytest.approx(-(0.1 + 0.25 + 0.5 + 0.2) * ten, rel=1e-6)
    assert model.log_prob("") == pytest.approx(-(0.5 + 0.7) * ten, rel=1e-6)
    # What it never saw is as probable as a character drawn at random, or what the model says, if that is
    # more.
    assert model.log_prob("x", ends=False) == pytest.approx(max(-1.0 * ten, -math.log(4)), rel=1e-6)


@pytest.mark.parametrize("name", ["m.npz", "m.arpa"])
def test_what_is_stored_is_what_is_read(model: LanguageModel, name: str, tmp_path: Path) -> None:
    save_language_model(model, tmp_path / name)
    again = load_language_model(tmp_path / name)
    assert (
        again.order == model.order and set(again.symbols) == set(model.symbols) and len(again) == len(model)
    )
    for text in TEXTS:
        assert again.log_prob(text) == pytest.approx(model.log_prob(text), rel=1e-5)


def test_tuned_values_are_kept_and_nothing_is_pickled(model: LanguageModel, tmp_path: Path) -> None:
    model.weight, model.bonus = 0.7, 1.5
    model.save(tmp_path / "m.npz")
    again = LanguageModel.load(tmp_path / "m.npz")
    assert (again.weight, again.bonus) == (0.7, 1.5)
    with np.load(tmp_path / "m.npz", allow_pickle=False) as content:
        assert all(content[name].dtype != object for name in content.files)
    np.testing.assert_array_equal(again.nodes, model.nodes)
    np.testing.assert_array_equal(again.values, model.values)


def test_kenlm_says_the_same(model: LanguageModel, tmp_path: Path) -> None:
    kenlm = pytest.importorskip("kenlm")
    write_arpa(model, tmp_path / "m.arpa")
    theirs = kenlm.Model(str(tmp_path / "m.arpa"))
    through = read_kenlm(tmp_path / "m.arpa", "abcd \u00a0ſ")
    for text in TEXTS:
        if set(text) <= set(model.symbols):
            score = theirs.score(" ".join(map(token_of, text)), bos=True, eos=True) * math.log(10)
            assert model.log_prob(text) == pytest.approx(score, rel=1e-4)
            assert through.log_prob(text) == pytest.approx(score, rel=1e-4)


def test_kenlm_is_asked_for_by_name_where_it_is_missing(tmp_path: Path) -> None:
    (tmp_path / "m.bin").write_bytes(b"mmap lm http://kheafield.com/code format version 5\n\0" + bytes(100))
    with pytest.raises(InputError, match=r"pip install kenlm|kenlm cannot read it"):
        load_language_model(tmp_path / "m.bin", "ab")


@pytest.mark.parametrize("symbol", ["a", " ", "\u00a0", "\u2009", "|", "<", "ſ", "<s>", "</s>", "<unk>"])
def test_tokens_are_symbols(symbol: str) -> None:
    assert symbol_of(token_of(symbol)) == symbol
    assert not any(character.isspace() for character in token_of(symbol))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("\\end\\", ""), "was cut short"),
        (("ngram 2=2", "ngram 2=3"), "was cut short"),
        (("-0.1\t<s> a", "-0.1\t<s> a b c"), "line 14"),
        (("-0.1\t<s> a", "zero\t<s> a"), "line 14"),
        (("\ta\t", "\tword\t"), "not one character"),
        (("\\data\\", "data"), "was cut short"),
    ],
)
def test_what_is_no_arpa_file_is_said(change: tuple[str, str], message: str, tmp_path: Path) -> None:
    (tmp_path / "m.arpa").write_text(ARPA.replace(*change))
    with pytest.raises(InputError, match=message):
        read_arpa(tmp_path / "m.arpa")


def test_what_is_no_model_is_said(model: LanguageModel, tmp_path: Path) -> None:
    model.save(tmp_path / "m.npz")
    whole = (tmp_path / "m.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    (tmp_path / "noise.npz").write_bytes(bytes(range(256)))
    for name in ("cut.npz", "other.npz", "noise.npz", "missing.npz", "."):
        with pytest.raises(InputError, match=name):
            load_language_model(tmp_path / name)
    with pytest.raises(InputError, match="no known format"):
        save_language_model(model, tmp_path / "m.txt")


def test_a_model_of_another_script_says_so(model: LanguageModel) -> None:
    with pytest.raises(InputError, match="knows none of the characters"):
        model.bind(Charset("жд"), 1.0, 0.0)
    bound = model.bind(Charset("aж"), 1.0, 0.0)
    assert bound.symbols[1] >= 0 and bound.symbols[2] == -1
