"""Opening an XML file safely, whatever its encoding, and telling its kind from its first element."""

from __future__ import annotations

import io
import os
from typing import Any, Literal

from ocrtrain.data.images.image import legible
from ocrtrain.errors import InputError
from ocrtrain.files import open_regular

Kind = Literal["page", "alto", "damaged"]

LARGEST_XML = 2**28
_BLOCK = 2**16
_BOMS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")


class XmlError(InputError):
    """A file that cannot be used: `why` is the same for all with this fault, `detail` its own."""

    def __init__(self, what: str, why: str, way_on: str, detail: str = "") -> None:
        super().__init__(what, why, way_on)
        self.detail = detail

    def __reduce__(self) -> tuple[Any, ...]:
        return XmlError, (self.what, self.why, self.way_on, self.detail)

    def __str__(self) -> str:
        detail = f" ({self.detail})" if self.detail else ""
        return f"{self.what}: {self.why}{detail}\n  {self.way_on}"


def local(tag: Any) -> str:
    """Give an element's name without its namespace: the years differ, what is read here does not."""
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def parse_xml(file: str) -> Any:
    """Give the root of an XML file; raises `XmlError` where it is damaged or declares entities."""
    etree = _etree(file)
    name = legible(file)
    try:
        if os.path.getsize(file) > LARGEST_XML:
            raise XmlError(name, "is larger than 256 MB", "a page's XML never is.")
        with open_regular(file) as stream:
            content = stream.read(LARGEST_XML)
    except OSError as error:
        raise _unopened(file, error) from error
    try:
        tree = etree.parse(io.BytesIO(_begun(content)), etree.XMLParser(**_SAFE))
    except (etree.LxmlError, ValueError, LookupError) as error:
        raise XmlError(name, "is damaged or no XML", "export it again.", _plain(error)) from error
    if tree.docinfo.internalDTD is not None and any(True for _ in tree.docinfo.internalDTD.iterentities()):
        raise XmlError(name, "declares XML entities, which are not read", "export it without them.")
    return tree.getroot()


def xml_kind(file: str) -> Kind | None:
    """Tell PAGE from ALTO XML by the file's first element, and what has none; None for XML of other kinds."""
    etree = _etree(file)
    parser = etree.XMLPullParser(events=("start",), **_SAFE)
    try:
        with open_regular(file) as stream:
            block = _begun(stream.read(_BLOCK))
            while block:
                parser.feed(block)
                for _, element in parser.read_events():
                    return _KINDS.get(local(element.tag))
                block = stream.read(_BLOCK)
    except OSError as error:
        raise _unopened(file, error) from error
    except (etree.LxmlError, ValueError, LookupError):
        pass
    try:  # some encodings are known only when the whole is there
        return _KINDS.get(local(parse_xml(file).tag))
    except XmlError:
        return "damaged"


_KINDS: dict[str, Kind] = {"PcGts": "page", "alto": "alto"}

# Nothing outside the file is read, and entities, which can grow beyond all bounds, stay as they are.
_SAFE = {"resolve_entities": False, "no_network": True, "load_dtd": False, "huge_tree": False}


def _etree(file: str) -> Any:
    try:
        from lxml import etree
    except ImportError:
        raise InputError(
            legible(file), "is XML, which needs the package lxml", 'pip install "ocrtrain[formats]"'
        ) from None
    return etree


def _begun(content: bytes) -> bytes:
    """Take off what stands before the XML: blank lines, which XML forbids there, and a second BOM."""
    for bom in _BOMS:
        if content.startswith(bom * 2):
            content = content[len(bom) :]
    if not content.startswith(_BOMS[1:]):
        return content.removeprefix(_BOMS[0]).lstrip()
    start = 2
    while (unit := content[start : start + 2]) and unit.strip(b"\0") in (b" ", b"\t", b"\r", b"\n"):
        start += 2
    return content[:2] + content[start:]


def _unopened(file: str, error: OSError) -> XmlError:
    why = f"cannot be opened ({error.strerror or error})"
    return XmlError(legible(file), why, "check the path and its permissions.")


def _plain(error: Exception) -> str:
    return str(error).partition("\n")[0].encode("utf-8", "backslashreplace").decode("utf-8")[:200]
