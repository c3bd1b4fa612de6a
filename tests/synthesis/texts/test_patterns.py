"""Templates give what they say, and say what is wrong with them."""

from __future__ import annotations

import pickle
import re
from collections import Counter
from collections.abc import Callable

import pytest

from ocrtrain.errors import InputError
from ocrtrain.synthesis.hashed_random import HashedRandom
from ocrtrain.synthesis.texts import Patterns
from ocrtrain.text import Charset
from ocrtrain.text.alphabets import charset_of

Drawer = Callable[..., list[str]]


@pytest.mark.parametrize(
    ("pattern", "expression"),
    [
        ("{d:4}-{d:2}-{d:2}", r"\d{4}-\d{2}-\d{2}"),
        ("{A:3} {d:1-4}", r"[A-Z]{3} \d{1,4}"),
        ("{a}{A}{d}", r"[a-z][A-Z]\d"),
        ("{choice:EUR|USD} {n:1-999}", r"(EUR|USD) [1-9]\d{0,2}"),
        ("{n:01-31}.{n:1-12}.", r"(0[1-9]|[12]\d|3[01])\.([1-9]|1[0-2])\."),
        ("{n:000-999}", r"\d{3}"),
        ("No{choice:.|} {{{d}}}", r"No\.? \{\d\}"),
        ("{c:2}", r"\S\S"),
        ("plain", "plain"),
        (" two   spaces{choice: |}", "two spaces"),
    ],
)
def test_texts_fit_their_template(drawn: Drawer, pattern: str, expression: str) -> None:
    charset = charset_of(["ascii"])
    texts = drawn(Patterns(patterns=[pattern]), charset)
    assert all(re.fullmatch(expression, text) for text in texts), texts[:5]
    # All that a template can say is said: each alternative, each length, each end of a range.
    if pattern == "{choice:EUR|USD} {n:1-999}":
        assert {text[:3] for text in texts} == {"EUR", "USD"}
    if pattern == "{A:3} {d:1-4}":
        assert {len(text) for text in texts} == {5, 6, 7, 8}


def test_expansions_are_those_worked_out_by_hand() -> None:
    # The numbers of a name are a hash; from them, digits are number * 10 / 2^32, rounded down.
    numbers = HashedRandom("by hand", 8)
    digits = [str(int(numbers.uniform() * 10)) for _ in range(8)]
    source = Patterns(patterns=["{d:4}/{d}"])
    source.open(charset_of("ascii"))
    # The first number chooses among the templates.
    assert source.draw(HashedRandom("by hand", 8)) == "".join(digits[1:5]) + "/" + digits[5]


def test_templates_and_alternatives_are_equally_likely(drawn: Drawer) -> None:
    texts = drawn(Patterns(patterns=["x", "{n:1-3}"]), charset_of("ascii"), 3000)
    counts = Counter(texts)
    assert counts["x"] / 3000 == pytest.approx(1 / 2, abs=0.03)
    assert all(counts[n] / 3000 == pytest.approx(1 / 6, abs=0.03) for n in "123")


def test_classes_are_those_of_the_charset(drawn: Drawer) -> None:
    assert set("".join(drawn(Patterns(patterns=["{A}{d}"]), Charset("ABČ123")))) == set("AB123")
    assert set("".join(drawn(Patterns(patterns=["{A}{a}"]), Charset("ЖДжд")))) == set("ЖДжд")
    assert set("".join(drawn(Patterns(patterns=["{d}"]), Charset("٠١٢")))) == set("٠١٢")


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("{d:4", "brace without its other half, at character 1"),
        ("a}b", "brace without its other half, at character 2"),
        ("{x}", r"nothing is called \{x\}"),
        ("{digits:3}", r"nothing is called \{digits:3\}"),
        ("{d:}", r"\{d:\} has no count"),
        ("{d:x}", r"\{d:x\} has no count"),
        ("{n}", r"nothing is called \{n\}"),
        ("{n:5}", r"\{n:5\} has no count or range"),
        ("{n:9-1}", "from more to less"),
        ("{d:2-1}", "from more to less"),
        ("{d:5000}", "too long"),
        ("{n:0-99999999999}", "too wide a range"),
        ("", "up to 0 characters"),
        ("{choice:|}", "up to 0 characters"),
        ("Ž{d}", r"the charset lacks 'Ž' \(U\+017D"),
    ],
)
def test_what_cannot_be_understood_is_named(pattern: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Patterns(patterns=[pattern]).open(charset_of("ascii"))


def test_unfit_templates_can_be_left_out(drawn: Drawer) -> None:
    patterns = ["{A}{d}", "{d:2}", "Kč {d}"]
    assert all(re.fullmatch(r"\d\d", t) for t in drawn(Patterns(1, patterns, True), Charset("0123")))
    with pytest.raises(InputError, match=r"nothing for \{A\}"):
        Patterns(1, patterns).open(Charset("0123"))
    with pytest.raises(InputError, match=r"nothing for \{A\}"):
        Patterns(1, patterns, True).open(Charset("abc"))
    with pytest.raises(InputError, match="must name at least one"):
        Patterns().open(Charset("abc"))


def test_an_open_source_can_be_sent_to_another_process() -> None:
    source = Patterns(patterns=["{d:4}{choice:a|b}{n:1-9}"])
    source.open(charset_of("ascii"))
    again = pickle.loads(pickle.dumps(source))
    assert again.draw(HashedRandom("x", 8)) == source.draw(HashedRandom("x", 8))
