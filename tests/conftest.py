"""What tests share."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

REAL_LINES = Path(__file__).resolve().parents[2] / "shared" / "data"

# A model of 20,000 parameters, which learns little and trains in seconds.
TINY = (
    "backbone.channels=[8,8,16]",
    "backbone.out_channels=32",
    "encoder.width=32",
    "encoder.layers=1",
    "data.batch_size=4",
    "data.workers=0",
)


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


Command = Callable[..., Ended]


@pytest.fixture
def real_lines() -> Callable[[str], Path]:
    """Find a folder of real lines by its name, such as "fraktur/train"; skips where there is none."""

    def find(name: str) -> Path:
        folder = REAL_LINES / name
        if not folder.is_dir():
            pytest.skip(f"real lines {name!r} are not beside this checkout")
        return folder

    return find


def write_lines(folder: Path, count: int, seed: int = 0, symbols: str = "abcä ") -> Path:
    """Draw `count` lines of 1 to 6 symbols into `folder`, as pairs of NAME.png and NAME.gt.txt."""
    folder.mkdir(parents=True, exist_ok=True)
    draw = random.Random(seed)
    for i in range(count):
        text = "".join(draw.choices(symbols, k=draw.randint(1, 6))).strip() or symbols[0]
        image = Image.new("L", (14 * len(text) + 12, 24), 235)
        ImageDraw.Draw(image).text((6, 5), text, fill=20, font_size=14)
        image.save(folder / f"{i:02}.png")
        (folder / f"{i:02}.gt.txt").write_text(text + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def lines() -> Callable[..., Path]:
    """Give the function that draws lines into a folder."""
    return write_lines


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Command]:
    """Type a command in a folder of the test's own; no subprocess, so that torch is imported once."""
    from ocrtrain.__main__ import main

    monkeypatch.setenv("OCRTRAIN_CACHE", str(tmp_path / ".cache"))
    monkeypatch.chdir(tmp_path)
    before = logging.root.handlers[:]

    def typed(*words: str) -> Ended:
        capsys.readouterr()
        code = main(words)
        printed = capsys.readouterr()
        return Ended(code, printed.out, printed.err)

    yield typed
    # Hydra's handlers write to a stream that ends with the test.
    logging.root.handlers[:] = before


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `lines`, and in `runs/tiny` what training on them left."""
    from ocrtrain.__main__ import main

    folder = tmp_path_factory.mktemp("trained")
    write_lines(folder / "lines", 12)
    before = logging.root.handlers[:]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OCRTRAIN_CACHE", str(folder / ".cache"))
        patch.chdir(folder)
        words = [
            "data.train=lines",
            "data.val=lines",
            "trainer.max_steps=60",
            "data.augment=null",
            "run=tiny",
        ]
        assert main(["fit", *TINY, *words, "trainer.validate_every_steps=30"]) == 0
    logging.root.handlers[:] = before
    return folder
