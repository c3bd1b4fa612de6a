"""Characters that a font really draws, found by drawing them, and remembered from run to run.

A character map is a promise that fonts break: blank or boxed placeholder glyphs, symbols in the places of
letters, one picture for both cases of a letter. Each would put a label beside a picture of something else.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from PIL import Image, ImageChops, ImageDraw, ImageFont, ImageStat

from ocrtrain.cache import cache_folder
from ocrtrain.errors import InputError
from ocrtrain.fields import CheckedFields, FieldError
from ocrtrain.files import write_text_atomically
from ocrtrain.fonts.shaping import is_invisible, script_of
from ocrtrain.fonts.tables import open_tables
from ocrtrain.json_text import JsonError, parse_json_file

_log = logging.getLogger(__name__)
# Raise it when the rules below change: findings under other rules are then made anew.
_RULES = 3
_SIZE = 32
_LONGEST_NAME = 200
_SETS = ("tested", "drawn")  # of characters, which may be more than any text in a file has
# Misses of the rules: the dollar of TeX's text italic is a pound sign, by its own name a dollar.
_MISNAMED = {"cmti10 Regular": "$"}


@dataclass(slots=True)
class Face:
    """One face of a font file; `tested` and `drawn` hold what is known of it so far."""

    path: str
    index: int
    name: str
    family: str
    digest: str
    tested: set[str] = field(default_factory=set)
    drawn: set[str] = field(default_factory=set)


class FontScan:
    """Looks into font files, once each until they change: the findings stay in the user's cache."""

    def __init__(self, shaping: bool) -> None:
        self.shaping = shaping
        self._file = cache_folder() / f"fonts-{'shaped' if shaping else 'plain'}.json"
        self._known: dict[str, dict[str, Any]] = {}
        self._changed = False

    def __enter__(self) -> FontScan:
        # A damaged cache is no loss: what it should hold is found anew.
        with suppress(OSError, JsonError, FieldError):
            content = CheckedFields(parse_json_file(self._file))
            content.integer("rules", _RULES, _RULES)
            files = dict(content.fields("files").values)
            if content.text("digest") == _digest(files):
                self._known = files
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        if self._changed:
            # A cache that cannot be written costs the next run a second or two, and nobody anything else.
            with suppress(InputError):
                content = {"rules": _RULES, "digest": _digest(self._known), "files": self._known}
                write_text_atomically(self._file, json.dumps(content))

    def faces(self, path: Path) -> list[Face]:
        """List the faces of a font file; none if FreeType cannot read it."""
        try:
            state = path.stat()
        except OSError:
            return []
        stamp = [state.st_size, state.st_mtime_ns]
        with suppress(FieldError):
            known = CheckedFields(self._known.get(str(path)))
            if known.values.get("stamp") == stamp:
                return _remembered(path, known)
        self._known[str(path)] = {"stamp": stamp, **_open(path)}
        self._changed = True
        return _remembered(path, CheckedFields(self._known[str(path)]))

    def drawn(self, face: Face, characters: frozenset[str]) -> frozenset[str]:
        """Find those of `characters` that `face` draws."""
        if unknown := characters - face.tested:
            _log.debug("looking for %d characters in %s", len(unknown), face.name)
            face.tested |= unknown
            face.drawn |= _draws(face, unknown, self.shaping)
            self._known[face.path]["faces"][face.index] = {
                "name": face.name,
                "family": face.family,
                "tested": "".join(sorted(face.tested)),
                "drawn": "".join(sorted(face.drawn)),
            }
            self._changed = True
        return frozenset(characters & face.drawn)


def _digest(files: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(files).encode()).hexdigest()


def _remembered(path: Path, known: CheckedFields) -> list[Face]:
    """Read what is known of a file; raises FieldError if it is not what `FontScan` keeps."""
    digest = known.text("digest")

    def face(value: Any) -> tuple[str, ...]:
        fields = CheckedFields(value)
        return (fields.text("name"), fields.text("family"), *(_characters(fields, key) for key in _SETS))

    return [
        Face(str(path), index, name, family, digest, set(tested), set(drawn))
        for index, (name, family, tested, drawn) in enumerate(known.items("faces", face))
    ]


def _characters(fields: CheckedFields, key: str) -> str:
    value = fields.values.get(key)
    if not isinstance(value, str):
        raise FieldError(f"{key} must be a text")
    return value


def _open(path: Path) -> dict[str, Any]:
    faces: list[dict[str, str]] = []
    try:
        with path.open("rb") as file:
            start = file.read(1 << 16)
            size = file.seek(0, os.SEEK_END)
        count = int.from_bytes(start[8:12], "big") if start[:4] == b"ttcf" else 1
        for index in range(count):
            names = [part for part in ImageFont.truetype(str(path), _SIZE, index).getname() if part]
            names = [name[:_LONGEST_NAME] for name in names]
            family = names[0] if names else ""
            faces.append({"name": " ".join(names), "family": family, "tested": "", "drawn": ""})
    except (
        OSError,
        ValueError,
        MemoryError,
    ) as error:  # broken, or with pictures of one size only (colour emoji)
        _log.warning("font %s left out: %s", path, error)
        return {"digest": "", "faces": []}
    # The table directory at the start holds a checksum of every table, so this tells any two fonts apart.
    return {"digest": hashlib.sha256(start + size.to_bytes(8, "big")).hexdigest()[:16], "faces": faces}


def _draws(face: Face, characters: Iterable[str], shaping: bool) -> set[str]:
    mapped = _mapped(face)
    candidates = {c for c in characters if ord(c) in mapped or is_invisible(c)}
    if not candidates:
        return set()
    engine = ImageFont.Layout.RAQM if shaping else ImageFont.Layout.BASIC
    font = ImageFont.truetype(face.path, _SIZE, face.index, layout_engine=engine)
    try:
        if _is_placeholder(font):
            return set()
        missing = _picture(font, chr(next(c for c in range(0x10FFFF, 0, -1) if c not in mapped)))
        joins = _picture(font, "\u0628\u0628") != _picture(font, "\u0628\u200c\u0628")
        return {c for c in candidates if _is_drawn(font, c, missing, joins)}
    except (OSError, ValueError) as error:
        _log.warning("font %s left out: %s", face.path, error)
        return set()


def _is_drawn(font: ImageFont.FreeTypeFont, character: str, missing: Image.Image, joins: bool) -> bool:
    if character.isspace() or is_invisible(character):
        return True
    arabic = unicodedata.bidirectional(character) == "AL" and script_of(character) == "ARABIC"
    if arabic and not joins:
        return False  # letters that ought to join, in a font without their joined forms
    picture = _picture(font, character)
    if not picture.width or _alike(picture, missing):
        return False
    other = character.swapcase()
    return other == character or len(other) > 1 or picture != _picture(font, other)


def _is_placeholder(font: ImageFont.FreeTypeFont) -> bool:
    # Fonts of last resort draw one picture for a whole script. Fonts without Latin pass: theirs is .notdef.
    one, *others, missing = (_picture(font, c) for c in "ABg\U0010ffff")
    return all(one == other for other in others) and one != missing


def _alike(picture: Image.Image, other: Image.Image) -> bool:
    # Hinting treats two glyphs of one shape differently if one of them, as .notdef, belongs to no script.
    if max(abs(picture.width - other.width), abs(picture.height - other.height)) > 1 or not other.width:
        return False
    difference = ImageChops.difference(picture, other.resize(picture.size))
    return ImageStat.Stat(difference).mean[0] < 16


def _picture(font: ImageFont.FreeTypeFont, text: str) -> Image.Image:
    """Draw `text`, cut out to its ink; an image without pixels if there is none."""
    image = Image.new("L", (4 * _SIZE, 3 * _SIZE))
    ImageDraw.Draw(image).text((2 * _SIZE, 2 * _SIZE), text, 255, font, anchor="ms")
    return image.crop(image.getbbox() or (0, 0, 0, 0))


def _mapped(face: Face) -> frozenset[int]:
    """Collect the code points in the font's Unicode map, without Latin ones that stand for something else.

    Symbol and TeX fonts put a turnstile where "a" should be. The glyphs' own names tell (Adobe Glyph List).
    """
    # Imported here: with a warm cache no run needs it.
    from fontTools import agl

    try:
        with open_tables(face.path, face.index) as font:
            names: dict[int, str] = dict(font.getBestCmap() or {})
    except Exception as error:  # fontTools raises whatever a broken table leads to
        _log.warning("font %s left out: %s", face.path, error)
        return frozenset()
    # Beyond Latin, one glyph often serves two scripts under the name that it has in one of them.
    wrong = {
        code for code, name in names.items() if code < 0x250 and _contradicts(agl.toUnicode(name), chr(code))
    }
    if any(code < 128 and chr(code).isalnum() for code in wrong):
        return frozenset()  # a symbol font: what its other names do not tell is not to be trusted either
    return frozenset(names) - wrong - set(map(ord, _MISNAMED.get(face.name, "")))


def _contradicts(meaning: str, character: str) -> bool:
    if not meaning or (not character.isascii() and unicodedata.category(meaning[0]) == "Co"):
        return False
    return unicodedata.normalize("NFKC", meaning) != unicodedata.normalize("NFKC", character)
