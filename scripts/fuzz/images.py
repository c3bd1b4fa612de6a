"""Images in every format that is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fuzz.kind import Kind


def drawn(mode: str = "L", width: int = 60, height: int = 20) -> Image.Image:
    """A picture unlike any other."""
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 4)).astype(np.uint8)
    pixels[4:9, 5:40] = 30
    return Image.fromarray(pixels, "RGBA").convert("RGB").convert(mode)


def make(folder: Path, suffix: str, **options: Any) -> None:
    case = folder / "case"
    case.mkdir(parents=True)
    modes = {"png": "P", "gif": "P", "ppm": "RGB", "jpg": "RGB", "webp": "RGB", "tif": "RGB"}
    exif = Image.Exif()
    exif[0x0112] = 6
    more = {"exif": exif} if suffix in ("jpg", "png", "webp", "tif") else {}
    drawn(modes.get(suffix, "L")).save(case / f"line.{suffix}", **more, **options)


def read(case: Path, fixed: Path) -> object:
    from ocrtrain.data.images.image import image_size, image_suffix, read_image

    (file,) = case.iterdir()
    suffix = image_suffix(file.read_bytes(), "line")
    return image_size(file), read_image(file, 1), read_image(file, "any"), suffix


def kind(suffix: str, weight: int, guarded: tuple[str, ...] = (), **options: Any) -> Kind:
    return Kind(lambda folder: make(folder, suffix, **options), read, weight, guarded, cut_shows=True)


KINDS = {
    "image png": kind("png", 5, (".png",)),
    "image jpeg": kind("jpg", 3),
    "image tiff": kind("tif", 4, compression="tiff_lzw"),
    "image bmp": kind("bmp", 2),
    "image webp": kind("webp", 3),
    "image gif": kind("gif", 2),
    "image ppm": kind("ppm", 2),
}
