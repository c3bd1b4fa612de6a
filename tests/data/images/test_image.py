"""Images of every kind that people have, and of every kind of damage."""

from __future__ import annotations

import os
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps

from ocrtrain.data.images.image import (
    MAX_PIXELS,
    as_pixels,
    decode_image,
    image_size,
    image_suffix,
    read_image,
)
from ocrtrain.errors import InputError

RAMP = np.arange(0, 240, 5, dtype=np.uint8).reshape(6, 8)
SUFFIX_OF = ["png", "jpg", "tif", "bmp", "webp", "gif", "ppm"]


def saved(folder: Path, image: Image.Image, name: str, **options: Any) -> Path:
    path = folder / name
    image.save(path, **options)
    return path


def png(width: int, height: int, rest: bytes = b"") -> bytes:
    """Write a PNG by hand (8-bit grey): header, and whatever is given as compressed pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rest) + chunk(b"IEND", b"")


def tiff(width: int, bits: int, photometric: int, data: bytes) -> bytes:
    """Write a little-endian TIFF of one row by hand, as in TIFF 6.0, section 3."""
    tags = [(256, 4, width), (257, 4, 1), (258, 3, bits), (259, 3, 1), (262, 3, photometric)]
    entries = [*tags, (273, 4, 8), (277, 3, 1), (278, 4, 1), (279, 4, len(data))]
    directory = struct.pack("<H", len(entries)) + b"".join(
        struct.pack("<HHII", t, k, 1, v) for t, k, v in entries
    )
    padded = data + b"\0" * (len(data) % 2)
    return b"II*\0" + struct.pack("<I", 8 + len(padded)) + padded + directory + b"\0\0\0\0"


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp", "gif", "pgm"])
def test_lossless_grey_comes_back(tmp_path: Path, suffix: str) -> None:
    path = saved(tmp_path, Image.fromarray(RAMP), f"a.{suffix}")
    assert (read_image(path, 1) == RAMP).all()
    assert (read_image(path, 3) == RAMP[:, :, None]).all()
    assert read_image(path, 3).shape == (6, 8, 3)
    assert image_size(path) == (8, 6)


def test_pixels_can_be_written_to(tmp_path: Path) -> None:
    pixels = read_image(saved(tmp_path, Image.fromarray(RAMP), "a.png"), 1)
    assert pixels.flags.writeable and pixels.flags.c_contiguous and pixels.dtype == np.uint8


def test_rgb_becomes_luma(tmp_path: Path) -> None:
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]], dtype=np.uint8)
    path = saved(tmp_path, Image.fromarray(colours), "a.png")
    assert (read_image(path, 3) == colours).all()
    assert read_image(path, 1).tolist() == [[76, 150, 29, 255]]  # 0.299, 0.587, 0.114 of 255: ITU-R BT.601


SIXTEEN = [0, 257, 32896, 65535]  # 257 * (0, 1, 128, 255)


@pytest.mark.parametrize("kind", ["png", "tif", "big-endian tif", "pgm"])
def test_16_bits_are_scaled(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind[-3:]}"
    if kind == "pgm":
        path.write_bytes(b"P5 4 1 65535\n" + np.array(SIXTEEN, dtype=">u2").tobytes())
    elif kind == "big-endian tif":
        Image.frombytes("I;16B", (4, 1), np.array(SIXTEEN, dtype=">u2").tobytes()).save(path)
    else:
        Image.fromarray(np.array([SIXTEEN], dtype=np.uint16)).save(path)
    assert read_image(path, 1).tolist() == [[0, 1, 128, 255]]
    assert read_image(path, 3)[0, :, 2].tolist() == [0, 1, 128, 255]


def test_odd_depths_have_their_own_white(tmp_path: Path) -> None:
    (tmp_path / "a.pgm").write_bytes(b"P5 3 1 4095\n" + np.array([0, 2048, 4095], dtype=">u2").tobytes())
    (tmp_path / "a.tif").write_bytes(
        tiff(4, 12, 1, bytes.fromhex("000800 fff000"))
    )  # 0x000 0x800 0xfff 0x000
    (tmp_path / "b.tif").write_bytes(tiff(3, 16, 0, np.array([0, 32639, 65535], dtype="<u2").tobytes()))
    assert read_image(tmp_path / "a.pgm", 1).tolist() == [[0, 128, 255]]
    assert read_image(tmp_path / "a.tif", 1).tolist() == [[0, 128, 255, 0]]
    assert read_image(tmp_path / "b.tif", 1).tolist() == [[255, 128, 0]]  # photometric 0: white is zero


def test_numbers_without_a_known_white_are_refused(tmp_path: Path) -> None:
    whole = saved(tmp_path, Image.fromarray(np.array([[0, 70000]], dtype=np.int32)), "a.tif")
    real = saved(tmp_path, Image.fromarray(np.array([[0, 70]], dtype=np.float32)), "b.tif")
    unit = saved(tmp_path, Image.fromarray(np.array([[0, 0.5, 1]], dtype=np.float32)), "c.tif")
    with pytest.raises(InputError, match=r"a\.tif: has 32-bit pixels"):
        read_image(whole, 1)
    with pytest.raises(InputError, match=r"b\.tif: has floating-point pixels outside 0\.\.1"):
        read_image(real, 1)
    assert read_image(unit, 1).tolist() == [[0, 128, 255]]


def test_one_bit_and_palette(tmp_path: Path) -> None:
    bits = saved(tmp_path, Image.fromarray(RAMP > 100), "a.png")
    assert (read_image(bits, 1) == np.where(RAMP > 100, 255, 0)).all()
    colours = np.array([[[250, 10, 20], [1, 2, 3]]], dtype=np.uint8)
    palette = saved(tmp_path, Image.fromarray(colours).quantize(2), "b.png")
    assert Image.open(palette).mode == "P"
    assert (read_image(palette, 3) == colours).all()


def test_transparency_is_laid_on_white(tmp_path: Path) -> None:
    rgba = np.array([[[0, 0, 0, 0], [0, 0, 0, 255], [0, 0, 0, 102], [200, 100, 0, 255]]], dtype=np.uint8)
    on_white = [[255, 255, 255], [0, 0, 0], [153, 153, 153], [200, 100, 0]]  # 0.4 black on white: 153
    path = saved(tmp_path, Image.fromarray(rgba), "a.png")
    assert read_image(path, 3)[0].tolist() == on_white
    la = Image.fromarray(rgba[:, :3]).convert("LA")
    assert read_image(saved(tmp_path, la, "b.png"), 1).tolist() == [[255, 0, 153]]
    assert as_pixels(la, 1).tolist() == as_pixels(la.convert("La"), 1).tolist() == [[255, 0, 153]]
    keyed = Image.fromarray(np.array([[7, 0, 90]], dtype=np.uint8))
    assert read_image(saved(tmp_path, keyed, "c.png", transparency=7), 1).tolist() == [[255, 0, 90]]
    assert read_image(saved(tmp_path, keyed.convert("P"), "d.gif", transparency=7), 3).tolist() == [
        [[255] * 3, [0] * 3, [90] * 3]
    ]
    coloured = Image.fromarray(rgba[:, 1:, :3].copy())
    keyed_rgb = saved(tmp_path, coloured, "e.png", transparency=(200, 100, 0))
    assert read_image(keyed_rgb, 3)[0].tolist() == [[0] * 3, [0] * 3, [255] * 3]


@pytest.mark.parametrize("name", ["a.tif", "a.jpg"])
def test_cmyk(tmp_path: Path, name: str) -> None:
    inks = np.zeros((16, 32, 4), dtype=np.uint8)
    inks[:, 16:, 3] = 255  # paper on the left, black ink on the right
    path = saved(tmp_path, Image.fromarray(inks, mode="CMYK"), name)
    grey = read_image(path, 1)
    assert grey[8, 4] > 250 and grey[8, 28] < 5


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_the_cameras_turn_is_undone(tmp_path: Path, suffix: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    path = saved(tmp_path, Image.fromarray(RAMP).convert("RGB"), f"a.{suffix}", exif=exif)
    with Image.open(path) as stored:
        expected = np.asarray(ImageOps.exif_transpose(stored))
        assert (as_pixels(stored, 3) == expected).all()
    pixels = read_image(path, 3)
    assert (pixels == expected).all()
    assert image_size(path) == pixels.shape[1::-1] == ((8, 6) if orientation < 5 else (6, 8))


def test_damaged_exif_does_not_spoil_an_image(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.fromarray(RAMP), "a.png", exif=b"Exif\0\0no such thing")
    assert (read_image(path, 1) == RAMP).all()
    assert image_size(path) == (8, 6)


@pytest.mark.parametrize("suffix", SUFFIX_OF)
@pytest.mark.parametrize("channels", [1, 3])
def test_truncated_is_refused(tmp_path: Path, suffix: str, channels: Any) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 200, 3), dtype=np.uint8)
    path = saved(tmp_path, Image.fromarray(noise), f"a.{suffix}")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=rf"a\.{suffix}: is (damaged or truncated|not an image)"):
        read_image(path, channels)


def test_damaged_pixels_of_a_png_are_refused(tmp_path: Path) -> None:
    """Pillow passes over the checksums of pixels, and gives what is left of them."""
    noise = np.random.default_rng(0).integers(0, 256, (40, 200), dtype=np.uint8)
    path = saved(tmp_path, Image.fromarray(noise), "a.png")
    whole = path.read_bytes()
    path.write_bytes(whole[:4000] + bytes(100) + whole[4100:])
    assert image_size(path) == (200, 40)
    for read in (
        lambda: read_image(path, 1),
        lambda: decode_image(path.read_bytes(), 1, "a.png"),
        lambda: image_suffix(path.read_bytes(), "a.png"),
    ):
        with pytest.raises(InputError, match=r"a\.png: is damaged or truncated: a checksum"):
            read()
    path.write_bytes(whole + b"what follows the end says nothing of the image")
    assert np.array_equal(read_image(path, 1), noise)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("read", [lambda path: read_image(path, 1), image_size])
def test_a_pipe_or_a_device_is_no_image(tmp_path: Path, read: Any) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path / "pipe.png", Path("/dev/zero")):
        with pytest.raises(InputError, match="not a regular file"):
            read(path)


@pytest.mark.parametrize("read", [lambda path: read_image(path, 1), image_size])
def test_what_is_no_image_is_refused_by_name(tmp_path: Path, read: Any) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "letter.png").write_text("Dear Sir or Madam")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "flat.pgm").write_bytes(b"P5 9 0 255\n")
    (tmp_path / "thin.png").write_bytes(png(0, 9))
    (tmp_path / "script.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    (tmp_path / "head.png").write_bytes(png(9, 9)[:20])
    for name, why in {
        "missing.png": "does not exist",
        "empty.png": "is empty (0 bytes)",
        "letter.png": "is not an image of a known format",
        "folder.png": "cannot be opened",
        "flat.pgm": "zero width or height",
        "thin.png": "zero width or height",
        "script.png": "is not an image of a known format",
        "head.png": "is damaged or truncated",
        "nul\0.png": "embedded null byte",
    }.items():
        with pytest.raises(InputError) as caught:
            read(tmp_path / name)
        assert name in caught.value.what and why in caught.value.why and caught.value.way_on


@pytest.mark.parametrize("side", [8200, 9500, 14000, 60000])
@pytest.mark.parametrize("strict", [False, True])
def test_decompression_bombs_are_refused_unopened(
    tmp_path: Path, side: int, strict: bool, recwarn: pytest.WarningsRecorder
) -> None:
    if strict:
        warnings.simplefilter("error")  # recwarn puts the filters back
    path = tmp_path / "bomb.png"
    path.write_bytes(png(side, side, zlib.compress(b"\0" * 100)))
    for read in (lambda: read_image(path, 1), lambda: image_size(path)):
        with pytest.raises(InputError, match=r"bomb\.png: has more pixels than any line of text"):
            read()


def test_the_largest_line_is_allowed(tmp_path: Path) -> None:
    path = tmp_path / "long.png"
    path.write_bytes(png(2**20, 2**6))
    assert image_size(path) == (2**20, 2**6) and MAX_PIXELS == 2**26


@given(
    cut=st.floats(0, 1),
    hits=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=8),
    data=st.data(),
)
@settings(max_examples=150, deadline=None)
def test_damage_is_an_input_error_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, cut: float, hits: list[tuple[float, int]], data: st.DataObject
) -> None:
    suffix = data.draw(st.sampled_from(SUFFIX_OF))
    path = tmp_path_factory.getbasetemp() / f"damaged.{suffix}"
    Image.fromarray(RAMP).convert("RGB").save(path)
    content = bytearray(path.read_bytes())
    for place, value in hits:
        content[min(int(place * len(content)), len(content) - 1)] = value
    path.write_bytes(content[: max(1, int(len(content) * max(cut, 0.2)))])
    try:
        image_size(path)
        pixels = read_image(path, 3)
    except InputError as error:
        assert error.what == os.fspath(path)
    else:
        assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.size > 0


@pytest.mark.parametrize(
    "array",
    [
        RAMP,
        RAMP[:, :, None],
        np.repeat(RAMP[:, :, None], 3, axis=2),
        RAMP / 255,
        (RAMP / 255).astype(np.float32),
    ],
)
def test_arrays(array: NDArray[Any]) -> None:
    assert (as_pixels(array, 1) == RAMP).all()
    assert (as_pixels(array, 3) == RAMP[:, :, None]).all()
    assert (as_pixels(array[::-1, ::-2], 1) == RAMP[::-1, ::-2]).all()


def test_arrays_of_other_kinds() -> None:
    assert as_pixels(np.array([[True, False]]), 1).tolist() == [[255, 0]]
    assert as_pixels(np.array([[[0, 0, 0, 102]]], dtype=np.uint8), 1).tolist() == [[153]]
    assert as_pixels(np.array([[[0, 0, 0, 0.4]]]), 3).tolist() == [[[153, 153, 153]]]


def test_an_array_is_not_changed() -> None:
    mine = RAMP.copy()
    as_pixels(mine, 1)[:] = 0
    assert (mine == RAMP).all()


@pytest.mark.parametrize(
    "array",
    [
        RAMP.astype(np.int64),
        RAMP.astype(np.uint16),
        RAMP.astype(np.float64),
        np.array([[np.nan, 0.5]]),
        np.array([[-0.1, 0.5]]),
        np.zeros((0, 9), dtype=np.uint8),
        np.zeros((9, 0, 3), dtype=np.uint8),
        np.zeros(9, dtype=np.uint8),
        np.zeros((2, 9, 2), dtype=np.uint8),
        np.zeros((1, 2, 9, 3), dtype=np.uint8),
        np.array([["a"]]),
    ],
)
def test_other_arrays_are_refused(array: NDArray[Any]) -> None:
    with pytest.raises(InputError, match="array of"):
        as_pixels(array, 1)


def test_pillow_images_paths_and_nothing_else(tmp_path: Path) -> None:
    image = Image.fromarray(RAMP)
    path = saved(tmp_path, image, "a.png")
    assert (as_pixels(image, 1) == RAMP).all()
    assert (as_pixels(path, 1) == RAMP).all() and (as_pixels(str(path), 1) == RAMP).all()
    with pytest.raises(InputError, match="type list"):
        as_pixels([[1, 2]], 1)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="has no pixels"):
        as_pixels(Image.new("L", (0, 4)), 1)


def test_a_pillow_image_that_turns_out_truncated_is_named(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 200), dtype=np.uint8)
    path = saved(tmp_path, Image.fromarray(noise), "a.png")
    path.write_bytes(path.read_bytes()[:4000])
    with Image.open(path) as image, pytest.raises(InputError, match=r"a\.png: is damaged or truncated"):
        as_pixels(image, 1)


@pytest.mark.parametrize("name", ["fraktur/train", "words_multiscript/test"])
def test_real_lines_are_as_large_as_their_headers_say(real_lines: Any, name: str) -> None:
    for path in sorted(real_lines(name).glob("*.png"))[:40]:
        assert image_size(path) == read_image(path, 1).shape[::-1]


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGB"])
def test_any_keeps_grey_images_grey_and_changes_no_value(tmp_path: Path, mode: str) -> None:
    grey = Image.fromarray(np.tile(np.arange(0, 256, 3, dtype=np.uint8), (8, 1)))
    image = grey.convert("1") if mode == "1" else grey.convert("RGB").quantize(64) if mode == "P" else grey
    image = image.convert(mode) if mode in ("LA", "RGB") else image
    image.save(tmp_path / "a.png")
    colours, seen = read_image(tmp_path / "a.png", 3), read_image(tmp_path / "a.png", "any")
    assert seen.ndim == (2 if mode in ("1", "L", "P") else 3)
    assert (seen.reshape(8, 86, -1) == colours).all()
    image = Image.new("P", (5, 5))
    image.putpalette([9, 9, 9, 200, 0, 0])
    image.save(tmp_path / "c.png")
    assert read_image(tmp_path / "c.png", "any").ndim == 3
