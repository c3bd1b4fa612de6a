"""Lines from right to left: trained in the order of the image, read in that of the text, by every command."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import torch
from PIL import Image, ImageDraw

from ocrtrain import Recognizer

TINY = (
    "backbone.channels=[8,8,16]",
    "backbone.out_channels=32",
    "encoder.width=32",
    "encoder.layers=1",
    "data.batch_size=4",
    "data.workers=0",
)
ALEF, BET, GIMEL = "\u05d0", "\u05d1", "\u05d2"
# The text, and what an image of it shows from left to right.
LINES = [
    (f"{ALEF}{BET}{ALEF}", f"{ALEF}{BET}{ALEF}"),
    (f"{ALEF}{BET}12", f"12{BET}{ALEF}"),
    (f"{GIMEL}({ALEF})21", f"21({ALEF}){GIMEL}"),
    (f"{BET}{GIMEL}.", f".{GIMEL}{BET}"),
]
LOOKS = {ALEF: "N", BET: "C", GIMEL: "L"}  # a letter that any font has, for the drawing


@pytest.fixture(scope="module")
def hebrew(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `lines` and with what learning them by heart left in `runs/heart`."""
    import logging

    from ocrtrain.__main__ import main

    folder = tmp_path_factory.mktemp("hebrew")
    (folder / "lines").mkdir()
    for i in range(12):
        text, shown = LINES[i % len(LINES)]
        image = Image.new("L", (16 * len(shown) + 12, 24), 235)
        for place, character in enumerate(shown):
            ImageDraw.Draw(image).text(
                (6 + 16 * place, 5), LOOKS.get(character, character), fill=20, font_size=14
            )
        image.save(folder / "lines" / f"{i:02}.png")
        (folder / "lines" / f"{i:02}.gt.txt").write_text(text + "\n", encoding="utf-8")
    before = logging.root.handlers[:]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OCRTRAIN_CACHE", str(folder / ".cache"))
        patch.chdir(folder)
        data = ["data.train=lines", "data.val=lines", "data.augment=null", "run=heart"]
        rates = ["optimizer.lr=0.005", "optimizer.matrix_lr=0.05", "schedule=constant"]
        rates.append("trainer.precision=32-true")  # bf16 learns these few lines by heart later
        steps = ["trainer.max_steps=90", "trainer.validate_every_steps=30"]
        assert main(["fit", *TINY, *data, *steps, *rates, "dropout=0", "encoder.dropout=0"]) == 0
    logging.root.handlers[:] = before
    return folder


def test_texts_come_back_in_logical_order_and_positions_in_the_image(
    hebrew: Path, command: Callable[..., CompletedProcess[str]]
) -> None:
    best = hebrew / "runs/heart/checkpoints/best.ckpt"
    read = command("predict", f"checkpoint={best}", f"input={hebrew / 'lines'}", "format=jsonl")
    rows = [json.loads(row) for row in read.stdout.splitlines()]
    assert [row["text"] for row in rows] == [LINES[i % len(LINES)][0] for i in range(12)]
    middles = {c["text"]: sum(c["x"]) / 2 for c in rows[1]["characters"]}
    assert [c["text"] for c in rows[1]["characters"]] == [ALEF, BET, "1", "2"]
    assert middles["1"] < middles["2"] < middles[BET] < middles[ALEF]
    judged = command("evaluate", f"checkpoint={best}", f"data.test={hebrew / 'lines'}", "output=judged")
    assert judged.returncode == 0 and json.loads(Path("judged/report.json").read_text())["cer"] == 0


def test_the_checkpoint_knows_how_texts_are_written(hebrew: Path) -> None:
    best = hebrew / "runs/heart/checkpoints/best.ckpt"
    content = torch.load(best, weights_only=True)["ocrtrain"]
    assert content["writing"] == {"normalization": "NFC", "direction": "rtl"}
    charset = Recognizer.load(best).description.charset
    assert charset.encode(f"{ALEF}{BET}12") == [charset.symbols.index(s) + 1 for s in f"12{BET}{ALEF}"]


def test_what_starts_from_it_is_written_likewise(
    hebrew: Path, fit: Callable[..., CompletedProcess[str]], draw_lines: Callable[..., Path]
) -> None:
    best = hebrew / "runs/heart/checkpoints/best.ckpt"
    lines = f"data.train={hebrew / 'lines'}"
    fit(f"init={best}", "adapt=lora", lines, "trainer.max_steps=2", "run=more", "data.direction=auto")
    again = Recognizer.load("runs/more/checkpoints/last.ckpt").description.charset.writing
    assert again.direction == "rtl"
    both = Recognizer.load(best, adapter="runs/more/adapter")
    both.save("merged.ckpt")
    assert Recognizer.load("merged.ckpt").description.charset.writing == again
    for typed in ("data.direction=ltr", "data.normalization=NFKC"):
        message = fit(f"init={best}", lines, "trainer.max_steps=2", "run=other", typed, code=2).stderr
        assert typed in message and "leave it out" in message


def test_checkpoints_from_before_read_as_they_did(hebrew: Path, tmp_path: Path) -> None:
    content = torch.load(hebrew / "runs/heart/checkpoints/best.ckpt", weights_only=True)
    del content["ocrtrain"]["writing"]
    torch.save(content, tmp_path / "old.ckpt")
    images = [hebrew / "lines" / f"{i:02}.png" for i in range(4)]
    read = Recognizer.load(tmp_path / "old.ckpt").read(images)
    assert [transcript.text for transcript in read] == [shown for _, shown in LINES]
