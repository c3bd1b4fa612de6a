"""Sources mix by their weights, and no symbol is rarer than the floor."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable

import pytest

from ocrtrain.errors import InputError
from ocrtrain.synthesis.hashed_random import HashedRandom
from ocrtrain.synthesis.texts import Lines, MadeUp, Mixture, Patterns, RandomStrings, Words
from ocrtrain.text import Charset
from ocrtrain.text.alphabets import charset_of

Drawer = Callable[..., list[str]]
Writer = Callable[..., str]


def shares(texts: list[str]) -> dict[str, float]:
    counts = Counter("".join(texts))
    return {symbol: count / counts.total() for symbol, count in counts.items()}


def test_sources_come_as_often_as_their_weights_say(drawn: Drawer) -> None:
    sources = {
        "a": Patterns(1, ["a"]), "b": Patterns(2, ["b"]), "c": Patterns(5, ["c"]), "none": Lines(0),
    }  # fmt: skip
    texts = drawn(Mixture(sources), Charset("abc"), 8000)
    assert Counter(texts)["a"] / 8000 == pytest.approx(1 / 8, abs=0.015)
    assert Counter(texts)["b"] / 8000 == pytest.approx(2 / 8, abs=0.015)
    assert Counter(texts)["c"] / 8000 == pytest.approx(5 / 8, abs=0.015)


def test_one_source_alone_is_drawn_from_as_it_is(drawn: Drawer) -> None:
    charset = charset_of("letters")
    assert drawn(Mixture({"one": RandomStrings(3.0)}), charset) == drawn(RandomStrings(), charset)


@pytest.mark.parametrize("alphabet", ["czech", "greek"])
def test_no_symbol_is_rarer_than_the_floor(drawn: Drawer, alphabet: str) -> None:
    floor = 0.001
    texts = drawn(Mixture({"made_up": MadeUp()}, floor), charset_of(alphabet), 3000)
    found = shares(texts)
    for symbol in charset_of(alphabet).symbols:
        assert symbol == " " or found.get(symbol, 0.0) >= floor, symbol
    assert all(unicodedata.is_normalized("NFC", text) and text == text.strip() for text in texts)


def test_a_floor_works_on_real_words_and_leaves_most_alone(drawn: Drawer, write: Writer) -> None:
    file = write("the cat sat on the mat\nzebras have stripes\n" * 10 + "quite an exotic quiz\n")
    charset = charset_of(["letters", " §ů"])
    plain = drawn(Mixture({"words": Words(1, file)}), charset, 3000)
    raised = drawn(Mixture({"words": Words(1, file)}, 0.002), charset, 3000)
    before, after = shares(plain), shares(raised)
    assert before["x"] < 0.004 and "§" not in before
    assert all(after.get(symbol, 0) >= 0.002 for symbol in charset.symbols)
    # With 56 symbols at the floor, an eighth of the characters were changed, and no text's length.
    assert [len(text) for text in plain] == [len(text) for text in raised]
    changed = sum(a != b for x, y in zip(plain, raised, strict=True) for a, b in zip(x, y, strict=True))
    assert changed / sum(map(len, plain)) < 0.15


def test_marks_that_are_rare_are_put_on_letters(drawn: Drawer) -> None:
    texts = drawn(Mixture({"made_up": MadeUp()}, 0.002), charset_of("devanagari"), 2000)
    assert min(shares(texts).get(c, 0) for c in charset_of("devanagari").symbols) >= 0.002


def test_the_same_number_gives_the_same_text() -> None:
    mixtures = [Mixture({"m": MadeUp(3), "s": RandomStrings(1)}, 0.001) for _ in range(2)]
    for mixture in mixtures:
        mixture.open(charset_of("czech"))
    texts = [
        [mixture.draw(HashedRandom(f"n:{i}", 8)) for i in order]
        for mixture, order in zip(mixtures, (range(50), reversed(range(50))), strict=True)
    ]
    assert texts[0] == texts[1][::-1]


def test_weights_and_floors_without_sense_are_refused() -> None:
    with pytest.raises(InputError, match=r"texts\.x\.weight=-1"):
        Mixture({"x": RandomStrings(-1)})
    with pytest.raises(InputError, match="no source has a weight above 0"):
        Mixture({"x": RandomStrings(0)})
    with pytest.raises(InputError, match="floor=2"):
        Mixture({"x": RandomStrings()}, 2)
    with pytest.raises(InputError, match=r"set it to 0\.004 or less"):
        Mixture({"x": RandomStrings()}, 0.01).open(charset_of("letters"))
