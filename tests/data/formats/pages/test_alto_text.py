"""ALTO's strings are joined with the spaces that are in the image, and with no others."""

from __future__ import annotations

import pytest

from ocrtrain.data.formats.pages.alto_text import Strings

etree = pytest.importorskip("lxml.etree")


def texts(*lines: str) -> list[str | None]:
    nodes = [etree.fromstring(f"<TextLine xmlns='alto'>{line}</TextLine>") for line in lines]
    rule = Strings(nodes)
    return [rule.text_of(node) for node in nodes]


def strings(*words: str, sp: str = "") -> str:
    return sp.join(f'<String CONTENT="{word}"/>' for word in words)


def placed(*words: tuple[str, int, int]) -> str:
    """Strings of 40 rows from x to x."""
    return "".join(
        f'<String CONTENT="{word}" HPOS="{x0}" VPOS="0" WIDTH="{x1 - x0}" HEIGHT="40"/>'
        for word, x0, x1 in words
    )


SPACED = strings("quick", "brown", sp="<SP/>")


def test_spaces_stand_where_the_file_has_them() -> None:
    assert texts(strings("quick", "brown")) == ["quick brown"]  # a file without SP and without places
    assert texts(SPACED, strings("(", "484", ")")) == ["quick brown", "(484)"]
    assert texts(SPACED + strings(",")) == ["quick brown,"]
    assert texts("<SP/>" + strings("a") + "<SP/><SP/>" + strings("b") + "<SP/>") == ["a b"]
    assert texts(strings("one line", "two")) == ["one line two"]
    assert texts(strings("a ", "", "b")) == ["a b"]
    assert texts("", strings("")) == [None, ""]


def test_strings_that_touch_have_no_space_between_them() -> None:
    line = placed(("fox", 0, 60), (".", 61, 65), ("The", 80, 140))
    assert texts(line) == ["fox. The"]
    assert texts(SPACED, line) == ["quick brown", "fox. The"]
    hebrew = placed(("שלום", 100, 160), (",", 95, 100), ("עולם", 20, 80))
    assert texts(hebrew) == ["שלום, עולם"]
    # Boxes that share out their line tell nothing.
    assert texts(placed(("The", 0, 60), ("quick", 60, 140), ("fox", 140, 200))) == ["The quick fox"]
    assert texts(placed(("a", 0, 9)) + strings("b")) == ["a b"]


@pytest.mark.parametrize("content", ["", ' CONTENT=""', ' CONTENT="-"'])
def test_a_hyphen_is_one_whatever_it_is_said_to_be(content: str) -> None:
    assert texts(strings("a", "riv", sp="<SP/>") + f"<HYP{content}/>") == ["a riv-"]


def test_hyphens() -> None:
    assert texts(strings("riv") + '<HYP CONTENT="\u00ad"/>', strings("riv-") + "<HYP/>") == [
        "riv\u00ad",
        "riv-",
    ]
    assert texts('<String><Glyph CONTENT="f"/><Glyph CONTENT="o"/></String>') == ["fo"]
