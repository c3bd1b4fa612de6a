"""Numbers of an XML file are read as what they say, or refused."""

from __future__ import annotations

import numpy as np
import pytest

from ocrtrain.data.formats.pages.coordinates import MOST_POINTS, CoordinateError, number, points


@pytest.mark.parametrize(
    ("text", "value"),
    [("12", 12.0), (" -1.5 ", -1.5), ("+.5e1", 5.0), ("3.", 3.0), ("", None), (None, None), ("  ", None)],
)
def test_numbers(text: str | None, value: float | None) -> None:
    assert number(text) == value


@pytest.mark.parametrize(
    "text",
    ["nan", "inf", "-Infinity", "1e7", "1e308", "1e999", "9" * 5000, "0x10", "1_0", "1,5", "١٢", "--1"],
)
def test_what_is_no_number_of_a_page(text: str) -> None:
    with pytest.raises(CoordinateError):
        number(text)


def test_points() -> None:
    for text in ("1,2 3,4", "1 2 3 4", " 1,2\n3,4 ", "1,2;3,4", "1, 2, 3, 4,"):
        assert np.array_equal(points(text), [[1, 2], [3, 4]])
    assert points("").shape == points(None).shape == (0, 2)
    assert len(points("1,1 " * MOST_POINTS)) == MOST_POINTS
    for wrong in ("1,2 3", "1,2 nan,4", "nan,1,2 3,4 5,6", "1,1 " * (MOST_POINTS + 1), "M 1 2"):
        with pytest.raises(CoordinateError):
            points(wrong)
