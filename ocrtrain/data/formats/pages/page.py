"""A page of lines as PAGE XML and ALTO XML describe it: where each line lies, and its text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocrtrain.data.formats.pages.alto_text import Strings
from ocrtrain.data.formats.pages.baseline import Direction, Hints, backwards
from ocrtrain.data.formats.pages.coordinates import FARTHEST, CoordinateError, number, numbers, points
from ocrtrain.data.formats.pages.page_text import TextError, Transcriptions, children_of
from ocrtrain.data.formats.pages.xml_file import XmlError, local, parse_xml
from ocrtrain.data.images.image import legible
from ocrtrain.text.direction import base_direction, runs_right_to_left
from ocrtrain.text.scripts import script_of

_DIRECTIONS: dict[str, Direction] = {
    **{"left-to-right": "ltr", "right-to-left": "rtl", "top-to-bottom": "ttb", "bottom-to-top": "btt"},
    **{"ltr": "ltr", "rtl": "rtl", "ttb": "ttb", "btt": "btt"},
}
_CUSTOM_DIRECTION = re.compile(
    r"(?:reading|text|base)[-_ ]?direction\W+(?:\w+\W+)?([a-z]+(?:-to-[a-z]+)?)", re.I
)
_CUSTOM_ORIENTATION = re.compile(r"orientation\W+(?:\w+\W+)?(-?\d+(?:\.\d+)?)", re.I)
_TOP_LINE = re.compile(r"top[-_ ]?line|hanging", re.I)
_HANGING = frozenset(("Deva", "Beng", "Guru", "Tibt", "Modi", "Sylo"))  # letters hang from a line on top
# How files name languages and scripts that are written from right to left: codes, and names in English.
_LEFTWARD = re.compile(
    r"he|heb|hebr|hebrew|ar|ara|arab|arabic|fa|fas|per|persian|ur|urd|urdu|yi|yid|yiddish|sy[cr]|syrc|syriac"
    r"|samr|thaa|dv|div|nkoo|aram|arc|ota|ug|uig|ps|pus|sd|snd|ckb",
    re.I,
)


@dataclass(slots=True)
class PageLine:
    """A line: its name in the file, its text, and its outline and baseline, float64 [points, 2], or None.

    element: the line's XML element. hints: how it may stand; backwards: whether its baseline was drawn from
    the right of its letters to their left. fault: why the line cannot be learned from, if it cannot; shape:
    why it cannot be cut out, if it cannot; detail: what is written there.
    """

    name: str
    element: Any
    text: str = ""
    outline: NDArray[np.float64] | None = None
    baseline: NDArray[np.float64] | None = None
    hints: Hints = field(default_factory=Hints)
    backwards: bool = False
    fault: str | None = None
    shape: str | None = None
    detail: str = ""


@dataclass(slots=True)
class Page:
    """An XML file: the image that it names, the size that it gives it (0 if none), and its lines in order.

    root: its XML. pixels: whether coordinates are in pixels of an image of that size. doubted: texts that
    have a confidence, as those that a program read.
    """

    file: str
    kind: str
    root: Any
    image: str
    width: float = 0.0
    height: float = 0.0
    pixels: bool = True
    doubted: int = 0
    lines: list[PageLine] = field(default_factory=list)


def read_page(file: str) -> Page | None:
    """Read a PAGE or ALTO file; None for XML of another kind, such as METS.

    Raises `XmlError` for what is not XML, is damaged, or declares entities.
    """
    root = parse_xml(file)
    kind = local(root.tag)
    if kind not in ("PcGts", "alto"):
        return None
    page = _read_page_xml(file, root) if kind == "PcGts" else _read_alto(file, root)
    _find_ways(page.lines)
    return page


def below(element: Any, name: str) -> Iterator[Any]:
    """The descendants of that name, in any namespace, and the element itself."""
    return (child for child in element.iter() if local(child.tag) == name)


def _read_page_xml(file: str, root: Any) -> Page:
    element = next(children_of(root, "Page"), None)
    if element is None:
        raise XmlError(legible(file), "is PAGE XML without a Page", "export it again.")
    page = Page(file, "PAGE XML", root, element.get("imageFilename", ""))
    page.width, page.height = (_extent(file, element, key) for key in ("imageWidth", "imageHeight"))
    nodes = list(below(element, "TextLine"))
    creator = " ".join(e.text or "" for e in below(root, "Creator"))
    transcriptions = Transcriptions(nodes, creator)
    for order, node in enumerate(nodes, start=1):
        line = PageLine(node.get("id") or f"line {order}", node)
        page.lines.append(line)
        _set_shape(line, _page_points(node, "Coords"), _page_points(node, "Baseline"))
        try:
            _set_text(line, transcriptions.text_of(node))
        except TextError as error:
            line.fault = str(error)
    page.doubted = transcriptions.doubted
    return page


def _page_points(line: Any, name: str) -> str | None:
    element = next(children_of(line, name), None)
    if element is None:
        return None
    if (written := element.get("points")) is not None:
        return str(written)
    # As before 2013: an element for each point.
    return " ".join(f"{p.get('x')},{p.get('y')}" for p in children_of(element, "Point"))


def _read_alto(file: str, root: Any) -> Page:
    page_element = next(below(root, "Page"), None)
    if page_element is None:
        raise XmlError(legible(file), "is ALTO XML without a Page", "export it again.")
    if len(list(below(root, "Page"))) > 1:
        raise XmlError(legible(file), "holds several pages", "export a file for each page.")
    name = next((e.text or "" for e in below(root, "fileName")), "")
    unit = next((e.text or "" for e in below(root, "MeasurementUnit")), "pixel")
    page = Page(file, "ALTO XML", root, name.strip(), pixels=unit.strip() == "pixel")
    page.width, page.height = (_extent(file, page_element, key) for key in ("WIDTH", "HEIGHT"))
    nodes = list(below(page_element, "TextLine"))
    strings = Strings(nodes)
    for order, node in enumerate(nodes, start=1):
        line = PageLine(node.get("ID") or f"line {order}", node)
        page.lines.append(line)
        shape = next(children_of(node, "Shape"), None)
        polygon = None if shape is None else next(children_of(shape, "Polygon"), None)
        outline = _box(line, node) if polygon is None else polygon.get("POINTS")
        _set_shape(line, outline, node.get("BASELINE"))
        _set_text(line, strings.text_of(node))
    return page


def _box(line: PageLine, node: Any) -> str | None:
    """Write the box of an ALTO line as points; None if it has none."""
    try:
        x, y, w, h = (number(node.get(key)) for key in ("HPOS", "VPOS", "WIDTH", "HEIGHT"))
    except CoordinateError as error:
        line.shape, line.detail = "outline of the line cannot be read", str(error)
        return None
    if x is None or y is None or w is None or h is None:
        return None
    return f"{x},{y} {x + w},{y} {x + w},{y + h} {x},{y + h}"


def _set_shape(line: PageLine, outline: str | None, baseline: str | None) -> None:
    """Read a line's outline and baseline as they are written; of one that cannot be read, note why."""
    name = "outline"
    try:
        corners = points(outline)
        line.outline = corners if len(corners) > 1 else None
        name = "baseline"
        if baseline is not None and len(heights := numbers(baseline)) == 1 and line.outline is not None:
            # ALTO before version 4: one height for the whole line.
            left, right = line.outline[:, 0].min(), line.outline[:, 0].max()
            line.baseline = np.array([[left, heights[0]], [right, heights[0]]])
        elif len(drawn := points(baseline)) > 1:
            line.baseline = drawn
    except CoordinateError as error:
        if line.shape is None:
            line.shape, line.detail = f"{name} of the line cannot be read", str(error)


def _extent(file: str, element: Any, name: str) -> float:
    """Read a page's width or height, 0 where none is given."""
    try:
        value = number(element.get(name), 0.0, FARTHEST) or 0.0
    except CoordinateError as error:
        raise XmlError(legible(file), f"{name} of the page cannot be read", "mend it.", str(error)) from None
    if 0.0 < value < 1.0:
        raise XmlError(
            legible(file),
            f"{name} of the page cannot be read",
            "mend it.",
            f"{value:g} is below 1",
        )
    return value


def _set_text(line: PageLine, text: str | None) -> None:
    if text is None:
        line.fault = line.fault or "line without a text"
    else:
        line.text = text


def _find_ways(lines: Sequence[PageLine]) -> None:
    """Find out which baselines run against their letters, from what the file says and from each other."""
    known = [_leftward(line.text) for line in lines]
    votes = [leftward for leftward in known if leftward is not None]
    most = sum(votes) * 2 > len(votes) if votes else None
    for line, leftward in zip(lines, known, strict=True):
        line.hints = _hints(line, most if leftward is None else leftward)
    shapes = ([line.outline for line in lines], [line.baseline for line in lines])
    for line, turned in zip(lines, backwards(*shapes, [line.hints for line in lines]), strict=True):
        line.backwards = turned


def _leftward(text: str) -> bool | None:
    """Whether a text runs from right to left by most of its letters; None if it has no letters."""
    if runs_right_to_left(text):
        return base_direction(text, "auto") == "rtl"
    return False if any(map(str.isalpha, text)) else None


def _hints(line: PageLine, leftward: bool | None) -> Hints:
    orientation: float | None = None
    direction: Direction | None = None
    hanging = any(script_of(character) in _HANGING for character in line.text)
    element = line.element
    while element is not None and not (orientation is not None and direction is not None):
        custom = element.get("custom") or ""
        written = element.get("readingDirection") or element.get("BASEDIRECTION")
        if written is None and (match := _CUSTOM_DIRECTION.search(custom)):
            written = match[1]
        direction = direction or _DIRECTIONS.get((written or "").strip().lower())
        if orientation is None:
            match = _CUSTOM_ORIENTATION.search(custom)
            orientation = _degrees(element.get("orientation") or (match[1] if match else None))
        if orientation is None and (turned := _degrees(element.get("ROTATION"))) is not None:
            orientation = turned  # ALTO: how far the text is turned anticlockwise, and so the way back
        hanging = hanging or bool(_TOP_LINE.search(custom))
        if leftward is None:
            leftward = _said_leftward(element)
        element = element.getparent()
    return Hints(orientation, direction, leftward, hanging)


def _said_leftward(element: Any) -> bool | None:
    for name in ("primaryScript", "primaryLanguage", "LANG", "language"):
        if written := re.split(r"[\W_]", element.get(name) or "")[0]:
            return _LEFTWARD.fullmatch(written) is not None
    return None


def _degrees(written: str | None) -> float | None:
    try:
        return number(written, -360.0, 360.0)
    except CoordinateError:
        return None
