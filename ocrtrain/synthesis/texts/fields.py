"""Names, addresses, companies and sentences of many countries, made by Faker."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

from ocrtrain.errors import InputError
from ocrtrain.settings import checked
from ocrtrain.synthesis.hashed_random import HashedRandom
from ocrtrain.synthesis.texts.placing import shorten
from ocrtrain.synthesis.texts.source import Length, TextSource
from ocrtrain.text import Charset, normalize
from ocrtrain.text.charset import describe

_FIELDS = ("name", "company", "street_address", "address", "city", "job", "phone_number", "sentence")
# Texts of each field that are looked at for its characters; what these lack is too rare to matter.
_PROBES = 200
_TRIES = 20
# Faker reckons these from today's date: tomorrow they would be others under the same seed.
_DATED = ("profile", "simple_profile", "ssn", "credit_card_expire", "credit_card_full", "passport_full")


class Fields(TextSource):
    """Texts of Faker's `fields` in its `locales`, each combination as likely as any other.

    fields: methods of Faker that give a text, such as name, address, company, sentence; none of them may
    depend on the day. locales: such as en_US, cs_CZ, ar_SA. Longer texts than `max_length` are cut after a
    word. What has characters outside the charset is drawn again; raises `InputError` for a field that has
    them in most of its texts. The texts depend on Faker's version.
    """

    def __init__(
        self,
        weight: float = 1.0,
        locales: Sequence[str] = ("en_US",),
        fields: Sequence[str] = _FIELDS,
        max_length: int = 60,
    ) -> None:
        self.weight = weight
        self.max_length = checked(max_length, Length, "synthesis.texts: fields: max_length")
        self.locales = (locales,) if isinstance(locales, str) else tuple(locales)
        self.fields = (fields,) if isinstance(fields, str) else tuple(fields)
        self._kinds: list[tuple[str, str]] = []
        self._allowed: dict[str, frozenset[str]] = {}

    def symbols(self) -> frozenset[str]:
        return frozenset().union(*(text for texts in self._probes().values() for text in texts))

    def open(self, charset: Charset) -> None:
        probes = self._probes()
        known = frozenset(charset.symbols)
        for (locale, field), texts in probes.items():
            if sum(set(text) <= known for text in texts) < len(texts) / 2:
                lacking = sorted(set().union(*texts) - known)
                more = f" and {len(lacking) - 5} more" if len(lacking) > 5 else ""
                raise InputError(
                    f"synthesis.texts: field {field} of {locale}",
                    "the charset lacks " + ", ".join(map(describe, lacking[:5])) + more,
                    "add them to synthesis.charset, leave the field or the locale out, or take the characters"
                    " of the texts with synthesis.charset=null.",
                )
        self._kinds = list(probes)
        # What texts of a locale have seldom may be in none of the fonts that have the rest of them.
        usual: defaultdict[str, set[str]] = defaultdict(set)
        for (locale, _), texts in probes.items():
            usual[locale].update(*texts)
        self._allowed = {locale: known & symbols for locale, symbols in usual.items()}

    def draw(self, rng: HashedRandom) -> str:
        locale, field = rng.pick(self._kinds)
        allowed = self._allowed[locale]
        for _ in range(_TRIES):
            text = self._text(locale, field, rng.below(1 << 32))
            if text and allowed.issuperset(text):
                return text
        left = " ".join("".join(c if c in allowed else " " for c in text).split())
        return left or self.draw(rng)

    def _text(self, locale: str, field: str, seed: int) -> str:
        faker = _faker(locale)
        faker.seed_instance(seed)
        text = getattr(faker, field)()
        if not isinstance(text, str):
            raise InputError(
                f"synthesis.texts: field {field}",
                "does not give text",
                "choose others, such as name or address.",
            )
        return shorten(" ".join(normalize(text).split()), self.max_length)

    def _probes(self) -> dict[tuple[str, str], list[str]]:
        if not self.locales or not self.fields:
            raise InputError("synthesis.texts: fields", "must name a field and a locale", "add one.")
        kinds = [(locale, field) for locale in self.locales for field in self.fields]
        return {(locale, field): self._probe(locale, field) for locale, field in kinds}

    def _probe(self, locale: str, field: str) -> list[str]:
        faker = _faker(locale)
        method = getattr(faker, field, None) if not field.startswith("_") else None
        if not callable(method) or field.startswith("seed"):
            raise InputError(
                f"synthesis.texts: field {field}",
                f"does not exist in Faker for {locale}",
                "choose others; https://faker.readthedocs.io lists them by provider.",
            )
        provider = type(getattr(method, "__self__", None)).__module__
        if field in _DATED or ".date_time" in provider:
            raise InputError(
                f"synthesis.texts: field {field}",
                "depends on today's date, so that the same seed would draw other lines tomorrow",
                "use a pattern: {n:1-31}.{n:1-12}.{n:1900-2030}.",
            )
        return [self._text(locale, field, seed) for seed in range(_PROBES)]

    def repertoires(self) -> list[frozenset[str]]:
        return list(self._allowed.values())

    def identity(self) -> dict[str, Any]:
        import faker

        return {
            "faker": faker.VERSION,
            "locales": list(self.locales),
            "fields": list(self.fields),
            "max_length": self.max_length,
        }


@lru_cache(maxsize=128)
def _faker(locale: str) -> Any:
    """Make Faker's generator of a locale, once in each process."""
    if find_spec("faker") is None:
        raise InputError(
            "synthesis.texts: fields",
            "need Faker, which is not installed",
            "pip install 'ocrtrain[synthesis]'",
        )
    from faker import Faker

    try:
        return Faker(locale)
    except AttributeError:
        raise InputError(
            f"synthesis.texts: locale {locale}",
            "is unknown to Faker",
            "name language and country: en_US, cs_CZ, ar_SA; https://faker.readthedocs.io lists them.",
        ) from None
