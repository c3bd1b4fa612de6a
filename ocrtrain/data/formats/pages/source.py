"""Lines of PAGE and ALTO XML: cut out of their pages once, and kept in the cache.

A page is decoded whole to read one of its lines, which at every line of every epoch would take a hundred
times as long as the line is worth.
"""

from __future__ import annotations

import io
import logging
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ocrtrain.data.formats.byte_ranges import Slices
from ocrtrain.data.formats.pages import baseline
from ocrtrain.data.formats.pages.dewarp import cut_line
from ocrtrain.data.formats.pages.page import Page, PageLine, read_page
from ocrtrain.data.formats.pages.page_image import Picture, open_picture
from ocrtrain.data.images.image import SUFFIXES, Channels, aspect, legible
from ocrtrain.data.lines.rejections import by_reason, text_fault
from ocrtrain.data.lines.stored import StoredLines
from ocrtrain.data.lines.strings import Strings
from ocrtrain.data.lines.table import LineTable, cache_name, load, stamp
from ocrtrain.errors import InputError
from ocrtrain.files import atomic_path

log = logging.getLogger(__name__)

_CUT = 3  # changes when lines are cut otherwise than before
_THREADS = 4  # each holds a page
_SAY_EVERY = 20.0  # seconds


class CutLines(Slices):
    """Lines cut out of pages: they lie in the cache, but are named after their XML file and line."""

    def where(self, index: int) -> str:
        """Give the XML file's path and the line's name in it."""
        return os.path.join(self.place, self.table.names[index])

    def pixels(self, index: int, channels: Channels) -> NDArray[np.uint8]:
        """Read the image; where the cache is damaged, the next start makes it anew."""
        try:
            return super().pixels(index, channels)
        except InputError as error:
            with suppress(OSError):
                os.unlink(self.files[0])
            why = "was damaged in the cache where lines of pages are kept"
            raise InputError(legible(self.where(index)), why, "start again: pages are cut anew.") from error

    def __reduce__(self) -> tuple[object, ...]:
        return CutLines, (self.place, self.table, self.files)


def open_pages(files: Sequence[str], root: str, channels: Channels = 1) -> StoredLines:
    """Open the lines of the PAGE and ALTO files, in their order; names are relative to `root`.

    Pages are cut when they are opened for the first time, and again when an XML file or an image beside it
    changes. Raises `InputError` where no line can be used or the cache cannot be written.
    """
    key = {"pages": stamp(files), "images": stamp(_images_near(files)), "cut": _CUT}
    blob, kept = cache_name("images", key), cache_name("table", key)
    table = _cut_before(blob, kept) or _cut_all(files, root, blob, kept)
    kind = f"PAGE or ALTO XML, {len(files):,} {'page' if len(files) == 1 else 'pages'}"
    return StoredLines(table, CutLines(root, table, [str(blob)]), kind, root, channels)


def _cut_before(blob: Path, kept: Path) -> LineTable | None:
    """Load what the cache has of the pages; None if that is not whole."""
    if not (blob.is_file() and kept.is_file()):
        return None
    try:
        table = load(kept)
    except InputError:
        return None
    end = int((table.places["offset"] + table.places["size"]).max(initial=0))
    return table if blob.stat().st_size == end else None


def _images_near(files: Sequence[str]) -> list[str]:
    folders = {os.path.dirname(file) for file in files}
    folders |= {os.path.dirname(folder) for folder in folders}
    found = []
    for folder in sorted(folders):
        try:
            found += [entry.path for entry in os.scandir(folder) if entry.name.lower().endswith(SUFFIXES)]
        except OSError:  # the folder above need not be ours to read
            continue
    return sorted(path for path in found if os.path.isfile(path))


def _cut_all(files: Sequence[str], root: str, blob: Path, kept: Path) -> LineTable:
    log.info("cutting the lines of %d pages, which later starts need not do again", len(files))
    names: list[str] = []
    texts: list[str] = []
    aspects: list[float] = []
    rows: list[tuple[int, int]] = []
    skipped: dict[str, list[str]] = {}
    doubts: dict[str, list[str]] = {}
    said = time.monotonic()
    with (
        atomic_path(blob) as temporary,
        open(temporary, "wb") as out,
        ThreadPoolExecutor(_THREADS) as pool,
    ):
        for number, (cuts, doubted) in enumerate(_in_order(pool, files), start=1):
            base = os.path.relpath(files[number - 1], root)
            for doubt in doubted:
                doubts.setdefault(doubt, []).append(base)
            for name, text, png, ratio, fault in cuts:
                where = f"{base}{name}"
                if fault is not None:
                    skipped.setdefault(fault, []).append(where)
                    continue
                names.append(where)
                texts.append(text)
                aspects.append(ratio)
                rows.append((out.tell(), len(png)))
                out.write(png)
            if time.monotonic() - said > _SAY_EVERY:
                said = time.monotonic()
                log.info("%d of %d pages, %s lines", number, len(files), f"{len(names):,}")
    for line in by_reason(doubts):
        log.warning("%s", line)
    place = np.array(rows, np.int64).reshape(-1, 2)
    places: dict[str, NDArray[Any]] = {
        "file": np.zeros(len(rows), np.uint8),
        "offset": place[:, 0].copy(),
        "size": place[:, 1].copy(),
    }
    table = LineTable(Strings.of(names), Strings.of(texts), np.array(aspects, np.float32), places, skipped)
    table.save(kept)
    return table


# "#" and the line's name (nothing for a whole page), text, PNG, aspect ratio, or why it cannot be used
Cut = tuple[str, str, bytes, float, str | None]
CutPage = tuple[list[Cut], list[str]]  # and what is doubtful about the page


def _in_order(pool: ThreadPoolExecutor, files: Sequence[str]) -> Iterator[CutPage]:
    """Cut page after page, a few of them ahead."""
    waiting: list[Any] = []
    for file in files:
        waiting.append(pool.submit(_cut_page, file))
        if len(waiting) > 2 * _THREADS:
            yield waiting.pop(0).result()
    for future in waiting:
        yield future.result()


def _cut_page(file: str) -> CutPage:
    try:
        page = read_page(file)
        if page is None:
            return _unused("XML that is neither PAGE nor ALTO")
        if not page.lines:
            return _unused(f"{page.kind} without lines")
        picture = open_picture(page)
    except InputError as error:
        # The reason must not name the file, by which all reasons would differ.
        return _unused(f"page cannot be used: {error.why}", getattr(error, "detail", ""))
    doubts = [] if picture.doubt is None else [picture.doubt]
    if page.doubted:
        doubts.append(
            "page with texts that have a confidence, as a program's have; they are learned as truth"
        )
    return list(_cut_lines(page, picture)), doubts


def _unused(why: str, detail: str = "") -> CutPage:
    return [(_bracketed(detail), "", b"", 0.0, why)], []


def _bracketed(detail: str) -> str:
    return f" ({detail})" if detail else ""


def _cut_lines(page: Page, picture: Picture) -> Iterator[Cut]:
    for name, line in named_lines(page):
        fault, detail = line.fault or text_fault(line.text), ""
        if fault is None:
            try:
                cut = cut_out(line, picture)
                ratio = aspect(cut.size, "")
            except InputError as error:
                fault, detail = error.why, line.detail
            else:
                png = io.BytesIO()
                cut.save(png, "PNG", compress_level=1)
                yield f"#{name}", line.text, png.getvalue(), ratio, None
                continue
        yield f"#{name}{_bracketed(detail)}", "", b"", 0.0, fault


def named_lines(page: Page) -> Iterator[tuple[str, PageLine]]:
    """The lines of a page, each with a name that no other has."""
    seen: set[str] = set()
    for number, line in enumerate(page.lines, start=1):
        name = line.name if line.name not in seen else f"{line.name} ({number})"
        seen.add(name)
        yield name, line


def cut_out(line: PageLine, picture: Picture) -> Image.Image:
    """Cut a line out of its page, upright; raises `InputError` if that cannot be.

    A baseline without extent counts as none, and the outline's box is cut.
    """
    if line.shape is not None:
        raise InputError("", line.shape, f"mend it: {line.detail}.")
    if line.outline is None:
        raise InputError("", "line without an outline (Coords, Polygon or a box)", "draw it.")
    outline = line.outline * picture.scale
    drawn = None if line.baseline is None else line.baseline * picture.scale
    if drawn is None or not baseline.extent(drawn):
        return cut_line(picture.image, outline, baseline.through_the_middle(outline, line.hints))
    return cut_line(picture.image, outline, drawn[::-1] if line.backwards else drawn)
