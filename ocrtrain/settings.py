"""Typed settings: what a user chose, checked once, where it enters.

The settings of a command are a dataclass; its annotations say what each may be. `read_settings` fills it from
the plain values that a configuration or a caller gives, and `checked` judges one value, for the constructors
that presets name. The defaults and their descriptions stay in conf/, which `--help` shows.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
import os
import re
import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from ocrtrain.errors import InputError

T = TypeVar("T")

LARGEST = 2**63 - 1  # that an int64 holds


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a number or of both ends of a range: `least`, `most` are allowed, `above`, `below` are not.

    hint: what to do about a value beyond them, for the message.
    """

    least: float = -math.inf
    most: float = math.inf
    above: float = -math.inf
    below: float = math.inf
    hint: str = ""

    def hold(self, value: float) -> bool:
        """Tell whether `value`, which may be nan, lies within."""
        return self.least <= value <= self.most and self.above < value < self.below

    def described(self, noun: str) -> str:
        """Say in words what must be given: "a positive integer", "a number from 0 to 1"."""
        plural = noun.startswith("an ")
        bare = noun.removeprefix("an ").removeprefix("a ")
        unbounded = self.most >= LARGEST and self.below == math.inf
        if unbounded and (self.above == 0 or (self.least == 1 and bare == "integer")):
            return f"a positive {bare}"
        if unbounded and self.least == 0:
            return f"0 or a positive {bare}"
        parts = [f"above {_figure(self.above)}"] if self.above > -math.inf else []
        if self.least > -math.inf and self.most < math.inf:
            parts.append(f"from {_figure(self.least)} to {_figure(self.most)}")
        elif self.least > -math.inf:
            parts.append(f"of at least {_figure(self.least)}")
        elif self.most < math.inf:
            parts.append(f"of at most {_figure(self.most)}")
        if self.below < math.inf:
            parts.append(f"below {_figure(self.below)}")
        article = "an" if plural else "a"
        return " ".join([article, bare, " and ".join(parts)]).strip()


def _figure(bound: float) -> str:
    return f"{int(bound):,}" if 1e5 <= abs(bound) < 1e15 and bound == int(bound) else f"{bound:g}"


@dataclass(frozen=True, slots=True)
class Duration:
    """Marks seconds that may also be written as DD:HH:MM:SS, 90s, 30m, 2h or 1d."""


@dataclass(frozen=True, slots=True)
class FileName:
    """Marks the name of a file or folder: a text that is not empty, also where it looks like a number."""


@dataclass(frozen=True, slots=True)
class OneOrMore:
    """Marks a list that is not empty; a single item stands for a list of one."""


PositiveInt = Annotated[int, Limits(1, LARGEST)]
Count = Annotated[int, Limits(0, LARGEST)]
Positive = Annotated[float, Limits(above=0, below=math.inf)]
Share = Annotated[float, Limits(0, 1)]
Seconds = Annotated[float, Duration(), Limits(above=0, below=math.inf)]
Range = tuple[float, float]  # lowest and highest
PathName = Annotated[str, FileName()]
PathNames = PathName | Annotated[list[PathName], OneOrMore()]


def read_settings(kind: type[T], values: Mapping[str, Any], prefix: str = "") -> T:
    """Fill the dataclass `kind` with `values`, each checked by its field's annotation.

    prefix: what messages put before a setting's name, such as "trainer". Raises InputError for a value of
    another type or beyond its limits, for a setting that does not exist and for one that is missing.
    """
    path = f"{prefix}." if prefix else ""
    hints = get_type_hints(kind, include_extras=True)
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for name in values:
        if name not in fields:
            raise InputError(f"{path}{name}", "is not a setting", f"the settings are: {', '.join(fields)}.")
    read = {}
    for name, field in fields.items():
        if name in values:
            read[name] = checked(values[name], hints[name], f"{path}{name}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise InputError(f"{path}{name}", "must be given", f"it is {described(hints[name])}.")
    return kind(**read)


class FlatSettings:
    """Settings of one preset that stand side by side there and are read into several dataclasses."""

    def __init__(self, prefix: str, *kinds: type) -> None:
        self.prefix = prefix
        self.owners = {field.name: kind for kind in kinds for field in dataclasses.fields(kind)}

    def refuse_others(self, names: Iterable[str]) -> None:
        """Raise InputError for a name that no dataclass has."""
        for name in names:
            if name not in self.owners:
                known = ", ".join(self.owners)
                raise InputError(f"{self.prefix}.{name}", "is not a setting", f"the settings are: {known}.")

    def read(self, kind: type[T], values: Mapping[str, Any]) -> T:
        """Fill one of the dataclasses with its own among `values`; raises InputError as `read_settings`."""
        own = {name: value for name, value in values.items() if self.owners[name] is kind}
        return read_settings(kind, own, self.prefix)

    def signature(self, returns: Any) -> inspect.Signature:
        """Give the signature of a function that takes all of them by name, their defaults included."""
        by_name = inspect.Parameter.KEYWORD_ONLY
        arguments = [
            inspect.Parameter(name, by_name, default=getattr(kind(), name))
            for name, kind in self.owners.items()
        ]
        return inspect.Signature(arguments, return_annotation=returns)


def checked(value: Any, kind: Any, name: str) -> Any:
    """Give `value` as `kind`, an annotation, has it; raises InputError that calls it `name` if it is another.

    Kinds: bool, int, float, str, Literal, Any, the types above, unions, list[...], dict[str, ...], pairs of
    numbers, lowest first, and dataclasses, which are read from mappings.
    """
    found = _match(value, kind, name)
    if found is not _NO:
        return found
    raise InputError(
        f"{name}={_shown(value)}",
        f"must be {described(kind)}",
        next((limits.hint for limits in _limits(kind) if limits.hint), "--help says what it is for."),
    )


def checked_path(value: Any, name: str) -> Path:
    """Give the path of a file or a folder, ~ replaced; raises InputError for what is not a path."""
    if not isinstance(value, str | os.PathLike) or not os.fspath(value) or "\0" in str(value):
        raise InputError(
            f"{name}={_shown(value)}", "must be the name of a file or a folder", "give its path."
        )
    return Path(value).expanduser()


_NO: Any = object()  # does not match


def _match(value: Any, kind: Any, name: str) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        for mark in arguments[1:]:
            value = _as_marked(value, mark)
        found = _match(value, arguments[0], name)
        ends = found if isinstance(found, tuple) else [found]
        limits = [mark for mark in arguments[1:] if isinstance(mark, Limits)]
        return found if found is not _NO and all(limit.hold(e) for limit in limits for e in ends) else _NO
    if origin in (Union, types.UnionType):
        return next((f for each in arguments if (f := _match(value, each, name)) is not _NO), _NO)
    if origin is Literal:
        return value if any(value == each and type(value) is type(each) for each in arguments) else _NO
    if origin is list:
        return _list(value, arguments[0], name)
    if origin is tuple:
        ends = _list(value, arguments[0], name)
        return (ends[0], ends[1]) if ends is not _NO and len(ends) == 2 and ends[0] <= ends[1] else _NO
    if origin is dict:
        if not isinstance(value, Mapping):
            return _NO
        return {str(key): checked(item, arguments[1], f"{name}.{key}") for key, item in value.items()}
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        if isinstance(value, kind):
            return value
        return read_settings(kind, value, name) if isinstance(value, Mapping) else _NO
    if kind is float:
        return float(value) if type(value) in (int, float) and _fits_float(value) else _NO
    if kind is type(None) or kind is None:
        return None if value is None else _NO
    return value if kind is Any or (isinstance(kind, type) and type(value) is kind) else _NO


def _list(value: Any, item: Any, name: str) -> Any:
    if not isinstance(value, Sequence) or isinstance(value, str):
        return _NO
    items = [_match(each, item, f"{name}.{i}") for i, each in enumerate(value)]
    return _NO if any(each is _NO for each in items) else items


def _fits_float(value: float) -> bool:
    return abs(value) <= 1e308 and not math.isnan(value)


def _as_marked(value: Any, mark: Any) -> Any:
    """Give `value` in the form that a mark calls for, `_NO` where it has no such form."""
    match mark:
        case Duration():
            return _seconds(value)
        case FileName():
            if isinstance(value, int | float):  # true and 1850 are names, too
                return _shown(value).lower()
            return _NO if value == "" or (isinstance(value, str) and "\0" in value) else value
        case OneOrMore():
            items = value if isinstance(value, list | tuple) else [value]
            return items or _NO
    return value


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _seconds(value: Any) -> Any:
    """Read a duration as seconds; what is not one stays as it is, for the message."""
    if not isinstance(value, str):
        return value
    if short := re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)([smhd])", value):
        return float(short[1]) * _UNITS[short[2]]
    if re.fullmatch(r"\d{1,9}:\d{1,2}:\d{1,2}:\d{1,2}", value):
        days, hours, minutes, seconds = map(int, value.split(":"))
        return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
    return value


def _limits(kind: Any) -> list[Limits]:
    marks = getattr(kind, "__metadata__", ())
    inner = [limits for each in get_args(kind) for limits in _limits(each)]
    return [mark for mark in marks if isinstance(mark, Limits)] + inner


def described(kind: Any, limits: Limits | None = None) -> str:
    """Say in words what a setting of this kind must be."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        if any(isinstance(mark, Duration) for mark in arguments[1:]):
            return "a duration above 0 (seconds, DD:HH:MM:SS, 30m or 2h)"
        if any(isinstance(mark, FileName) for mark in arguments[1:]):
            return "a path"
        return described(arguments[0], next((m for m in arguments[1:] if isinstance(m, Limits)), None))
    if origin in (Union, types.UnionType):
        return " or ".join(described(each) for each in arguments)
    if origin is Literal:
        return f"one of {', '.join(map(str, arguments))}" if len(arguments) > 1 else str(arguments[0])
    if origin is list:
        item = described(arguments[0])
        plain = re.fullmatch(r"an? (path|text|number|integer|mapping)", item)
        return f"a list of {plain[1]}s" if plain else f"a list, each item {item}"
    if origin is tuple:
        bounds = f", within {limits.least:g} and {limits.most:g}" if limits else ""
        return f"two numbers, [lowest,highest]{bounds}"
    if origin is dict or dataclasses.is_dataclass(kind):
        return "a mapping"
    noun = {bool: "true or false", int: "an integer", float: "a number", str: "a text"}.get(kind)
    if noun is None:
        return "null" if kind is type(None) else getattr(kind, "__name__", str(kind))
    return noun if limits is None else limits.described(noun)


def _shown(value: Any) -> str:
    try:
        text = "null" if value is None else str(value)
    except ValueError:  # an integer of too many digits for Python to write
        text = "a number of thousands of digits"
    return text if len(text) <= 80 else f"{text[:77]}..."
