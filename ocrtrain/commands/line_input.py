"""Finds what there is to read: images of lines, and the lines of pages in PAGE or ALTO XML."""

from __future__ import annotations

import glob
import logging
import os
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ocrtrain.data.formats.detect import page_files
from ocrtrain.data.formats.pages.page import Page, PageLine, read_page
from ocrtrain.data.formats.pages.page_image import open_picture
from ocrtrain.data.formats.pages.source import cut_out, named_lines
from ocrtrain.data.formats.pairing import files_under, read_list
from ocrtrain.data.images.image import SUFFIXES, legible
from ocrtrain.data.lines.stored import located
from ocrtrain.errors import InputError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Item:
    """A line to read: its name, and where it is one of a page, that line and the width that it was cut to."""

    name: str
    page: Page | None = None
    line: PageLine | None = None
    width: int = 0


def find_images(wanted: str) -> list[str]:
    """List the images and pages that `wanted` means: one, all of a folder, a pattern's, or a list file's.

    In a folder with pages in PAGE or ALTO XML, these are what is meant, and not their images.
    """
    known = (*SUFFIXES, ".xml")
    if os.path.isdir(wanted):
        inside = sorted(files_under(wanted))
        found = page_files(wanted, inside)
        if not found:
            images = (name for name in inside if name.lower().endswith(tuple(SUFFIXES)))
            found = [os.path.join(wanted, name) for name in images]
    elif os.path.isfile(wanted) and not wanted.lower().endswith(known):
        listed, wrong = read_list(wanted)
        if wrong:
            raise InputError(
                f"input={wanted}", "must be an image, or a list of paths in UTF-8", "give one of the two."
            )
        found = [located(os.path.dirname(wanted), name) for name in listed]
    elif os.path.exists(wanted):
        found = [wanted]
    else:
        found = sorted(glob.glob(wanted, recursive=True))
    if not found:
        what = "holds no image" if os.path.exists(wanted) else "does not exist, and no file matches it"
        raise InputError(
            f"input={wanted}",
            what,
            f"give an image ({', '.join(SUFFIXES)}), a page.xml, a folder, a pattern in quotes or a list.",
        )
    return found


def lines_of(paths: Iterable[str], items: deque[Item]) -> Iterator[Any]:
    """Give what is to be read, images or why there is none, and put its item in line as it is given."""
    for path in paths:
        if not is_page(path):
            items.append(Item(legible(path)))
            yield path
            continue
        try:
            page = open_page(path)
            if not page.lines:
                log.info("%s: %s without lines", legible(path), page.kind)
                continue
            picture = open_picture(page)
        except InputError as error:
            items.append(Item(legible(path)))
            yield error
            continue
        if picture.doubt is not None:
            log.warning("%s: %s", legible(path), picture.doubt)
        for name, line in named_lines(page):
            item = f"{legible(path)}#{name}"
            try:
                image = cut_out(line, picture)
            except InputError as error:
                items.append(Item(item, page, line))
                yield InputError(item, error.why, error.way_on)
            else:
                items.append(Item(item, page, line, image.width))
                yield image


def is_page(path: str) -> bool:
    """Tell whether a path of the input is that of a page's XML, and not of a line's image."""
    return path.lower().endswith(".xml")


def open_page(path: str) -> Page:
    """Read a PAGE or ALTO file; raises InputError for one that is neither."""
    page = read_page(path)
    if page is None:
        raise InputError(legible(path), "is XML, but not PAGE or ALTO", "export the page as one of the two.")
    return page
