"""Opening one image safely: the usual formats and pixel types, as uint8 grey or RGB."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from ocrtrain.data.images import png
from ocrtrain.errors import InputError
from ocrtrain.files import check_regular, read_small

Channels = Literal[1, 3, "any"]  # "any": grey images stay grey, all others become RGB
Path = str | os.PathLike[str]

# Only these decoders see a file: the fewer, the smaller the surface that a hostile file can reach.
FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF", "PPM")
SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".gif"),
    *(".pgm", ".ppm", ".pbm", ".pnm"),
)
_SUFFIX_OF = {name: f".{name.lower()}" for name in FORMATS} | {"JPEG": ".jpg", "TIFF": ".tif"}

# A whole A4 page at 600 dpi has 35 million pixels, so no line comes near this; as RGB it takes 192 MiB,
# which any machine can hold. It lies below Pillow's own limit and holds even where that was switched off.
MAX_PIXELS = 2**26
MAX_PAGE_PIXELS = 2**27  # A3 at 600 dpi has 70 million

# No line of text is so much wider than high; scaled to a model's height it would fill the memory.
MAX_ASPECT = 500

_AT_ONCE = 2**26  # bytes of a file
_EXIF_KEYS = {"exif", "Raw profile type exif", "XML:com.adobe.xmp", "xmp"}
_TIFF_WIDTH, _TIFF_HEIGHT, _TIFF_BITS, _TIFF_PHOTOMETRIC = 256, 257, 258, 262


def read_image(
    path: Path, channels: Channels, max_pixels: int = MAX_PIXELS, upright: bool = True
) -> NDArray[np.uint8]:
    """Read the image at `path` upright, as uint8 [H, W] (1 channel, grey) or [H, W, 3] (RGB).

    With `upright` false, its pixels come as they are stored, whatever its EXIF data say of the camera's turn.
    16-bit values are scaled, transparency is laid on white, and of several pages the first is read.
    Raises `InputError` for a file that is missing, empty, no image, damaged, or larger than `max_pixels`.
    """
    with _open(_content(path), legible(path), max_pixels) as image:
        turn = 1 if upright else camera_turn(image)
        return as_stored(_pixels(image, channels, legible(path)), turn)


def decode_image(content: bytes, channels: Channels, name: str) -> NDArray[np.uint8]:
    """Read an image file that is in memory, as `read_image` does; `name` is for messages."""
    with _open(_stream(content, name, check=True), name) as image:
        return _pixels(image, channels, name)


def image_size(path: Path, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """Tell (width, height) of the upright image at `path` from its header alone; raises as `read_image`."""
    with _open(path, legible(path), max_pixels) as image:
        return _upright_size(image)


def image_turn(path: Path, max_pixels: int = MAX_PIXELS) -> int:
    """Tell how the camera was held, 1 (upright) to 8 as in EXIF; raises as `read_image`."""
    with _open(path, legible(path), max_pixels) as image:
        return camera_turn(image)


def decoded_size(content: bytes, name: str) -> tuple[int, int]:
    """Tell (width, height) of an image file that is in memory, as `image_size` does."""
    with _open(_stream(content, name), name) as image:
        return _upright_size(image)


def image_suffix(content: bytes, name: str) -> str:
    """Name the usual suffix of an image file that is in memory, by its content: ".png".

    Raises as above, for a PNG whose pixels are damaged, too.
    """
    with _open(_stream(content, name, check=True), name) as image:
        return _SUFFIX_OF[image.format or ""]


def aspect(size: tuple[int, int], name: str) -> float:
    """Divide (width, height); raises `InputError` if no line of text can be so wide."""
    width, height = size
    if width > MAX_ASPECT * height:
        why = f"is more than {MAX_ASPECT} times as wide as high, as no line of text is"
        raise InputError(name, why, "replace the image or take it out.")
    return width / height


def _upright_size(image: Image.Image) -> tuple[int, int]:
    tags: dict[int, Any] | None = getattr(image, "tag_v2", None)
    if tags is not None:  # TIFF; whether image.size is upright already differs between Pillow's versions
        width, height = int(tags[_TIFF_WIDTH]), int(tags[_TIFF_HEIGHT])
    else:
        width, height = image.size
    return (height, width) if camera_turn(image) in (5, 6, 7, 8) else (width, height)


def camera_turn(image: Image.Image) -> int:
    """Tell the orientation of an image that is not loaded yet, 1 to 8 as in EXIF, from its header."""
    tags: dict[int, Any] | None = getattr(image, "tag_v2", None)
    if tags is not None:
        turn = tags.get(ExifTags.Base.Orientation, 1)
    else:
        # Without one of these keys Pillow would decode a whole PNG to look for more.
        turn = _orientation(image) if image.info.keys() & _EXIF_KEYS else 1
    return turn if turn in range(1, 9) else 1


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An image that is read when it is looked at, wherever it lies: `where` names it, `read` gives pixels."""

    where: str
    read: Callable[[Channels], NDArray[np.uint8]] = field(compare=False)


def as_pixels(
    image: Path | StoredImage | Image.Image | NDArray[Any], channels: Channels
) -> NDArray[np.uint8]:
    """Turn a path, a stored image, a Pillow image or an array into uint8 [H, W] (1 channel) or [H, W, 3].

    An array is [H, W], [H, W, 1], [H, W, 3] or [H, W, 4] (alpha last): uint8, bool, or float from 0 (black)
    to 1 (white). Raises `InputError` for anything else.
    """
    if isinstance(image, StoredImage):
        return image.read(channels)
    if isinstance(image, np.ndarray):
        return _convert(Image.fromarray(_as_uint8(image)), channels)
    if isinstance(image, Image.Image):
        name = getattr(image, "filename", "") or f"image of mode {image.mode}"
        _check_size(image, legible(name))
        return _pixels(image, channels, legible(name))
    if isinstance(image, str | os.PathLike):
        return read_image(image, channels)
    raise InputError(
        f"image of type {type(image).__name__}",
        "is neither a path nor a Pillow image nor a numpy array",
        "give one of the three.",
    )


def legible(path: Path) -> str:
    """Write `path` so that it can be printed even where the file's name is not valid UTF-8."""
    return os.fspath(path).encode("utf-8", "backslashreplace").decode("utf-8")


def _content(path: Path) -> Path | io.BytesIO:
    """Read an image file at once, and check it, unless it is too large for that."""
    try:
        content = read_small(path, _AT_ONCE)
    except OSError as error:
        raise _refusal(path, legible(path), error) from error
    return path if content is None else _stream(content, legible(path), check=True)


def _stream(content: bytes, name: str, check: bool = False) -> io.BytesIO:
    if not content:
        raise _empty(name)
    if check and content.startswith(png.SIGNATURE) and not png.is_whole(content):
        why = "is damaged or truncated: a checksum in it does not fit"
        raise InputError(name, why, "replace the file (a fresh copy may do) or take it out.")
    return io.BytesIO(content)


def _open(file: Path | io.BytesIO, name: str, max_pixels: int = MAX_PIXELS) -> Image.Image:
    try:
        if not isinstance(file, io.BytesIO):
            check_regular(file)
        image = Image.open(file, formats=FORMATS)
    except MemoryError:
        raise
    except Exception as error:  # decoders raise nearly anything when a header is damaged
        raise _refusal(None if isinstance(file, io.BytesIO) else file, name, error) from error
    try:
        _check_size(image, name, max_pixels)
    except InputError:
        image.close()
        raise
    return image


def _check_size(image: Image.Image, name: str, max_pixels: int = MAX_PIXELS) -> None:
    width, height = image.size
    if width < 1 or height < 1:
        raise InputError(name, "has no pixels (zero width or height)", "replace the image or take it out.")
    if width * height > max_pixels:
        raise _too_large(name, max_pixels)


def _too_large(name: str, max_pixels: int = MAX_PIXELS) -> InputError:
    kind = "line of text" if max_pixels == MAX_PIXELS else "page"
    return InputError(
        name,
        f"has more pixels than any {kind} ({max_pixels:,} at most)",
        "cut single lines out of the page, or scale the image down.",
    )


def _empty(name: str) -> InputError:
    return InputError(name, "is empty (0 bytes)", "replace the file or take it out.")


def _refusal(path: Path | None, name: str, error: Exception) -> InputError:
    """Say why an image cannot be read, in words that are the same for all files with the same fault."""
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return _too_large(name)
    if isinstance(error, FileNotFoundError):
        return InputError(name, "does not exist", "check the path.")
    if isinstance(error, UnidentifiedImageError):
        if path is not None and os.path.isfile(path) and os.path.getsize(path) == 0:
            return _empty(name)
        kinds = ", ".join(FORMATS)
        why = f"is not an image of a known format ({kinds}), has a damaged header, or zero width or height"
        return InputError(name, why, "convert or replace the file, or take it out.")
    if isinstance(error, OSError) and error.strerror:
        return InputError(name, f"cannot be opened ({error.strerror})", "check the path and its permissions.")
    # What Pillow puts in brackets are numbers of this one file.
    detail = re.sub(r"\s*\(.*\)", "", str(error)) or type(error).__name__
    why = f"is damaged or truncated: {detail}"
    return InputError(name, why, "replace the file (a fresh copy may do) or take it out.")


def _pixels(image: Image.Image, channels: Channels, name: str) -> NDArray[np.uint8]:
    try:
        if camera_turn(image) in (5, 6, 7, 8) and getattr(image, "tag_v2", None) is not None:
            image.filename = ""  # type: ignore[attr-defined]  # else Pillow maps the file with the sides swapped
        image.load()
        return _upright(_convert(image, channels), _orientation(image))
    except (InputError, MemoryError):
        raise
    except _UnknownRangeError as error:
        raise InputError(name, str(error), "save it with 8 or 16 bits per pixel.") from error
    except Exception as error:  # as above; damage further inside shows only now
        raise _refusal(name, name, error) from error


def _convert(image: Image.Image, channels: Channels) -> NDArray[np.uint8]:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image = Image.fromarray(_scaled(image))
    elif image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info:
        paper = Image.new("RGBA", image.size, "white")
        straight = image.convert("LA") if image.mode == "La" else image
        paper.alpha_composite(straight.convert("RGBA"))
        image = paper
    # np.array, not asarray: the latter may be a read-only view of Pillow's memory.
    grey = channels == 1 or (channels == "any" and _is_grey(image))
    return np.array(image.convert("L" if grey else "RGB"))


def _is_grey(image: Image.Image) -> bool:
    if image.mode != "P":
        return image.mode in ("1", "L")
    colours = np.array(image.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
    return bool((colours == colours[:, :1]).all())


class _UnknownRangeError(ValueError):
    """What is white in these pixels cannot be known."""


def _scaled(image: Image.Image) -> NDArray[np.uint8]:
    """Scale pixels of more than 8 bits to 0..255; Pillow's own conversion clips some of them."""
    tags: dict[int, Any] = getattr(image, "tag_v2", {})
    values = np.asarray(image)
    if image.mode == "F":
        if not ((values >= 0) & (values <= 1)).all():
            raise _UnknownRangeError("has floating-point pixels outside 0..1")
        return np.rint(values * 255).astype(np.uint8)
    if image.mode == "I" and image.format not in ("PNG", "PPM"):  # these two hold 16 bits there, others 32
        raise _UnknownRangeError("has 32-bit pixels")
    white = 4095 if tags.get(_TIFF_BITS) == (12,) else 65535
    scaled = ((values.astype(np.uint32) * 255 + white // 2) // white).astype(np.uint8)
    return 255 - scaled if tags.get(_TIFF_PHOTOMETRIC) == 0 else scaled  # 0: white is zero


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # a damaged EXIF block tells nothing about a sound image
        return 1


def _upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Undo the camera's turn: orientation 1..8 as in Exif 3.0, section 4.6.5.1.6."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def as_stored(pixels: NDArray[np.uint8], turn: int) -> NDArray[np.uint8]:
    """Turn an upright image back to how a camera held that way stored it."""
    if turn in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if turn in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if turn in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    return np.ascontiguousarray(pixels)


def _as_uint8(array: NDArray[Any]) -> NDArray[np.uint8]:
    what = f"array of {array.dtype} {list(array.shape)}"
    way_on = (
        "give [H, W], [H, W, 1], [H, W, 3] or [H, W, 4]; uint8, bool, or float from 0 (black) to 1 (white)."
    )
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise InputError(what, "is not shaped like an image", way_on)
    if array.size == 0:
        raise InputError(what, "has no pixels", way_on)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * 255
    elif np.issubdtype(array.dtype, np.floating):
        if not ((array >= 0) & (array <= 1)).all():
            raise InputError(what, "has values outside 0..1", way_on)
        array = np.rint(array * 255).astype(np.uint8)
    elif array.dtype != np.uint8:
        raise InputError(what, "has a type whose white is unknown", way_on)
    return np.ascontiguousarray(array)
