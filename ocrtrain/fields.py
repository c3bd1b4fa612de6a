"""Typed, checked fields of a mapping that came from a file.

Whatever a file says of itself (a checkpoint's description, an adapter's config, a language model's header, a
cache's index) is read through `CheckedFields`, once, where it enters. Each field is asked for by name, type
and range. What comes out are plain values of these types, so nothing of the file can become configuration
that is instantiated or interpolated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar, cast

T = TypeVar("T")

REQUIRED: Any = object()  # the default of a field that must be there
LONGEST_TEXT = 10_000  # characters
LONGEST_LIST = 1_000_000  # items
LONGEST_SHOWN = 60  # characters of a value in a message
DEEPEST = 30  # nested mappings and lists
LARGEST = 2**53  # of an integer: beyond it, float64 and JSON readers round


class FieldError(ValueError):
    """A field of a file that is missing, of another type, or out of range; the text names the field."""


class CheckedFields:
    """Reads fields of a mapping from a file.

    values: the mapping, as the file's parser gave it; path: its own name in the file, for messages: ""
    for the outermost. Raises FieldError if `values` is not a mapping with names for keys.
    """

    def __init__(self, values: object, path: str = "") -> None:
        self.path = path
        if not isinstance(values, Mapping):
            raise FieldError(f"{path or 'content'} must be a mapping, not {shown(values)}")
        for key in values:
            if not isinstance(key, str):
                raise FieldError(f"{path or 'content'} has a key that is not a name: {shown(key)}")
        self.values: Mapping[str, Any] = values
        self._asked: set[str] = set()

    def __contains__(self, name: str) -> bool:
        """Tell whether the field is there and not None."""
        return self.values.get(name) is not None

    def integer(self, name: str, least: int = -LARGEST, most: int = LARGEST, default: Any = REQUIRED) -> int:
        """Read an integer from `least` to `most`; a bool or a float is none."""

        def check(value: Any) -> int:
            if type(value) is not int or not least <= value <= most:
                raise FieldError(f"must be an integer from {least} to {most}")
            return value

        return self._read(name, check, default)

    def number(
        self,
        name: str,
        least: float = -math.inf,
        most: float = math.inf,
        default: Any = REQUIRED,
        finite: bool = True,
    ) -> float:
        """Read a number from `least` to `most`; integers are accepted, bools are not.

        finite: whether infinities are refused, which a measurement that has not been made yet may be, and
        NaN, which one that came to nothing is.
        """

        def check(value: Any) -> float:
            if type(value) is float and not finite and not math.isfinite(value):
                return value
            if type(value) not in (int, float) or abs(value) > 1e300 or not math.isfinite(value):
                raise FieldError("must be a finite number" if finite else "must be a number")
            if not least <= value <= most:
                raise FieldError(f"must be from {least} to {most}")
            return float(value)

        return self._read(name, check, default)

    def boolean(self, name: str, default: Any = REQUIRED) -> bool:
        """Read true or false."""

        def check(value: Any) -> bool:
            if type(value) is not bool:
                raise FieldError("must be true or false")
            return value

        return self._read(name, check, default)

    def text(self, name: str, choices: Collection[str] | None = None, default: Any = REQUIRED) -> str:
        """Read a text, one of `choices` where they are given; it stays a text, whatever is written in it."""

        def check(value: Any) -> str:
            checked = _text(value)
            if choices is not None and checked not in choices:
                raise FieldError(f"must be one of {', '.join(sorted(choices))}")
            return checked

        return self._read(name, check, default)

    def texts(self, name: str, default: Any = REQUIRED) -> list[str]:
        """Read a list of texts."""
        return self.items(name, _text, default)

    def items(self, name: str, item: Callable[[Any], T], default: Any = REQUIRED) -> list[T]:
        """Read a list; `item` checks one item and raises FieldError for a wrong one."""

        def check(value: Any) -> list[T]:
            if not isinstance(value, list | tuple) or len(value) > LONGEST_LIST:
                raise FieldError(f"must be a list of at most {LONGEST_LIST} items")
            return [item(each) for each in value]

        return self._read(name, check, default)

    def fields(self, name: str, default: Any = REQUIRED) -> CheckedFields:
        """Read a mapping, to be asked for its own fields."""
        path = f"{self.path}.{name}" if self.path else name
        # The mapping's own messages carry the whole path already.
        self._asked.add(name)
        if name not in self.values:
            if default is REQUIRED:
                raise FieldError(f"{path} is missing")
            return default
        if self.values[name] is None and default is not REQUIRED:
            return default
        return CheckedFields(self.values[name], path)

    def record(self, name: str, default: Any = REQUIRED) -> dict[str, Any]:
        """Read a mapping that is kept for people to look at: a copy, of plain values whatever they are."""

        def check(value: Any) -> dict[str, Any]:
            if not isinstance(value, Mapping):
                raise FieldError("must be a mapping")
            copied: dict[str, Any] = _plain(value, DEEPEST, [LONGEST_LIST])
            return copied

        return self._read(name, check, default)

    def close(self) -> None:
        """Raise FieldError if a field was not asked for: it would be ignored in silence."""
        for name in self.values:
            if name not in self._asked:
                path = f"{self.path}.{name}" if self.path else name
                raise FieldError(f"{shown(path)[1:-1]} is not known to this version")

    def _read(self, name: str, check: Callable[[Any], T], default: Any) -> T:
        self._asked.add(name)
        path = f"{self.path}.{name}" if self.path else name
        if name not in self.values:
            if default is REQUIRED:
                raise FieldError(f"{path} is missing")
            return default
        value = self.values[name]
        if value is None and default is None:
            return cast(T, None)
        try:
            return check(value)
        except FieldError as error:
            raise FieldError(f"{path} {error}, not {shown(value)}") from None


def _text(value: Any) -> str:
    if type(value) is not str or len(value) > LONGEST_TEXT:
        raise FieldError(f"must be a text of at most {LONGEST_TEXT} characters")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise FieldError("must be Unicode text without lone surrogates")
    return value


def _plain(value: Any, depth: int, left: list[int]) -> Any:
    """Copy nested plain values; `left`, one number, counts down how many there may still be."""
    left[0] -= 1
    if depth < 0 or left[0] < 0:
        raise FieldError("must not be nested so deep, or hold so much")
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, Mapping):
        if not all(type(key) in (str, int) for key in value):
            raise FieldError("must have names for keys")
        return {key: _plain(item, depth - 1, left) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, depth - 1, left) for item in value]
    raise FieldError("must hold plain values alone")


def shown(value: object, longest: int = LONGEST_SHOWN) -> str:
    """Show a value of a file in a message: short, printable, whatever it is."""
    if isinstance(value, str):
        value = value[:longest]
    elif isinstance(value, Mapping | list | tuple | set):
        # Not its items: a few of them within each other can be more than any memory holds.
        return f"a {'mapping' if isinstance(value, Mapping) else 'list'} of {len(value)}"
    try:
        text = repr(value)
    except Exception:  # an integer of 5,000 digits
        text = f"a {type(value).__name__}"
    text = text.encode("ascii", "backslashreplace").decode() if any(map(_unprintable, text)) else text
    return text if len(text) <= longest + 2 else f"{text[: longest - 3]}..."


def _unprintable(character: str) -> bool:
    return not character.isprintable()
