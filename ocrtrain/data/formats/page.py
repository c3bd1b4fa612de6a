"""A page of lines as PAGE XML and ALTO XML describe it: where each line lies, and its text."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocrtrain.data.image import MAX_PAGE_PIXELS, SUFFIXES, image_size, legible
from ocrtrain.errors import InputError

LARGEST_XML = 2**28

_NUMBER = re.compile(r"[-+]?\d*\.?\d+(?:[eE][-+]?\d+)?")


@dataclass(slots=True)
class PageLine:
    """A line: its name in the file, its text, and its outline and baseline, float64 [points, 2], or None.

    element: the line's XML element. fault: why the line cannot be learned from, if it cannot.
    """

    name: str
    element: Any
    text: str = ""
    outline: NDArray[np.float64] | None = None
    baseline: NDArray[np.float64] | None = None
    fault: str | None = None


@dataclass(slots=True)
class Page:
    """An XML file: the image that it names, the size that it gives it (0 if none), and its lines in order.

    root: its XML. pixels: whether coordinates are in pixels of an image of that size.
    """

    file: str
    kind: str
    root: Any
    image: str
    width: float = 0.0
    height: float = 0.0
    pixels: bool = True
    lines: list[PageLine] = field(default_factory=list)


def read_page(file: str) -> Page | None:
    """Read a PAGE or ALTO file; None for XML of another kind, such as METS.

    Raises `InputError` for what is no XML, is damaged, or declares entities.
    """
    root = _parse(file)
    kind = local(root.tag)
    if kind == "PcGts":
        return _read_page_xml(file, root)
    if kind == "alto":
        return _read_alto(file, root)
    return None


def _parse(file: str) -> Any:
    try:
        from lxml import etree
    except ImportError:
        raise InputError(
            legible(file), "is XML, which needs the package lxml", 'pip install "ocrtrain[formats]"'
        ) from None
    # Nothing outside the file is read, and entities, which can grow beyond all bounds, stay as they are.
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        if os.path.getsize(file) > LARGEST_XML:
            raise InputError(legible(file), "is larger than 256 MB", "a page's XML never is.")
        tree = etree.parse(file, parser)
    except OSError as error:
        why = f"cannot be opened ({error.strerror or error})"
        raise InputError(legible(file), why, "check the path and its permissions.") from error
    except (etree.LxmlError, ValueError) as error:
        why = f"is damaged or no XML: {str(error)[:200]}"
        raise InputError(legible(file), why, "export it again.") from error
    if tree.docinfo.internalDTD is not None and any(True for _ in tree.docinfo.internalDTD.iterentities()):
        raise InputError(
            legible(file), "declares XML entities, which are not read", "export it without them."
        )
    return tree.getroot()


def local(tag: Any) -> str:
    """Give an element's name without its namespace: the years differ, what is read here does not."""
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def children_of(element: Any, name: str) -> Iterator[Any]:
    """The children of that name, in any namespace."""
    return (child for child in element if local(child.tag) == name)


def below(element: Any, name: str) -> Iterator[Any]:
    """The descendants of that name, in any namespace, and the element itself."""
    return (child for child in element.iter() if local(child.tag) == name)


def _points(text: str | None) -> NDArray[np.float64] | None:
    """Read "x,y x,y" or "x y x y"; None where that is not what it says."""
    numbers = _NUMBER.findall(text or "")
    if len(numbers) < 4 or len(numbers) % 2 or len(numbers) > 100_000:
        return None
    points = np.array(numbers, np.float64).reshape(-1, 2)
    return points if (np.abs(points) < 1e6).all() else None


def _float(element: Any, name: str) -> float:
    try:
        value = float(element.get(name, "nan"))
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def _read_page_xml(file: str, root: Any) -> Page:
    element = next(children_of(root, "Page"), None)
    if element is None:
        raise InputError(legible(file), "is PAGE XML without a Page", "export it again.")
    page = Page(file, "PAGE XML", root, element.get("imageFilename", ""))
    page.width, page.height = (_positive(_float(element, key)) for key in ("imageWidth", "imageHeight"))
    for number, node in enumerate(below(element, "TextLine"), start=1):
        line = PageLine(node.get("id") or f"line {number}", node)
        page.lines.append(line)
        line.outline, line.baseline = (_page_points(node, name) for name in ("Coords", "Baseline"))
        text = unicode_of(node)
        _set_text(line, None if text is None else _content(text, line))
    return page


def unicode_of(element: Any) -> Any:
    """The element with the text of a PAGE line or region; None if there is none."""
    equivalents = list(children_of(element, "TextEquiv"))
    # Where readings have numbers, the least is the one that counts.
    equivalents.sort(key=lambda e: index if (index := _float(e, "index")) == index else -1.0)
    return next(children_of(equivalents[0], "Unicode"), None) if equivalents else None


def _page_points(line: Any, name: str) -> NDArray[np.float64] | None:
    element = next(children_of(line, name), None)
    if element is None:
        return None
    if element.get("points") is not None:
        return _points(element.get("points"))
    # As before 2013: an element for each point.
    return _points(" ".join(f"{p.get('x')},{p.get('y')}" for p in children_of(element, "Point")))


def _content(element: Any, line: PageLine) -> str:
    if len(element):
        line.fault = "text holds other elements or entities"
    return element.text or ""


def _read_alto(file: str, root: Any) -> Page:
    page_element = next(below(root, "Page"), None)
    if page_element is None:
        raise InputError(legible(file), "is ALTO XML without a Page", "export it again.")
    if len(list(below(root, "Page"))) > 1:
        raise InputError(legible(file), "holds several pages", "export a file for each page.")
    name = next((e.text or "" for e in below(root, "fileName")), "")
    unit = next((e.text or "" for e in below(root, "MeasurementUnit")), "pixel")
    page = Page(file, "ALTO XML", root, name.strip(), pixels=unit.strip() == "pixel")
    page.width, page.height = (_positive(_float(page_element, key)) for key in ("WIDTH", "HEIGHT"))
    for number, node in enumerate(below(page_element, "TextLine"), start=1):
        line = PageLine(node.get("ID") or f"line {number}", node)
        page.lines.append(line)
        box = np.array([_float(node, key) for key in ("HPOS", "VPOS", "WIDTH", "HEIGHT")])
        shape = next(children_of(node, "Shape"), None)
        polygon = None if shape is None else next(children_of(shape, "Polygon"), None)
        if polygon is not None:
            line.outline = _points(polygon.get("POINTS"))
        elif np.isfinite(box).all():
            x, y, w, h = box.tolist()
            line.outline = np.array([[x, y], [x + w, y], [x + w, y + h], [x, y + h]])
        line.baseline = _alto_baseline(node, line.outline)
        _set_text(line, _alto_text(node))
    return page


def _alto_baseline(line: Any, outline: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
    written = line.get("BASELINE")
    if written is None:
        return None
    numbers = _NUMBER.findall(written)
    if len(numbers) == 1 and outline is not None:  # versions before 4: one height for the whole line
        y = float(numbers[0])
        return np.array([[outline[:, 0].min(), y], [outline[:, 0].max(), y]])
    return _points(written)


def _alto_text(line: Any) -> str | None:
    """Join the line's strings, which ALTO defines as parted by spaces; a hyphen joins at once."""
    text: str | None = None
    for element in line:
        kind = local(element.tag)
        if kind == "String":
            content = element.get("CONTENT", "")
            text = content if text is None else f"{text} {content}"
        elif kind == "HYP" and text is not None:
            text += element.get("CONTENT", "-")
    return text


def _positive(value: float) -> float:
    return value if value > 0 else 0.0


def _set_text(line: PageLine, text: str | None) -> None:
    if text is None:
        line.fault = "line without a text"
    else:
        line.text = text


def find_image(page: Page) -> str:
    """Find the page's image: under its name, beside the XML or one folder up, or by the XML's own name.

    Raises `InputError` if there is none.
    """
    folder = os.path.dirname(page.file)
    wanted = page.image.replace("\\", "/")
    own = os.path.splitext(os.path.basename(page.file))[0]
    names = [wanted, os.path.basename(wanted)] if wanted else []
    for place in (folder, os.path.dirname(folder)):
        for name in names:
            if os.path.isfile(path := os.path.join(place, name)):
                return path
        for suffix in SUFFIXES:
            for spelling in (suffix, suffix.upper()):
                if os.path.isfile(path := os.path.join(place, own + spelling)):
                    return path
    named = f"its image {wanted!r}" if wanted else "an image of its name"
    raise InputError(
        legible(page.file), f"{legible(named)} is neither beside it nor in the folder above", "put it there."
    )


def scale_of(page: Page, image: str) -> float:
    """Tell how many pixels of the image one unit of the page's coordinates is.

    Raises `InputError` if the image is of another shape than the page says.
    """
    width, height = image_size(image, MAX_PAGE_PIXELS)
    if not page.width or not page.height:
        if page.pixels:
            return 1.0
        raise InputError(legible(page.file), "has coordinates in millimetres or inches but no page size", "")
    across, down = width / page.width, height / page.height
    if abs(across / down - 1.0) > 0.02:
        declared = f"{page.width:.0f} x {page.height:.0f}"
        why = f"is of a page of {declared}, but its image has {width} x {height} pixels"
        raise InputError(legible(page.file), why, "put the image there that it was made from.")
    return (across + down) / 2
