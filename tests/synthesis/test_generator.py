"""A line depends on seed, epoch, index and settings alone, and shows its text."""

from __future__ import annotations

import hashlib
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, features

from ocrtrain.errors import InputError
from ocrtrain.synthesis import ALPHANUMERIC, LineGenerator, build_generator
from ocrtrain.synthesis.effects import AnyColours, Noise
from ocrtrain.synthesis.texts import Lines, MadeUp, Patterns, RandomStrings
from ocrtrain.synthesis.typeface import open_face

FONTS = {"fonts": ["bundled"]}
PLAIN: dict[str, Any] = {"rotation_share": 0.0, "effects": None}


def digest(generator: LineGenerator, *numbers: tuple[int, int, int]) -> str:
    lines = [generator.line(*number) for number in numbers]
    return hashlib.sha256(b"".join(line.image.tobytes() + line.text.encode() for line in lines)).hexdigest()


NUMBERS = [(0, 0, i) for i in range(20)] + [(7, 3, 10**6), (7, 3, 5)]


def test_lines_do_not_depend_on_what_was_drawn_before() -> None:
    first, second = build_generator(**FONTS), build_generator(**FONTS)
    assert digest(first, *NUMBERS) == digest(second, *NUMBERS)
    assert digest(first, *reversed(NUMBERS)) == digest(second, *reversed(NUMBERS))


def test_lines_are_the_same_in_another_process(tmp_path: Path) -> None:
    generator = build_generator(**FONTS)
    digest(generator, *NUMBERS)  # fonts are open when it is pickled
    (tmp_path / "generator").write_bytes(pickle.dumps(generator))
    code = (
        "import pickle, sys, hashlib; generator = pickle.load(open(sys.argv[1], 'rb'));"
        f"lines = [generator.line(*n) for n in {NUMBERS}];"
        "print(hashlib.sha256(b''.join(l.image.tobytes() + l.text.encode() for l in lines)).hexdigest());"
        "sys.exit('torch' in sys.modules)"
    )
    other = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "generator")], capture_output=True, text=True, check=True
    )
    assert other.stdout.strip() == digest(generator, *NUMBERS)


def test_seed_epoch_and_index_each_make_another_line() -> None:
    generator = build_generator(**FONTS)
    numbers = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 1, 1), (1, 1, 0)]
    assert len({digest(generator, number) for number in numbers}) == len(numbers)


def test_lines_are_the_same_where_there_is_no_room_to_keep_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = digest(build_generator(**FONTS), *NUMBERS)
    monkeypatch.setattr("ocrtrain.synthesis.typeface._ROOM", 1000)
    assert digest(build_generator(**FONTS), *NUMBERS) == expected


def test_texts_are_the_same_everywhere() -> None:
    # Whatever the fonts: the hash of the name says it all.
    assert [build_generator(**FONTS).text(0, 0, i) for i in range(3)] == ["NEK6", "UAB2Kx", "plSQp1RG0R"]


@pytest.mark.parametrize(
    "settings", [{}, {"channels": 1, "height": 48}, {"width": 320}, {"height": 20, "max_length": 40}, PLAIN]
)
def test_lines_have_the_shape_and_text_announced(settings: dict[str, Any]) -> None:
    generator = build_generator(**FONTS, **settings)
    for i in range(40):
        line = generator.line(1, 2, i)
        assert line.image.dtype == np.uint8 and line.image.flags.c_contiguous
        assert line.image.shape[0] == settings.get("height", 32)
        assert line.image.shape[2:] == (() if settings.get("channels") == 1 else (3,))
        assert line.image.shape[1] == settings.get("width", line.image.shape[1])
        # Hinting widens or narrows letters of a few pixels by as much.
        assert generator.columns(1, 2, i) == pytest.approx(line.image.shape[1], rel=0.2, abs=2)
        assert line.text == generator.text(1, 2, i)
        assert set(line.text) <= set(ALPHANUMERIC) and 3 <= len(line.text) <= settings.get("max_length", 10)
        assert line.source == f"generated:1:2:{i}"


def test_the_picture_shows_the_text(bundled: Callable[..., list[str]]) -> None:
    settings = {**PLAIN, "effects": {"colours": AnyColours(contrast=0.5)}}
    generator = build_generator(fonts=bundled("DejaVuSans", "cmr10"), **settings)
    right = wrong = 0
    for i in range(30):
        line = generator.line(0, 0, i)
        image = line.image.astype(int)
        ink = _cropped(np.abs(image - image[0, 0]).sum(2))
        right += min(_difference(ink, line.text, font.path) for font in generator.fonts) < 0.02
        wrong += (
            min(_difference(ink, line.text[1:] + line.text[0], font.path) for font in generator.fonts) < 0.02
        )
    # All but those where a pixel at the edge is of middling darkness, here and not there.
    assert right >= 27 and wrong == 0


def _cropped(ink: np.ndarray) -> np.ndarray:
    ink = ink / ink.max()
    dark = ink > 0.3
    return ink[np.ix_(dark.any(1), dark.any(0))]


def _difference(ink: np.ndarray, text: str, path: str) -> float:
    """Compare with what Pillow rng, at the size that fits best; 1 if none has the shape of `ink`."""
    found = 1.0
    for size in range(19, 28):
        plain = Image.new("L", (400, 64))
        ImageDraw.Draw(plain).text((40, 16), text, 255, open_face(path, 0, size, False).font)
        expected = _cropped(np.asarray(plain))
        if expected.shape == ink.shape:
            found = min(found, float(np.abs(expected - ink).mean()))
    return found


def test_effects_touch_their_share_of_lines() -> None:
    def colours(**noise: Any) -> list[int]:
        effects = {"colours": AnyColours(), "noise": Noise(deviation=(5, 15), **noise)}
        generator = build_generator(**FONTS, **{**PLAIN, "effects": effects})
        # Between two colours lie 254 shades at most; noise makes thousands.
        return [len(np.unique(generator.line(0, 0, i).image.reshape(-1, 3), axis=0)) for i in range(100)]

    assert max(colours(share=0.0)) <= 256
    assert min(colours()) > 256
    assert 15 < sum(count > 256 for count in colours(share=0.3)) < 45


def test_words_are_drawn_and_mixed_with_strings(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("Straße\nein Satz, wie er ist\n", encoding="utf-8")
    words = str(tmp_path / "words.txt")
    only = build_generator(charset=None, words=words, **FONTS)
    assert only.charset.symbols == tuple(sorted(set("Straßeein Satz, wie er ist")))
    assert {only.text(0, 0, i) for i in range(50)} == {"Straße", "ein Satz, wie er ist"}
    mixed = build_generator(charset=None, words=words, random_share=0.5, **FONTS)
    share = np.mean([mixed.text(0, 0, i) in ("Straße", "ein Satz, wie er ist") for i in range(400)])
    assert 0.4 < share < 0.6


def test_every_text_gets_a_font_that_has_it(tmp_path: Path, bundled: Callable[..., list[str]]) -> None:
    (tmp_path / "words.txt").write_text("plain\nжди\n", encoding="utf-8")
    folder = bundled("cmr10", "DejaVuSans")
    generator = build_generator(charset=None, words=str(tmp_path / "words.txt"), fonts=folder)
    assert [font.name for font in generator.fonts] == ["cmr10 Regular", "DejaVu Sans Book"]
    generator.line(0, 0, 0)
    with pytest.raises(InputError, match="none draws 'ж'"):
        build_generator(charset="plainжди", fonts=bundled("cmr10", "cmtt10", into="latin"))


@pytest.mark.skipif(not features.check("raqm"), reason="Pillow without libraqm here")
def test_arabic_joins_and_runs_from_right_to_left(tmp_path: Path, bundled: Callable[..., list[str]]) -> None:
    (tmp_path / "words.txt").write_text("بببا\n", encoding="utf-8")
    generator = build_generator(
        charset=None, words=str(tmp_path / "words.txt"), fonts=bundled("DejaVuSans"), channels=1, **PLAIN
    )
    image = generator.line(0, 0, 0).image.astype(int)
    ink = np.abs(image - image[0, 0]) > 60
    columns = np.flatnonzero(ink.any(0))
    assert len(columns) == columns[-1] - columns[0] + 1  # one joined stroke without a gap
    # The alif, last in the text, is the tallest letter: it stands at the left end.
    assert np.flatnonzero(ink.any(1))[0] in np.flatnonzero(ink[:, columns[:6]].any(1))


WITH_MARK = pytest.param(
    "abcdefgh\u0301\u200c",
    marks=pytest.mark.skipif(not features.check("raqm"), reason="Pillow without libraqm here"),
)


@pytest.mark.parametrize("symbols", ["abcdefgh", "abcdefgh\u200c\u00ad\ufe0f", WITH_MARK])
def test_no_line_shows_a_box(tmp_path: Path, make_font: Callable[..., Path], symbols: str) -> None:
    """Fonts that lack letters, with a box for what is missing and with nothing, draw the same lines."""
    shapes = {c: (60 + 10 * i, 0, 300 + 10 * i, 500 + 20 * i) for i, c in enumerate("abcdefgh\u0301")}
    words = ["abc\u200c", "fgh", "ab\u00adcd", "f\u0301c", "ef\ufe0f", "aah", "d\u0301e"]
    drawable = [word for word in words if set(word) <= set(symbols) and set(word) != set("ah")]
    (tmp_path / "words.txt").write_text("\n".join(drawable), encoding="utf-8")
    pictures = []
    for box in ((50, 0, 450, 700), None):
        fonts = [
            make_font({c: shapes[c] for c in letters}, family=family, notdef=box)
            for family, letters in {"First": "abcdef", "Second": "cdefgh\u0301"}.items()
        ]
        texts = {
            "first": RandomStrings(1, 2, 6, "abcdef"),
            "second": RandomStrings(1, 2, 6, [c for c in symbols if c in "cdefgh\u0301"]),
            "words": Lines(1, str(tmp_path / "words.txt")),
        }
        settings: dict[str, Any] = {"charset": symbols, "fonts": list(map(str, fonts)), "channels": 1}
        generator = build_generator(texts=texts, **settings)
        lines = [generator.line(0, 0, i) for i in range(80)]
        assert set(drawable) <= {line.text for line in lines}
        pictures.append([line.image for line in lines])
        # The other way round: what no font has all of is refused before anything is drawn.
        with pytest.raises(InputError, match="First Regular comes closest but lacks 'h'"):
            build_generator(texts={"one": Patterns(1, ["aah"])}, **settings)
    for with_box, without in zip(*pictures, strict=True):
        np.testing.assert_array_equal(with_box, without)


def test_what_is_invisible_is_in_the_label_and_not_in_the_picture(bundled: Callable[..., list[str]]) -> None:
    settings: dict[str, Any] = {"fonts": bundled("cmr10"), **PLAIN}
    plain = build_generator(texts={"one": Patterns(1, ["fluffy"])}, charset="fluy", **settings)
    hidden = build_generator(
        texts={"one": Patterns(1, ["fl\u00adu\u200cffy\ufe0f"])}, charset="fluy\u00ad\u200c\ufe0f", **settings
    )
    for i in range(5):
        assert hidden.line(0, 0, i).text == "fl\u00adu\u200cffy\ufe0f"
        np.testing.assert_array_equal(hidden.line(0, 0, i).image, plain.line(0, 0, i).image)


@pytest.mark.skipif(not features.check("raqm"), reason="Pillow without libraqm here")
def test_a_column_lies_on_its_side(bundled: Callable[..., list[str]]) -> None:
    settings: dict[str, Any] = {"charset": ".I", "fonts": bundled("DejaVuSans"), "channels": 1, **PLAIN}
    source = {"texts": {"one": Patterns(1, ["I...."])}}
    image = build_generator(vertical=True, **source, **settings).line(0, 0, 0).image.astype(int)
    ink = np.abs(image - image[0, 0]) > 60
    columns = np.flatnonzero(ink.any(0))
    first, rest = columns[: len(columns) // 2], columns[len(columns) // 2 :]
    # Its top is at the left end; the I, now lying, is wider than high, and four points follow it.
    gaps = np.flatnonzero(np.diff(columns) > 1)
    assert len(gaps) == 4
    letter = columns[: gaps[0] + 1]
    assert len(letter) > 2 * ink[:, letter].any(1).sum() and len(first) + len(rest) == len(columns)
    # What was the middle between left and right is now that between up and down.
    rows = np.flatnonzero(ink.any(1))
    assert abs(rows.mean() - 16) < 6


@pytest.mark.skipif(not features.check("raqm"), reason="Pillow without libraqm here")
def test_a_direction_that_is_set_turns_the_order(bundled: Callable[..., list[str]]) -> None:
    # How two scripts follow each other depends on the line's direction.
    settings: dict[str, Any] = {
        "charset": "1ا ", "fonts": bundled("DejaVuSans"), "channels": 1,
        "texts": {"one": Patterns(1, ["111 ا"])}, **PLAIN,
    }  # fmt: skip
    ends = {}
    for direction in ("auto", "ltr", "rtl"):
        image = build_generator(direction=direction, **settings).line(0, 0, 0).image.astype(int)
        ink = np.abs(image - image[0, 0]) > 60
        columns = np.flatnonzero(ink.any(0))
        widest = np.flatnonzero(np.diff(columns) > 1)[np.diff(columns)[np.diff(columns) > 1].argmax()]
        ends[direction] = "alif first" if widest < len(columns) / 2 else "alif last"
    assert ends == {"auto": "alif first", "ltr": "alif last", "rtl": "alif first"}
    with pytest.raises(InputError, match="direction=up"):
        build_generator(direction="up", **FONTS)  # type: ignore[arg-type]


def test_widths_too_narrow_to_read_are_refused() -> None:
    with pytest.raises(InputError, match="too small to read"):
        build_generator(width=320, max_length=100, **FONTS)
    with pytest.raises(InputError, match=r"synthesis\.charset: is null"):
        build_generator(charset=None, **FONTS)


def test_identity_names_what_makes_another_line(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("one\n")
    base = build_generator(**FONTS)
    changes: list[dict[str, Any]] = [
        {"height": 40}, {"charset": "abc"}, {"min_length": 1}, {"exclude_fonts": ["cm*"]},
        {"pitch": [0.6, 0.6]},
        {"effects": {"noise": Noise()}}, {"effects": {"noise": Noise(deviation=(0, 1))}},
        {"words": str(tmp_path / "words.txt")}, {"shift": 0}, {"least_contrast": 0.2},
        {"floor": 0.001}, {"font_weights": {"*": 2}},
        {"texts": {"a": MadeUp()}}, {"texts": {"a": MadeUp(max_length=9)}}, {"texts": {"b": RandomStrings()}},
    ]  # fmt: skip
    identities = [base.identity()] + [build_generator(**FONTS, **change).identity() for change in changes]
    assert len({str(identity) for identity in identities}) == len(identities)
    assert build_generator(**FONTS).identity() == base.identity()
