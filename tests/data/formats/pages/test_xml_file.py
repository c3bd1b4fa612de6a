"""XML is known and read in every encoding that it may come in, and nothing in it reaches outside."""

from __future__ import annotations

from pathlib import Path

import pytest

from ocrtrain.data.formats.pages.xml_file import XmlError, parse_xml, xml_kind

PAGE = '<PcGts xmlns="http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15">{}</PcGts>'
COMMENT = f"<!-- {'licence ' * 30_000} -->"


def declared(encoding: str) -> str:
    return f'<?xml version="1.0" encoding="{encoding}"?>'


ENCODED = {
    "UTF-16": (declared("UTF-16"), "utf-16"),
    "UTF-16 without a BOM, little endian": (declared("UTF-16"), "utf-16-le"),
    "UTF-16 without a BOM, big endian": (declared("UTF-16"), "utf-16-be"),
    "UTF-16 that is not declared": ("", "utf-16"),
    "UTF-16 after blank lines": (f"\n \n{declared('UTF-16')}", "utf-16"),
    "UTF-32": (declared("UTF-32"), "utf-32"),
    "Latin-1": (declared("ISO-8859-1"), "latin-1"),
    "Windows": (declared("windows-1252"), "cp1252"),
    "a BOM": (declared("UTF-8"), "utf-8-sig"),
    "two BOMs": ("\ufeff" + declared("UTF-8"), "utf-8-sig"),
    "blank lines before it": (f"\n  \n{declared('UTF-8')}", "utf-8"),
    "a long comment": (declared("UTF-8") + COMMENT, "utf-8"),
    "a document type": (f'{declared("UTF-8")}<!DOCTYPE PcGts SYSTEM "none.dtd">', "utf-8"),
}


@pytest.mark.parametrize("name", ENCODED)
def test_encodings(tmp_path: Path, name: str) -> None:
    head, encoding = ENCODED[name]
    file = tmp_path / "p.xml"
    file.write_bytes((head + PAGE.format("äöü")).encode(encoding))
    assert xml_kind(str(file)) == "page"
    assert parse_xml(str(file)).text == "äöü"


def test_kinds(tmp_path: Path) -> None:
    file = tmp_path / "p.xml"
    for content, kind in (
        ("<alto/>", "alto"),
        ("<a:alto xmlns:a='http://www.loc.gov/standards/alto/ns-v4#'/>", "alto"),
        ("<mets><PcGts/></mets>", None),
        ("<!-- <alto> PcGts --><html/>", None),
        ("<PcGts><Page", "page"),
        ("", "damaged"),
        ("PcGts", "damaged"),
        ("<?xml version='1.0' encoding='klingon'?><alto/>", "damaged"),
    ):
        file.write_text(content)
        assert xml_kind(str(file)) == kind, content


LAUGHS = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 9))
BOMB = f'<!DOCTYPE x [<!ENTITY l0 "lollollollol">{LAUGHS}]>'


@pytest.mark.parametrize(
    "content",
    [
        BOMB + PAGE.format("&l8;"),
        BOMB + "<PcGts><Coords points='&l8;'/></PcGts>",
        '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>' + PAGE.format("&e;"),
        '<!DOCTYPE x [<!ENTITY % e SYSTEM "file:///etc/passwd"> %e;]>' + PAGE.format(""),
        PAGE.format("<a>" * 100_000 + "</a>" * 100_000),
    ],
    ids=["bomb", "bomb in an attribute", "a file", "a file of declarations", "a deep nest"],
)
def test_attacks(tmp_path: Path, content: str) -> None:
    file = tmp_path / "p.xml"
    file.write_text(content)
    with pytest.raises(XmlError, match=r"damaged or no XML|declares XML entities"):
        parse_xml(str(file))
    assert xml_kind(str(file)) in ("page", "damaged")
