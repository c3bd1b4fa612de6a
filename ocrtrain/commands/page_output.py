"""Pages in PAGE or ALTO XML written again, with the texts that were read of them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from ocrtrain.commands.line_input import Item
from ocrtrain.data.formats.pages.page import Page, PageLine, below
from ocrtrain.data.formats.pages.page_text import children_of, unicode_of
from ocrtrain.data.formats.pages.xml_file import local
from ocrtrain.data.images.image import legible
from ocrtrain.decoding import Character, Transcript
from ocrtrain.errors import InputError
from ocrtrain.files import atomic_path

# What follows the texts of a line and of a region in PAGE XML, where the order is fixed.
_AFTER_LINE_TEXT = ("TextStyle", "UserDefined", "Labels")
_AFTER_REGION_TEXT = ("TextStyle",)


def page_places(output: str | None, wanted: str, paths: Sequence[str]) -> dict[str, Path]:
    """Say where each page is written: under its name in the folder `output`, or one page as that file.

    Raises InputError where there is no such place, or two pages or the page itself are in it.
    """
    if output is None:
        raise InputError("format=xml", "needs a place to write to", "name a folder: output=DIR.")
    if output.lower().endswith(".xml"):
        if len(paths) > 1:
            raise InputError(f"output={output}", f"is one file for {len(paths)} pages", "name a folder.")
        places = {paths[0]: Path(output)}
    else:
        root = wanted if os.path.isdir(wanted) else None
        names = (os.path.relpath(path, root) if root else os.path.basename(path) for path in paths)
        places = dict(zip(paths, (Path(output, name) for name in names), strict=True))
    pages, taken = {Path(path).resolve() for path in paths}, dict[Path, str]()
    for path, place in places.items():
        if place.resolve() in pages:
            why = f"{legible(str(place))}, a page of the input, would be written over"
            raise InputError(f"output={output}", why, "name another.")
        if (other := taken.setdefault(place.resolve(), path)) != path:
            why = f"{legible(path)} and {legible(other)} would be one file"
            raise InputError(f"output={output}", why, "give their folder as input.")
    return places


class PageWriter:
    """Puts what is read into its page, and writes each page when a line of the next one comes.

    places: of each page's file, where it is written. A page of which nothing could be read is not written.
    """

    def __init__(self, places: Mapping[str, Path]) -> None:
        self.places = places
        self._page: Page | None = None

    def __call__(self, item: Item, read: Transcript) -> None:
        """Put in what was read of a line; those of a page come one after the other."""
        assert item.page is not None and item.line is not None
        if item.page is not self._page:
            self.finish()
        self._page = item.page
        set_text(item.page, item.line, read, item.width)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if kind is None:
            self.finish()

    def finish(self) -> None:
        """Write the page that is under way."""
        if self._page is not None:
            write_page(self._page, self.places[self._page.file])
        self._page = None


def set_text(page: Page, line: PageLine, read: Transcript, width: int) -> None:
    """Put what was read in place of a line's text.

    read: of an image of `width` pixels that was cut out along the line. What described the old text in
    detail goes: PAGE's words and glyphs, ALTO's strings. ALTO's new ones, a word each, get places.
    """
    try:
        if page.kind == "PAGE XML":
            _set_page_text(line.element, read.text, read.confidence, _AFTER_LINE_TEXT)
        else:
            _set_alto_text(line, read, width)
    except ValueError as error:  # from lxml
        where, why = f"{legible(page.file)}#{line.name}", f"reads {read.text!r}, which XML cannot hold"
        raise InputError(where, why, "write .tsv or .jsonl: output=texts.tsv") from error


def write_page(page: Page, path: Path) -> None:
    """Write the page's XML, with a new date and whatever else it had; raises `InputError` where it cannot."""
    if page.kind == "PAGE XML":
        for region in below(page.root, "TextRegion"):
            _join_lines(region)
        for changed in below(page.root, "LastChange"):
            changed.text = datetime.now(UTC).isoformat(timespec="seconds")
    with atomic_path(path) as temporary:
        page.root.getroottree().write(temporary, encoding="UTF-8", xml_declaration=True)


def _set_page_text(element: Any, text: str, confidence: float | None, followers: Sequence[str]) -> None:
    for old in [*children_of(element, "Word"), *children_of(element, "TextEquiv")]:
        element.remove(old)
    equivalent = element.makeelement(_like(element, "TextEquiv"))
    if confidence is not None:
        equivalent.set("conf", f"{confidence:.4f}")
    unicode = element.makeelement(_like(element, "Unicode"))
    unicode.text = text
    equivalent.append(unicode)
    places = (i for i, child in enumerate(element) if local(child.tag) in followers)
    element.insert(next(places, len(element)), equivalent)


def _join_lines(region: Any) -> None:
    """A region that has a text of its own has that of its lines, of those in regions within it, too."""
    lines = list(below(region, "TextLine"))
    if unicode_of(region) is not None and lines:
        texts = (unicode_of(line) for line in lines)
        joined = "\n".join("" if text is None else text.text or "" for text in texts)
        _set_page_text(region, joined, None, _AFTER_REGION_TEXT)


def _set_alto_text(line: PageLine, read: Transcript, width: int) -> None:
    element = line.element
    for old in [child for child in element if local(child.tag) in ("String", "SP", "HYP")]:
        element.remove(old)
    assert line.outline is not None  # it was cut out by it
    (left, top), (right, bottom) = line.outline.min(axis=0).tolist(), line.outline.max(axis=0).tolist()
    # Along a level line, the image is the box; where a line stands upright, a word has the line's place.
    across = (right - left) / width if right - left >= bottom - top else 0.0

    def add(name: str, x0: float, x1: float, **values: str) -> None:
        child = element.makeelement(_like(element, name), values)
        x, w = (left + x0 * across, (x1 - x0) * across) if across else (left, right - left)
        places = {"HPOS": x, "VPOS": top, "WIDTH": w} | ({"HEIGHT": bottom - top} if name == "String" else {})
        for key, value in places.items():
            child.set(key, f"{value:.1f}")
        element.append(child)

    before: tuple[float, float] | None = None
    for word, x0, x1, probability in _words(read):
        if before is not None:  # between the two, whichever stands on the left
            gap = sorted((before[0], before[1], x0, x1))[1:3]
            add("SP", *gap)
        add("String", x0, x1, CONTENT=word, WC=f"{probability:.4f}")
        before = x0, x1
    if before is None:  # a line has a string, though nothing is in it
        add("String", 0.0, float(width), CONTENT="")


def _words(read: Transcript) -> Iterator[tuple[str, float, float, float]]:
    """The words of a reading, their ends in pixels, and the least of their characters' probabilities."""
    word: list[Character] = []
    for character in [*read.characters, None]:
        if character is not None and character.text != " ":
            word.append(character)
        elif word:
            x0, x1 = min(c.x0 for c in word), max(c.x1 for c in word)
            yield "".join(c.text for c in word), x0, x1, min(c.probability for c in word)
            word = []


def _like(element: Any, name: str) -> str:
    """A name in the namespace of `element`."""
    namespace = element.tag.rpartition("}")[0]
    return f"{namespace}}}{name}" if namespace else name
