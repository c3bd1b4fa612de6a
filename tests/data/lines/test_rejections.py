"""Samples left out are told, within the allowance and beyond it."""

from __future__ import annotations

import pytest

from ocrtrain.data.lines.rejections import by_reason, check_skipped
from ocrtrain.errors import InputError

SKIPPED = {"empty text": ["a.png"], "does not exist": [f"{i}.png" for i in range(5)], "never": []}


@pytest.mark.parametrize("allowed", [0, 5])
def test_more_than_allowed_is_one_error(allowed: int) -> None:
    with pytest.raises(InputError) as caught:
        check_skipped(SKIPPED, allowed, "lines/train")
    what, first, second, way_on = str(caught.value).splitlines()
    assert what.startswith("lines/train: 6 samples cannot be used")
    assert first.strip() == "5 x does not exist: 0.png, 1.png, 2.png and 2 more"
    assert second.strip() == "1 x empty text: a.png"
    assert "data.max_skipped=6" in way_on


def test_within_the_allowance_there_is_a_notice_per_reason() -> None:
    assert check_skipped(SKIPPED, 6, "lines/train") == (
        "lines/train: left out 5 x does not exist: 0.png, 1.png, 2.png and 2 more\n"
        "lines/train: left out 1 x empty text: a.png"
    )


def test_nothing_skipped_nothing_told() -> None:
    assert check_skipped({}, 0, "lines") is None
    assert check_skipped({"empty text": []}, 0, "lines") is None


def test_names_that_are_not_utf8_can_be_printed() -> None:
    notice = check_skipped({"empty text": [b"\xff.png".decode("utf-8", "surrogateescape")]}, 1, "lines")
    assert notice is not None and notice.encode("utf-8").endswith(b"\\udcff.png")


def test_reasons_that_differ_only_in_names_are_one() -> None:
    skipped = {f"its image '{n:03}.jpg' is missing": [f"{n:03}.xml"] for n in range(30)}
    assert by_reason(skipped) == ["30 x its image is missing: 000.xml, 001.xml, 002.xml and 27 more"]
    sizes = {f"has {n} x {n + 1} pixels": [f"{n}.xml"] for n in range(4)}
    assert by_reason(sizes) == ["4 x has ... x ... pixels: 0.xml, 1.xml, 2.xml and 1 more"]
    few = {"no string under 'text'": ["a"], "no string under 'image'": ["b"]}
    assert by_reason(few) == ["1 x no string under 'text': a", "1 x no string under 'image': b"]
