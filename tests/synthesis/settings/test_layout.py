"""Settings without sense are refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from ocrtrain.errors import InputError
from ocrtrain.synthesis import build_generator


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("height", 4),
        ("height", "32"),
        ("height", 32.5),
        ("width", 0),
        ("channels", 4),
        ("min_length", 0),
        ("max_length", 2),
        ("size", [0.9, 0.6]),
        ("size", 0.7),
        ("margin", [-1, 2]),
        ("margin", ["a", "b"]),
        ("margin", "ab"),
        ("room", [0, 0.1, 0.2]),
        ("room", [0, 0.6]),
        ("shift", -1),
        ("tight", 2),
        ("spacing", [-0.5, 0]),
        ("word_spacing", None),
        ("pitch", [0, 0.5]),
        ("stretch", [0.1, 1]),
        ("slant", [0, 2]),
        ("least_contrast", 0.7),
        ("rotation", 90),
        ("rotation_share", 1.5),
        ("rotation_share", True),
        ("random_share", -0.1),
    ],
)
def test_the_setting_and_its_limits_are_named(name: str, value: Any) -> None:
    with pytest.raises(InputError) as caught:
        build_generator(fonts=["bundled"], **{name: value})
    assert f"synthesis.{name}={'null' if value is None else value}: must be" in str(caught.value)
