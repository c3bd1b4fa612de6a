"""What tests share."""

from __future__ import annotations

import logging
import os
import random
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

# Before torch is there: as many tests run as there are cores, and each with threads of its own would wait.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from PIL import Image, ImageDraw

from ocrtrain.fonts.finding import bundled_folder

# Triton decides when it is imported whether it compiles or interprets; without a GPU, it can only interpret.
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

# A shell starts its background jobs with Ctrl-C ignored, and so would everything that the tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

REAL_LINES = Path(__file__).resolve().parents[2] / "shared" / "data"
REAL_PAGES = REAL_LINES.parent / "pages"

# A model of 20,000 parameters, which learns little and trains in seconds.
TINY = (
    "backbone.channels=[8,8,16]",
    "backbone.out_channels=32",
    "encoder.width=32",
    "encoder.layers=1",
    "data.batch_size=4",
    "data.workers=0",
)


@pytest.fixture
def real_lines() -> Callable[[str], Path]:
    """Find a folder of real lines by its name, such as "fraktur/train"; skips where there is none."""

    def find(name: str) -> Path:
        folder = REAL_LINES / name
        if not folder.is_dir():
            pytest.skip(f"real lines {name!r} are not beside this checkout")
        return folder

    return find


@pytest.fixture
def real_pages() -> Path:
    """The folder of real pages, SET/SPLIT/NAME.xml; skips where there is none."""
    if not REAL_PAGES.is_dir():
        pytest.skip("real pages are not beside this checkout")
    return REAL_PAGES


@pytest.fixture(scope="session")
def draw_lines() -> Callable[..., Path]:
    """Draw some lines of 1 to 6 symbols into a folder, as pairs of NAME.png and NAME.gt.txt."""

    def draw(folder: Path, count: int = 12, symbols: str = "abcä ", seed: int = 0) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        draws = random.Random(seed)
        for i in range(count):
            text = "".join(draws.choices(symbols, k=draws.randint(1, 6))).strip() or symbols[0]
            image = Image.new("L", (14 * len(text) + 12, 24), 235)
            ImageDraw.Draw(image).text((6, 5), text, fill=20, font_size=14)
            image.save(folder / f"{i:02}.png")
            (folder / f"{i:02}.gt.txt").write_text(text + "\n", encoding="utf-8")
        return folder

    return draw


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., CompletedProcess[str]]]:
    """Type a command in a folder of the test's own; in this process, so that torch is imported once."""
    from ocrtrain.__main__ import main

    monkeypatch.setenv("OCRTRAIN_CACHE", str(tmp_path / ".cache"))
    monkeypatch.chdir(tmp_path)
    before = logging.root.handlers[:]

    def typed(*words: str) -> CompletedProcess[str]:
        capsys.readouterr()
        code = main(words)
        printed = capsys.readouterr()
        return CompletedProcess(words, code, printed.out, printed.err)

    yield typed
    # Hydra's handlers write to a stream that ends with the test.
    logging.root.handlers[:] = before


@pytest.fixture
def fit(command: Callable[..., CompletedProcess[str]]) -> Callable[..., CompletedProcess[str]]:
    """Train a tiny model, to the end unless another exit code is expected."""

    def train(*words: str, code: int = 0) -> CompletedProcess[str]:
        ended = command("fit", *TINY, *words)
        assert ended.returncode == code, ended.stderr
        return ended

    return train


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, draw_lines: Callable[..., Path]) -> Path:
    """A folder with `lines`, and with what training on them left in `runs/tiny`."""
    from ocrtrain.__main__ import main

    folder = tmp_path_factory.mktemp("trained")
    draw_lines(folder / "lines")
    before = logging.root.handlers[:]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OCRTRAIN_CACHE", str(folder / ".cache"))
        patch.chdir(folder)
        data = ["data.train=lines", "data.val=lines", "data.augment=null", "run=tiny"]
        steps = ["trainer.max_steps=40", "trainer.validate_every_steps=20"]
        # So few lines can be learned by heart, and quickly.
        rates = ["optimizer.lr=0.005", "optimizer.matrix_lr=0.05", "schedule=constant"]
        rates.append("trainer.precision=32-true")  # bf16 learns these few lines by heart later
        assert main(["fit", *TINY, *data, *steps, *rates, "dropout=0", "encoder.dropout=0"]) == 0
    logging.root.handlers[:] = before
    return folder


@pytest.fixture
def bundled(tmp_path: Path) -> Callable[..., list[str]]:
    """Copy fonts of matplotlib's wheel into a folder of their own, and name it."""

    def copy(*names: str, into: str = "fonts") -> list[str]:
        source = bundled_folder()
        assert source is not None
        (tmp_path / into).mkdir(parents=True, exist_ok=True)
        for name in names:
            shutil.copy(source / f"{name}.ttf", tmp_path / into)
        return [str(tmp_path / into)]

    return copy


Outline = tuple[int, int, int, int] | None


@pytest.fixture
def make_font(tmp_path: Path) -> Callable[..., Path]:
    """Make a font whose glyphs are rectangles (x0, y0, x1, y1 of 1000 units), or blank with None."""

    def make(
        glyphs: dict[str, Outline],
        names: dict[str, str] | None = None,
        family: str = "Made",
        notdef: Outline = (50, 0, 450, 700),
    ) -> Path:
        names = names or {}
        outlines: dict[str, Outline] = {".notdef": notdef}
        outlines |= {names.get(c, f"uni{ord(c):04X}"): box for c, box in glyphs.items()}
        builder = FontBuilder(1000, isTTF=True)
        builder.setupGlyphOrder(list(outlines))
        builder.setupCharacterMap({ord(c): names.get(c, f"uni{ord(c):04X}") for c in glyphs})
        builder.setupGlyf({name: _rectangle(box) for name, box in outlines.items()})
        builder.setupHorizontalMetrics({name: (500, 50) for name in outlines})
        builder.setupHorizontalHeader(ascent=800, descent=-200)
        builder.setupNameTable({"familyName": family, "styleName": "Regular"})
        builder.setupOS2()
        builder.setupPost()
        path = tmp_path / f"{family}.ttf"
        builder.save(path)
        return path

    return make


def _rectangle(box: Outline) -> object:
    pen = TTGlyphPen(None)
    if box is not None:
        x0, y0, x1, y1 = box
        pen.moveTo((x0, y0))
        for corner in ((x0, y1), (x1, y1), (x1, y0)):
            pen.lineTo(corner)
        pen.closePath()
    return pen.glyph()
