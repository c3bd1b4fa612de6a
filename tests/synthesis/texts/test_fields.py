"""Fields of Faker are a function of their numbers, and stay in the charset."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from ocrtrain.errors import InputError
from ocrtrain.synthesis.hashed_random import HashedRandom
from ocrtrain.synthesis.texts import Fields, fields
from ocrtrain.text import Charset
from ocrtrain.text.alphabets import charset_of

pytest.importorskip("faker", reason="Faker is not installed")
Drawer = Callable[..., list[str]]


def test_a_text_depends_on_its_numbers_alone(drawn: Drawer) -> None:
    from faker import Faker

    charset = charset_of("latin")
    first = drawn(Fields(locales=["en_US", "cs_CZ"]), charset, 60)
    Faker.seed(5)
    fields._faker("en_US").name()
    source = Fields(locales=["en_US", "cs_CZ"])
    source.open(charset)
    again = {i: source.draw(HashedRandom(f"test:{i}", 4)) for i in reversed(range(60))}
    assert [again[i] for i in range(60)] == first
    assert len(set(first)) > 55


def test_a_field_is_what_faker_gives_for_the_number() -> None:
    from faker import Faker

    source = Fields(locales="de_DE", fields="name")
    source.open(charset_of("latin"))
    numbers = HashedRandom("one", 4)
    numbers.below(1)
    faker = Faker("de_DE")
    faker.seed_instance(numbers.below(1 << 32))
    assert source.draw(HashedRandom("one", 4)) == faker.name()


def test_each_locale_has_its_characters(drawn: Drawer) -> None:
    source = Fields(locales=["en_US", "ru_RU"], fields=["name"])
    charset = Charset.from_texts(source.symbols())
    texts = drawn(source, charset, 200)
    russian = sum(any("а" <= c <= "я" for c in text) for text in texts)
    assert 70 < russian < 130
    assert all(len(symbols) < len(charset.symbols) for symbols in source.repertoires())


def test_rare_characters_outside_the_charset_are_avoided(drawn: Drawer) -> None:
    charset = Charset("".join(c for c in charset_of("ascii").symbols if c not in "Jz"))
    drawn(Fields(fields=["name"]), charset, 200)


def test_addresses_come_in_one_line(drawn: Drawer) -> None:
    texts = drawn(Fields(fields=["address"], max_length=30), charset_of("ascii"))
    assert all("\n" not in text and len(text) <= 30 for text in texts)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"locales": ["xx_YY"]}, "locale xx_YY: is unknown to Faker"),
        ({"fields": ["nonsense"]}, "does not exist in Faker"),
        ({"fields": ["date"]}, "depends on today's date"),
        ({"fields": ["ssn"]}, "depends on today's date"),
        ({"fields": ["pyint"]}, "does not give text"),
        ({"fields": []}, "must name a field"),
        ({"locales": ["ru_RU"]}, r"field name of ru_RU: the charset lacks .*CYRILLIC"),
    ],
)
def test_what_does_not_work_is_named(settings: dict[str, list[str]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Fields(**settings).open(charset_of("english"))  # type: ignore[arg-type]


def test_without_faker_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    fields._faker.cache_clear()
    monkeypatch.setitem(sys.modules, "faker", None)
    with pytest.raises(InputError, match=r"pip install 'ocrtrain\[synthesis\]'"):
        Fields().open(charset_of("english"))
    fields._faker.cache_clear()
