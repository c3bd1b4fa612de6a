r"""Regular expressions and alphabets that the whole text of a line must match.

The syntax is a part of Python's: characters, `.`, sets such as `[a-z0-9]` and `[^x]`, `\d`, `\w`, `\s` and
their opposites, `\` before anything else for itself, groups `( )`, alternatives `|`, and the repetitions
`*`, `+`, `?`, `{3}`, `{2,}` and `{2,4}`. There are no anchors, since it is always the whole text, and no
references or look-arounds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from ocrtrain.decoding.rules.automaton import NEVER, from_table
from ocrtrain.decoding.tables import DEAD, Automaton
from ocrtrain.errors import InputError
from ocrtrain.fields import shown
from ocrtrain.text import Charset, normalize

MOST_STATES = 5000
MOST_REPETITIONS = 1000
DEEPEST = 50  # groups within one another
MOST_STEPS = 20_000_000  # in making the automaton: some seconds
_ESCAPED = {
    "d": str.isdecimal,
    "w": lambda character: character.isalnum() or character == "_",
    "s": str.isspace,
}


def compile_pattern(pattern: str | None, alphabet: str | None, charset: Charset) -> Automaton:
    """Make an automaton of the texts that match `pattern` and use no symbols but those of `alphabet`.

    Raises `InputError` for what cannot be read as a pattern, and if no text of the charset's symbols matches.
    """
    allowed = frozenset(range(1, len(charset)))
    if alphabet is not None:
        wanted = set(normalize(alphabet))
        allowed = frozenset(k for k, symbol in enumerate(charset.symbols, 1) if symbol in wanted)
        if not allowed:
            raise InputError(
                f"alphabet {shown(alphabet)}",
                "shares no symbol with the charset, so that no text is left",
                "name symbols that the model can write.",
            )
    if pattern is None:
        following = np.full((1, len(charset)), DEAD, np.int32)
        following[0, sorted(allowed)] = 0
        return from_table(following, np.array([True]))
    parser = _Parser(normalize(pattern), charset)
    automaton = _determined(parser.graph, parser.parse(), allowed, len(charset), pattern)
    if automaton.need[0].min() >= NEVER:
        raise InputError(
            f"pattern {shown(pattern)}",
            "is matched by no text of the charset's symbols"
            + ("" if alphabet is None else f" within the alphabet {shown(alphabet)}"),
            "check it against the characters that the model can write.",
        )
    return automaton


@dataclass(slots=True)
class _Graph:
    """Thompson's automaton: the steps from each state that read one of a set of classes, or nothing."""

    reading: list[list[tuple[frozenset[int], int]]] = field(default_factory=list)
    silent: list[list[int]] = field(default_factory=list)

    def state(self) -> int:
        self.reading.append([])
        self.silent.append([])
        return len(self.silent) - 1

    def closed(self, states: Iterable[int]) -> frozenset[int]:
        """All states that can be reached from `states` without reading."""
        reached = set(states)
        waiting = list(reached)
        while waiting:
            for following in self.silent[waiting.pop()]:
                if following not in reached:
                    reached.add(following)
                    waiting.append(following)
        return frozenset(reached)


_Part = tuple[int, int]  # the states that a part of the pattern begins and ends in


def _determined(
    graph: _Graph, whole: _Part, allowed: frozenset[int], classes: int, pattern: str
) -> Automaton:
    """The subset construction."""
    start = graph.closed([whole[0]])
    numbers, waiting, rows = {start: 0}, deque([start]), []
    steps = 0
    while waiting:
        subset = waiting.popleft()
        targets: dict[int, set[int]] = {}
        for state in subset:
            for read, following in graph.reading[state]:
                steps += 1 + len(read)
                for k in read & allowed:
                    targets.setdefault(k, set()).add(following)
        row = np.full(classes, DEAD, np.int32)
        closures: dict[frozenset[int], int] = {}
        for k, target in sorted(targets.items()):
            key = frozenset(target)
            if key not in closures:
                closed = graph.closed(key)
                steps += len(closed)
                if closed not in numbers:
                    numbers[closed] = len(numbers)
                    waiting.append(closed)
                closures[key] = numbers[closed]
            row[k] = closures[key]
        rows.append(row)
        if len(numbers) > MOST_STATES or steps > MOST_STEPS:
            raise InputError(
                f"pattern {shown(pattern)}",
                f"needs more than {MOST_STATES:,} states"
                if len(numbers) > MOST_STATES
                else "can be matched in too many ways to be prepared",
                "use fewer or smaller repetitions.",
            )
    accepting = np.array([whole[1] in subset for subset in numbers])
    return from_table(np.stack(rows), accepting)


class _Parser:
    """Reads a pattern from left to right and builds its graph."""

    def __init__(self, pattern: str, charset: Charset) -> None:
        self.pattern, self.at, self.depth = pattern, 0, 0
        self.symbols = {symbol: k for k, symbol in enumerate(charset.symbols, 1)}
        self.graph = _Graph()

    def parse(self) -> _Part:
        whole = self._alternatives()
        if self.at < len(self.pattern):
            raise self._wrong("has a ')' too many")
        return whole

    def _wrong(self, why: str) -> InputError:
        return InputError(
            f"pattern {shown(self.pattern)}",
            f"{why}, at character {self.at + 1}",
            r"a literal special character needs a backslash before it: \. \( \[ \{ \| \* \+ \? \\",
        )

    def _next(self) -> str:
        return self.pattern[self.at : self.at + 1]

    def _take(self, wanted: str) -> bool:
        if self.pattern.startswith(wanted, self.at):
            self.at += len(wanted)
            return True
        return False

    def _alternatives(self) -> _Part:
        parts = [self._sequence()]
        while self._take("|"):
            parts.append(self._sequence())
        if len(parts) == 1:
            return parts[0]
        begin, end = self.graph.state(), self.graph.state()
        for first, last in parts:
            self.graph.silent[begin].append(first)
            self.graph.silent[last].append(end)
        return begin, end

    def _sequence(self) -> _Part:
        begin = end = self.graph.state()
        while self._next() not in ("", "|", ")"):
            place = self.at
            part = self._single()
            least, most = self._repetitions()
            after = self.at
            # Each repetition is a copy: the part is read again from its place in the pattern.
            copies = most if most is not None else max(least, 1)
            starts = []
            for i in range(copies):
                if i:
                    self.at = place
                    part = self._single()
                if len(self.graph.silent) > 20 * MOST_STATES:
                    raise self._wrong("needs too many states")
                self.graph.silent[end].append(part[0])
                starts.append(end)
                end = part[1]
            self.at = after
            if most is None:
                self.graph.silent[part[1]].append(part[0])
            after_all = self.graph.state()
            self.graph.silent[end].append(after_all)
            for i in range(least, copies):  # what is optional can be passed over
                self.graph.silent[starts[i]].append(after_all)
            end = after_all
        return begin, end

    def _repetitions(self) -> tuple[int, int | None]:
        if self._take("*"):
            found: tuple[int, int | None] = (0, None)
        elif self._take("+"):
            found = (1, None)
        elif self._take("?"):
            found = (0, 1)
        elif self._take("{"):
            inside, closed, _ = self.pattern[self.at :].partition("}")
            low, comma, high = inside.partition(",")
            if not closed or not low.isdecimal() or (high and not high.isdecimal()):
                raise self._wrong("has a '{' without numbers such as {3} or {2,4}")
            if max(len(low), len(high)) > len(str(MOST_REPETITIONS)):
                raise self._wrong(f"repeats more than {MOST_REPETITIONS} times")
            found = (int(low), int(high) if high else None if comma else int(low))
            if max(found[0], found[1] or 0) > MOST_REPETITIONS or (found[1] or found[0]) < found[0]:
                raise self._wrong(f"repeats {inside} times, of at most {MOST_REPETITIONS}")
            self.at += len(inside) + 1
        else:
            return 1, 1
        if self._next() and self._next() in "*+?{":
            raise self._wrong("repeats a repetition")
        return found

    def _single(self) -> _Part:
        if self._take("("):
            if not self._take("?:") and self._next() == "?":
                raise self._wrong("has a group of a kind that is not known here")
            self.depth += 1
            if self.depth > DEEPEST:
                raise self._wrong(f"has more than {DEEPEST} groups within one another")
            part = self._alternatives()
            if not self._take(")"):
                raise self._wrong("has a '(' that is not closed")
            self.depth -= 1
            return part
        if self._next() in "*+?{":
            raise self._wrong(f"has a {self._next()!r} with nothing to repeat")
        if self._take("["):
            read = self._set()
        elif self._take("."):
            read = frozenset(self.symbols.values())
        else:
            read = self._character()[0]
        begin, end = self.graph.state(), self.graph.state()
        self.graph.reading[begin].append((read, end))
        return begin, end

    def _character(self) -> tuple[frozenset[int], str]:
        """One character, or what stands for several: its classes, and the character itself if it is one."""
        if not self._take("\\"):
            character = self._next()
            self.at += 1
            return self._only(character), character
        letter = self._next()
        if not letter:
            raise self._wrong("ends in a backslash")
        self.at += 1
        if letter.lower() in _ESCAPED:
            test, wanted = _ESCAPED[letter.lower()], letter.islower()
            return frozenset(k for symbol, k in self.symbols.items() if test(symbol) == wanted), ""
        if letter.isalnum():
            self.at -= 1
            raise self._wrong(f"has \\{letter}, which means nothing here")
        return self._only(letter), letter

    def _only(self, character: str) -> frozenset[int]:
        return frozenset([self.symbols[character]] if character in self.symbols else [])

    def _set(self) -> frozenset[int]:
        opposite = self._take("^")
        read: frozenset[int] = frozenset()
        first = True
        while first or self._next() != "]":
            first = False
            if not self._next():
                raise self._wrong("has a '[' that is not closed")
            classes, low = self._character()
            if low and self._next() == "-" and self.pattern[self.at + 1 : self.at + 2] not in ("]", ""):
                self.at += 1
                _, high = self._character()
                if not high or high < low:
                    raise self._wrong(f"has a range that ends before it begins, from {low!r}")
                classes = frozenset(k for symbol, k in self.symbols.items() if low <= symbol <= high)
            read |= classes
        self.at += 1
        return frozenset(self.symbols.values()) - read if opposite else read
