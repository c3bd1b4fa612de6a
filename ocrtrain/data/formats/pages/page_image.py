"""The image of a page: where it lies, and how the coordinates of the page's XML lie on it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ocrtrain.data.formats.naming import resolve
from ocrtrain.data.formats.pages.page import Page
from ocrtrain.data.formats.pages.xml_file import XmlError
from ocrtrain.data.images.image import (
    MAX_PAGE_PIXELS,
    SUFFIXES,
    as_stored,
    image_size,
    image_turn,
    legible,
    read_image,
)
from ocrtrain.data.images.ink import is_grey

_SAME_SHAPE = 0.02
_SCALES = 1 / 200, 200.0  # pixels of the image to a unit of the page
_CLEAR = 1.25  # times as much ink
_SKETCH = 1200  # pixels
_ABOVE, _BELOW = (
    (-0.14, -0.1, -0.06, -0.02),
    (0.04, 0.08, 0.12, 0.16),
)  # of a line's height, around its baseline
NO_IMAGE = "its image is neither beside it nor in the folder above"


@dataclass(frozen=True, slots=True)
class Picture:
    """A page's image, its pixels to a unit of the page's coordinates, and what is doubtful about it."""

    image: Image.Image
    scale: float
    doubt: str | None = None


def open_picture(page: Page) -> Picture:
    """Open a page's image as its XML means it, upright or as the camera stored it.

    Raises `InputError` if there is none, or it is of another page.
    """
    path = find_image(page)
    turn = image_turn(path, MAX_PAGE_PIXELS)
    width, height = image_size(path, MAX_PAGE_PIXELS)
    stored = (height, width) if turn in (5, 6, 7, 8) else (width, height)
    scale = scale_of(page, (width, height))
    other = None if turn == 1 else scale_of(page, stored)
    if scale is None and other is None:
        raise XmlError(
            legible(page.file),
            "is of a page of another shape than its image",
            "put the image there that it was made from.",
            f"{page.width:.0f} x {page.height:.0f}, the image {width} x {height}",
        )
    pixels = read_image(path, 3, MAX_PAGE_PIXELS, upright=scale is not None)
    if is_grey(pixels):
        pixels = pixels[..., 0]
    if scale is None or other is None:
        return Picture(Image.fromarray(pixels), scale or other or 1.0)
    upright, as_is = Image.fromarray(pixels), Image.fromarray(as_stored(pixels, turn))
    doubt = "image has an EXIF turn, and the XML fits it with and without: lines are cut from it "
    if _fits_upright(page, (upright, scale), (as_is, other)):
        return Picture(upright, scale, f"{doubt}as turned, where the ink is")
    return Picture(as_is, other, f"{doubt}as stored, as kraken, eScriptorium and Transkribus see it")


def find_image(page: Page) -> str:
    """Find the page's image: under its name, beside the XML or one folder up, or by the XML's own name.

    A name that is absolute is followed where such a file exists; one that leads out of the folder above, or
    to another machine, means the file of that name beside the XML. Raises `InputError` if there is none.
    """
    folder = os.path.dirname(os.path.abspath(page.file))
    above = os.path.dirname(folder)
    own = os.path.splitext(os.path.basename(page.file))[0]
    for place in (folder, above):
        for name in _names(page.image):
            path = os.path.normpath(os.path.join(place, name.replace("\\", "/")))
            inside = os.path.isabs(name) or path.startswith(os.path.join(above, ""))
            if inside and (found := resolve(place, name)) is not None:
                return str(found)
        for suffix in SUFFIXES:
            for spelling in (suffix, suffix.upper()):
                if os.path.isfile(path := os.path.join(place, own + spelling)):
                    return path
    name = _names(page.image)[-1] if page.image.strip() else f"{own}.png"
    raise XmlError(legible(page.file), NO_IMAGE, f"put {legible(repr(name))} there.")


def _names(written: str) -> list[str]:
    """List what the image's file may be called: as it is written, its last part, and that of an address."""
    last = written.replace("\\", "/").rpartition("/")[2]
    return [name for name in dict.fromkeys((written, unquote(last), last)) if name]


def scale_of(page: Page, size: tuple[int, int]) -> float | None:
    """Tell how many pixels of an image of `size` one unit of the page's coordinates is.

    None if the image is of another shape. Raises `InputError` if the page does not say what its units are.
    """
    if not page.width or not page.height:
        if page.pixels:
            return 1.0
        why = "has coordinates in millimetres or inches but no page size"
        raise XmlError(legible(page.file), why, "export it again.")
    across, down = size[0] / page.width, size[1] / page.height
    scale = (across + down) / 2
    fits = abs(across / down - 1.0) <= _SAME_SHAPE and _SCALES[0] <= scale <= _SCALES[1]
    return scale if fits else None


def _fits_upright(page: Page, upright: tuple[Image.Image, float], stored: tuple[Image.Image, float]) -> bool:
    """Whether the lines lie on the ink of the upright image rather than on that of the stored one.

    Where there is ink under them either way, that of letters stands on the baseline and not under it. Where
    that tells nothing either, the stored one is meant, since most programs do not look at EXIF data.
    """
    (ink, standing), (other_ink, other_standing) = (_ink(page, *picture) for picture in (upright, stored))
    if max(ink, other_ink) > _CLEAR * min(ink, other_ink):
        return ink > other_ink
    return standing > other_standing + 0.1 * max(abs(standing), abs(other_standing))


def _ink(page: Page, image: Image.Image, scale: float) -> tuple[float, float]:
    """Measure how far the lines' grey is from the page's, and how much farther above baselines than below."""
    shrink = min(1.0, _SKETCH / max(image.size))
    small = image.convert("L").resize(
        (max(1, round(image.width * shrink)), max(1, round(image.height * shrink))), Image.Resampling.BOX
    )
    grey = np.asarray(small, np.float64)
    marks = np.abs(grey - np.median(grey))
    mask = Image.new("1", small.size, 0)
    draw = ImageDraw.Draw(mask)
    standing = 0.0
    for outline, baseline in _shapes(page, scale * shrink):
        draw.polygon([tuple(point) for point in outline.tolist()], fill=1)
        if baseline is not None:
            height = float(np.ptp(outline[:, 1]))
            standing += sum(_along(marks, baseline, part * height) for part in _ABOVE)
            standing -= sum(_along(marks, baseline, part * height) for part in _BELOW)
    inside = np.asarray(mask)
    return float(marks[inside].mean()) if inside.any() else 0.0, standing


def _shapes(page: Page, scale: float) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64] | None]]:
    for line in page.lines:
        if line.outline is not None and len(line.outline) > 2:
            yield line.outline * scale, None if line.baseline is None else line.baseline * scale


def _along(marks: NDArray[np.float64], baseline: NDArray[np.float64], offset: float) -> float:
    """Average over points along a baseline, moved down by `offset`."""
    start, end = baseline[0], baseline[-1]
    if abs(end[1] - start[1]) > abs(end[0] - start[0]):
        return 0.0  # stands upright or not whichever way the page is turned
    at = start + np.linspace(0.0, 1.0, 200)[:, None] * (end - start)
    x, y = at[:, 0].astype(int), (at[:, 1] + offset).astype(int)
    met = (x >= 0) & (x < marks.shape[1]) & (y >= 0) & (y < marks.shape[0])
    return float(marks[y[met], x[met]].mean()) if met.any() else 0.0
