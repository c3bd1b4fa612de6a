"""Dates, amounts, plates and codes from templates."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ocrtrain.errors import InputError
from ocrtrain.synthesis.hashed_random import HashedRandom
from ocrtrain.synthesis.texts.placing import stands_alone
from ocrtrain.synthesis.texts.source import LONGEST, TextSource
from ocrtrain.text import Charset, normalize
from ocrtrain.text.alphabets import CAPITALS, DIGITS
from ocrtrain.text.charset import describe

_PARTS = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|([{}])|[^{}]+")
_COUNT = re.compile(r"(\d+)(?:-(\d+))?")
_WAY_ON = (
    "use {d} digit, {A} capital, {a} small letter, {c} any character, each with a count as in {d:4} or"
    " {d:1-3}; {n:1-31} a number; {choice:EUR|USD}; {{ and }} for braces."
)


@dataclass(frozen=True, slots=True)
class _Symbols:
    """`low` to `high` of `choices`; a literal text is the one choice, once."""

    choices: tuple[str, ...]
    low: int = 1
    high: int = 1

    def draw(self, rng: HashedRandom) -> str:
        if self.high == 1 == self.low and len(self.choices) == 1:
            return self.choices[0]
        count = self.low if self.low == self.high else self.low + rng.below(self.high - self.low + 1)
        return "".join([rng.pick(self.choices) for _ in range(count)])

    @property
    def symbols(self) -> frozenset[str]:
        return frozenset("".join(self.choices))

    @property
    def longest(self) -> int:
        return self.high * max(map(len, self.choices))


@dataclass(frozen=True, slots=True)
class _Number:
    """A whole number from `low` to `high`, with zeros before it up to `width` digits."""

    low: int
    high: int
    width: int

    def draw(self, rng: HashedRandom) -> str:
        return f"{self.low + rng.below(self.high - self.low + 1):0{self.width}}"

    @property
    def symbols(self) -> frozenset[str]:
        return frozenset(DIGITS)

    @property
    def longest(self) -> int:
        return max(self.width, len(str(self.high)))


_Piece = _Symbols | _Number


class Patterns(TextSource):
    """Texts by `patterns`, each template as likely as any other.

    A template is text with pieces in braces:
        {d} a digit, {A} a capital letter, {a} a small one (A to Z, of the charset, or all its letters where
        it has none of these), {c} any character of the charset but marks and spaces;
        {d:4} four of them, {d:1-4} one to four;
        {n:1-31} a whole number from 1 to 31, {n:01-31} with a leading zero where it has fewer digits;
        {choice:EUR|USD|} one of some texts, one of which may be empty; {{ and }} are braces.
    Raises `InputError` for templates that say nothing, or what the charset lacks; with `skip_unfit`, those
    are left out as long as there are others.
    """

    def __init__(self, weight: float = 1.0, patterns: Sequence[str] = (), skip_unfit: bool = False) -> None:
        self.weight, self.patterns = weight, (patterns,) if isinstance(patterns, str) else tuple(patterns)
        self.skip_unfit = skip_unfit
        self._templates: list[list[_Piece]] = []

    def symbols(self) -> frozenset[str]:
        whole = Charset(DIGITS + CAPITALS + CAPITALS.lower())
        pieces = (piece for pattern in self._given() for piece in parse(pattern, whole))
        return frozenset().union(*(piece.symbols for piece in pieces))

    def open(self, charset: Charset) -> None:
        known = frozenset(charset.symbols)
        self._templates = []
        unfit: InputError | None = None
        for pattern in self._given():
            try:
                template = parse(pattern, charset)
                if lacking := sorted(frozenset().union(*(piece.symbols for piece in template)) - known):
                    names = ", ".join(map(describe, lacking[:5]))
                    raise _Unfit(pattern, f"the charset lacks {names}")
            except _Unfit as error:
                unfit = unfit or error
                if not self.skip_unfit:
                    raise
            else:
                self._templates.append(template)
        if unfit and not self._templates:
            raise unfit
        self.max_length = max(sum(piece.longest for piece in template) for template in self._templates)

    def _given(self) -> tuple[str, ...]:
        if not self.patterns:
            raise InputError(
                "synthesis.texts: patterns", "must name at least one", "such as patterns=['{d:2}.{d:2}.']."
            )
        return self.patterns

    def draw(self, rng: HashedRandom) -> str:
        for _ in range(100):
            text = normalize("".join([piece.draw(rng) for piece in rng.pick(self._templates)]))
            if text := " ".join(text.split()):
                return text
        raise _wrong(", ".join(self.patterns), "gives empty texts", "have it say something always.")

    def repertoires(self) -> list[frozenset[str]]:
        return [frozenset().union(*(piece.symbols for piece in template)) for template in self._templates]

    def identity(self) -> dict[str, Any]:
        return {"patterns": list(self.patterns), "skip_unfit": self.skip_unfit}


class _Unfit(InputError):  # noqa: N818 - named for what it reports
    """A template that the charset cannot write."""

    def __init__(self, pattern: str, why: str) -> None:
        super().__init__(
            f"synthesis.texts: pattern {pattern!r}",
            why,
            "add that to synthesis.charset, change the pattern, or leave all out:"
            " synthesis.texts.patterns.weight=0.",
        )


def parse(pattern: str, charset: Charset) -> list[_Piece]:
    """Take a template apart; raises `InputError` with the place of what cannot be understood."""
    pieces: list[_Piece] = []
    for found in _PARTS.finditer(normalize(pattern)):
        inside, lone = found[1], found[2]
        if lone:
            why = f"a brace without its other half, at character {found.start() + 1}"
            raise _wrong(pattern, why, _WAY_ON)
        if inside is not None:
            pieces.append(_piece(pattern, inside, charset))
        else:
            pieces.append(_Symbols((found[0][0] if found[0] in ("{{", "}}") else found[0],)))
    longest = sum(piece.longest for piece in pieces)
    if not 0 < longest <= LONGEST:
        raise _wrong(pattern, f"gives texts of up to {longest} characters", f"give 1 to {LONGEST}.")
    return pieces


def _piece(pattern: str, inside: str, charset: Charset) -> _Piece:
    kind, colon, details = inside.partition(":")
    if kind == "choice" and colon:
        return _Symbols(tuple(details.split("|")))
    if kind not in ("n", *_CLASSES) or (kind == "n" and not colon):
        raise _wrong(pattern, f"nothing is called {{{inside}}}", _WAY_ON)
    bounds = _COUNT.fullmatch(details) if colon else _COUNT.fullmatch("1")
    if bounds is None or (kind == "n" and bounds[2] is None):
        raise _wrong(pattern, f"{{{inside}}} has no count or range that fits", _WAY_ON)
    low, high = int(bounds[1]), int(bounds[2] or bounds[1])
    if low > high:
        raise _wrong(pattern, f"{{{inside}}} has a range from more to less", _WAY_ON)
    if kind == "n":
        if high - low >= 1 << 32:
            raise _wrong(pattern, f"{{{inside}}} is too wide a range", "put digits together: {d:12}.")
        return _Number(low, high, len(bounds[1]) if bounds[1].startswith("0") else 0)
    if high > LONGEST:
        raise _wrong(pattern, f"{{{inside}}} is too long", f"ask for {LONGEST} at most.")
    symbols = _CLASSES[kind](charset)
    if not symbols:
        raise _Unfit(pattern, f"the charset has nothing for {{{kind}}}")
    return _Symbols(symbols, low, high)


def _of_category(category: str, usual: str) -> Callable[[Charset], tuple[str, ...]]:
    def symbols(charset: Charset) -> tuple[str, ...]:
        all_of_them = tuple(c for c in charset.symbols if unicodedata.category(c) == category)
        return tuple(c for c in all_of_them if c in usual) or all_of_them

    return symbols


_CLASSES: dict[str, Callable[[Charset], tuple[str, ...]]] = {
    "d": _of_category("Nd", DIGITS),
    "A": _of_category("Lu", CAPITALS),
    "a": _of_category("Ll", CAPITALS.lower()),
    "c": lambda charset: tuple(filter(stands_alone, charset.symbols)),
}


def _wrong(pattern: str, why: str, way_on: str) -> InputError:
    return InputError(f"synthesis.texts: pattern {pattern!r}", why, way_on)
