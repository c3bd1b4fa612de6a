"""Typed settings: every kind of value, and what the messages say."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest

from ocrtrain.errors import InputError
from ocrtrain.settings import (
    Count,
    Limits,
    OneOrMore,
    PathName,
    PathNames,
    Positive,
    PositiveInt,
    Range,
    Seconds,
    Share,
    checked,
    described,
    read_settings,
)

HALF = Annotated[Range, Limits(0.0, 0.5)]


@dataclass(frozen=True)
class Inner:
    rate: Positive
    every: Seconds | None = None


@dataclass(frozen=True)
class Outer:
    steps: PositiveInt | None
    way: Literal["keep", "extend"]
    inner: Inner


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (3, PositiveInt, 3),
        (0, Count, 0),
        (2, Positive, 2.0),
        (0.5, Share, 0.5),
        (1, Share, 1.0),
        (None, PositiveInt | None, None),
        ("keep", Literal["keep", "extend"], "keep"),
        ([0, 0.25], HALF, (0.0, 0.25)),
        (["a", "b"], list[str], ["a", "b"]),
        ({"a": 1}, dict[str, int], {"a": 1}),
        (True, bool, True),
        (90, Seconds, 90.0),
        ("00:00:10:00", Seconds, 600.0),
        ("01:02:03:04", Seconds, 93784.0),
        ("30m", Seconds, 1800.0),
        ("1.5h", Seconds, 5400.0),
        (1850, PathName, "1850"),
        (True, PathNames, "true"),
        (["a", 7], PathNames, ["a", "7"]),
        (0.5, Annotated[list[float], OneOrMore()], [0.5]),
    ],
)
def test_a_value_is_given_as_its_kind_has_it(value: Any, kind: Any, expected: Any) -> None:
    found = checked(value, kind, "a")
    assert found == expected and type(found) is type(expected)


@pytest.mark.parametrize(
    ("value", "kind", "must"),
    [
        (0, PositiveInt, "a positive integer"),
        (True, PositiveInt, "a positive integer"),
        (1.0, PositiveInt, "a positive integer"),
        ("3", PositiveInt | None, "a positive integer or null"),
        (-1, Count, "0 or a positive integer"),
        (0, Positive, "a positive number"),
        (math.inf, Positive, "a positive number"),
        (math.nan, Share, "a number from 0 to 1"),
        pytest.param(10**5000, Share, "a number from 0 to 1", id="5,000 digits"),
        (False, Share, "a number from 0 to 1"),
        ("x", Literal["keep", "extend"], "one of keep, extend"),
        ([0.3, 0.2], HALF, "two numbers, [lowest,highest], within 0 and 0.5"),
        ([0.3, 0.6], HALF, "two numbers, [lowest,highest], within 0 and 0.5"),
        ([0.3], HALF, "two numbers, [lowest,highest], within 0 and 0.5"),
        ("system", list[str], "a list of texts"),
        ([1], list[str], "a list of texts"),
        (1, bool, "true or false"),
        ("1:2", Seconds, "a duration above 0 (seconds, DD:HH:MM:SS, 30m or 2h)"),
        (0, Seconds, "a duration above 0 (seconds, DD:HH:MM:SS, 30m or 2h)"),
        (5, Inner, "a mapping"),
        (2**63, Count, "0 or a positive integer"),
        ("", PathName, "a path"),
        ("a\0", PathName | None, "a path or null"),
        ([], PathNames, "a path or a list of paths"),
        ([None], PathNames, "a path or a list of paths"),
        ([], Annotated[list[float], OneOrMore()], "a list of numbers"),
        (2**32, Annotated[int, Limits(0, 2**32 - 1)], "an integer from 0 to 4,294,967,295"),
    ],
)
def test_a_value_of_another_kind_is_refused_with_what_it_must_be(value: Any, kind: Any, must: str) -> None:
    with pytest.raises(InputError) as error:
        checked(value, kind, "data.key")
    assert error.value.why == f"must be {must}" == f"must be {described(kind)}"
    assert error.value.what.startswith("data.key=")
    assert len(str(error.value)) < 300


def test_dataclasses_are_read_with_those_within_them() -> None:
    values = {"steps": None, "way": "extend", "inner": {"rate": 1, "every": "2h"}}
    assert read_settings(Outer, values) == Outer(None, "extend", Inner(1.0, 7200.0))
    assert read_settings(Outer, {**values, "inner": {"rate": 2.0}}).inner == Inner(2.0)


@pytest.mark.parametrize(
    ("values", "what", "why"),
    [
        (
            {"steps": 1, "way": "keep", "inner": {"rate": -1}},
            "fit.inner.rate=-1",
            "must be a positive number",
        ),
        ({"steps": 1, "way": "keep"}, "fit.inner", "must be given"),
        ({"steps": 1, "way": "keep", "inner": {"rate": 1}, "stepps": 2}, "fit.stepps", "is not a setting"),
    ],
)
def test_a_message_names_the_setting_by_its_whole_name(values: dict[str, Any], what: str, why: str) -> None:
    with pytest.raises(InputError) as error:
        read_settings(Outer, values, "fit")
    assert (error.value.what, error.value.why) == (what, why)


def test_a_hint_takes_the_place_of_the_way_on() -> None:
    with pytest.raises(InputError, match="16 is a good start"):
        checked(0, Annotated[int, Limits(least=1, hint="16 is a good start.")], "batch_size")


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("00:00:00:05", 5.0), ("120:0:0:1", 10368001.0), (90, 90), (0.5, 0.5), (None, None)],
)
def test_durations(written: str | float | None, seconds: float | None) -> None:
    assert checked(written, Seconds | None, "trainer.max_time") == seconds


@pytest.mark.parametrize("written", ["10:00", "10 minutes", "00:00:10", "", "-1:00:00:00", "0:0:0:0:0"])
def test_what_is_no_duration_is_named(written: str) -> None:
    with pytest.raises(InputError, match=f"^trainer.max_time={written}: must be a duration"):
        checked(written, Seconds | None, "trainer.max_time")
