"""Reading lines from Python with nothing but a checkpoint."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from torch import nn

from ocrtrain import Recognizer
from ocrtrain.checkpoint.description import Description
from ocrtrain.data.images.image import as_pixels
from ocrtrain.data.images.preprocess import Preprocess
from ocrtrain.decoding import Transcript
from ocrtrain.errors import InputError
from ocrtrain.model.build import build_recognizer
from ocrtrain.recognizer import choose_device
from ocrtrain.text import Charset

SETTINGS = {
    "backbone": {
        "_target_": "ocrtrain.model.backbones.CompactResNet",
        "channels": [4, 8, 8],
        "height": 16,
        "out_channels": 16,
    },
    "encoder": {"_target_": "ocrtrain.model.encoders.MambaEncoder", "width": 16, "layers": 1},
    "adapt": {"_target_": "ocrtrain.model.adapt.Full"},
    "dropout": 0.1,
}


def line(width: int, height: int = 24, seed: int = 0, mode: str = "L") -> Image.Image:
    """Draw letters in dark ink on light paper."""
    draws = np.random.default_rng(seed)
    text = "".join(draws.choice(list("abcdefgh"), max(1, width // 10)))
    ink, paper = (20, 230) if mode == "L" else ((120, 20, 40), (230, 240, 200))
    image = Image.new(mode, (width, height), paper)
    ImageDraw.Draw(image).text((2, height // 5), text, fill=ink, font_size=height // 2)
    return image


def write_checkpoint(path: Path, **preprocess: Any) -> Path:
    """Save a model that never learned anything, but takes what it sees for letters, never for a blank."""
    prepare = Preprocess(**{"height": 16, "channels": 1, "multiple": 8, **preprocess})
    settings = {**SETTINGS, "backbone": {**SETTINGS["backbone"], "in_channels": prepare.channels}}
    description = Description(settings, Charset("abcdefgh"), prepare, config={})
    torch.manual_seed(0)
    model = build_recognizer(settings, len(description.charset))
    pixels = torch.from_numpy(prepare(as_pixels(line(300, mode="RGB"), 3)))[None]
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0  # one batch tells all
    with torch.no_grad():
        model.train()(pixels, torch.tensor([pixels.shape[3]]))
        scores, _ = model.eval()(pixels, torch.tensor([pixels.shape[3]]))
        # What all frames share says nothing: a letter is told by what differs from frame to frame.
        scale = 4 / scores.std((0, 1)).mean()
        model.head.weight *= scale
        model.head.bias.copy_((model.head.bias - scores.mean((0, 1))) * scale)
        model.head.bias[0] = -100
    state = {f"model.{name}": value for name, value in model.state_dict().items()}
    torch.save({"state_dict": state, "ocrtrain": description.as_dict()}, path)
    return path


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("checkpoint") / "best.ckpt")


@pytest.fixture(scope="module")
def recognizer(checkpoint: Path) -> Recognizer:
    return Recognizer.load(checkpoint, device="cpu")


@pytest.fixture(scope="module")
def colourful(tmp_path_factory: pytest.TempPathFactory) -> Recognizer:
    """A recognizer of RGB lines."""
    return Recognizer.load(
        write_checkpoint(tmp_path_factory.mktemp("colour") / "best.ckpt", channels=3), device="cpu"
    )


WIDTHS = (90, 12, 300, 41, 150, 7, 90, 64, 33, 220)


@pytest.fixture(scope="module")
def lines() -> list[Image.Image]:
    return [line(width, height=20 + i, seed=i) for i, width in enumerate(WIDTHS)]


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("name", ["recognizer", "colourful"])
def test_a_path_an_image_and_an_array_read_alike(
    name: str, mode: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    reader: Recognizer = request.getfixturevalue(name)
    image = line(120, mode=mode)
    path = tmp_path / "line.png"
    image.save(path)
    array = np.asarray(image)
    given = [path, str(path), image, array, array / 255.0, Image.open(path)]
    if mode == "L":
        given += [image.convert("RGB"), np.repeat(array[..., None], 3, axis=2), array[..., None]]
    first, *others = reader.read(given, batch_size=1)
    assert first.text and first.characters
    assert others == [first] * len(others)


def test_results_come_in_the_order_of_the_images(recognizer: Recognizer, lines: list[Image.Image]) -> None:
    alone = [recognizer.read([image])[0] for image in lines]
    assert len({t.text for t in alone}) > len(lines) // 2  # else order would not show
    together = recognizer.read(lines, batch_size=3)
    assert [t.text for t in together] == [t.text for t in alone]
    backwards = recognizer.read(lines[::-1], batch_size=3)
    assert [t.text for t in backwards[::-1]] == [t.text for t in alone]


@pytest.mark.parametrize("batch_size", [1, 2, 4, 16])
def test_the_batch_size_changes_no_result(
    batch_size: int, recognizer: Recognizer, lines: list[Image.Image]
) -> None:
    expected = recognizer.read(lines, batch_size=7)
    for one, other in zip(recognizer.read(lines, batch_size), expected, strict=True):
        assert one.text == other.text
        assert one.confidence == pytest.approx(other.confidence, abs=1e-4)
        for character, same in zip(one.characters, other.characters, strict=True):
            assert (character.text, character.x0, character.x1) == (same.text, same.x0, same.x1)
            assert character.probability == pytest.approx(same.probability, abs=1e-4)


def test_positions_are_pixels_of_the_image_as_given(recognizer: Recognizer, lines: list[Image.Image]) -> None:
    for image, transcript in zip(lines, recognizer.read(lines), strict=True):
        assert transcript.text == "".join(c.text for c in transcript.characters)
        edges = [x for c in transcript.characters for x in (c.x0, c.x1)]
        assert edges == sorted(edges)
        # This model never writes a blank, so its characters cover the line from end to end.
        assert edges[0] == 0 and edges[-1] == pytest.approx(image.width)
        assert 0 < transcript.confidence <= 1


def test_positions_of_a_squeezed_line_are_those_of_the_image(tmp_path: Path) -> None:
    reader = Recognizer.load(write_checkpoint(tmp_path / "best.ckpt", width=40), device="cpu")
    (transcript,) = reader.read([line(400)])
    assert transcript.characters[-1].last_frame == 9
    assert transcript.characters[-1].x1 == pytest.approx(400)


def test_images_are_read_as_they_come(recognizer: Recognizer, lines: list[Image.Image]) -> None:
    taken = []

    def camera() -> Iterator[Image.Image]:
        for i in range(1000):
            taken.append(i)
            yield lines[i % len(lines)]

    stream = recognizer.stream(camera(), batch_size=2)
    expected = recognizer.read(lines)
    assert [next(stream).text for _ in range(4)] == [t.text for t in expected[:4]]
    assert len(taken) < 20


def test_one_bad_image_costs_no_other(
    recognizer: Recognizer, lines: list[Image.Image], tmp_path: Path
) -> None:
    (tmp_path / "torn.png").write_bytes(b"\x89PNG")
    images = [lines[0], tmp_path / "torn.png", lines[1], tmp_path / "none.png", np.zeros((3, 4, 5))]
    outcomes = list(recognizer.stream_outcomes(images))
    assert [isinstance(outcome, Transcript) for outcome in outcomes] == [True, False, True, False, False]
    assert "torn.png" in str(outcomes[1]) and "none.png" in str(outcomes[3])
    with pytest.raises(InputError, match=r"torn\.png"):
        recognizer.read(images)


def test_nothing_gives_nothing(recognizer: Recognizer) -> None:
    assert recognizer.read([]) == []


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (3, 2), (2000, 9)])
def test_lines_of_any_size_are_read(size: tuple[int, int], recognizer: Recognizer) -> None:
    (transcript,) = recognizer.read([Image.new("L", size, 255)])
    assert transcript.characters[-1].x1 == pytest.approx(size[0])


@pytest.mark.parametrize("path", ["line.png", Path("line.png")])
def test_one_path_is_no_list(path: Any, recognizer: Recognizer) -> None:
    with pytest.raises(InputError, match="must be a list of images"):
        recognizer.read(path)


def test_a_batch_has_a_line(recognizer: Recognizer, lines: list[Image.Image]) -> None:
    with pytest.raises(InputError, match="batch_size=0"):
        recognizer.read(lines, batch_size=0)


@pytest.mark.parametrize("batch_size", ["4", 4.0, True, None])
def test_a_batch_size_is_an_integer(
    batch_size: Any, recognizer: Recognizer, lines: list[Image.Image]
) -> None:
    with pytest.raises(InputError, match=r"batch_size=.* must be a positive integer"):
        recognizer.read(lines, batch_size=batch_size)


@pytest.mark.parametrize("value", [5, 0.5, ["a.ckpt"], {"a": 1}, b"a.ckpt", "", True, "nul\0"])
def test_a_path_is_a_path(value: Any, checkpoint: Path, recognizer: Recognizer) -> None:
    for name, call in {
        "checkpoint": lambda: Recognizer.load(value),
        "adapter": lambda: Recognizer.load(checkpoint, "cpu", value),
        "path": lambda: recognizer.save(value),
    }.items():
        with pytest.raises(InputError, match=f"^{name}=.*must be the name of a file or a folder"):
            call()


@pytest.mark.parametrize("device", [["cpu"], 0.5, {"cpu": 1}, b"cpu", -3, 99, True])
def test_a_device_of_another_kind_is_named(device: Any, checkpoint: Path) -> None:
    with pytest.raises(InputError, match=r"^device=.*must be a name"):
        Recognizer.load(checkpoint, device)


@pytest.mark.parametrize("images", [5, None, b"line.png"])
def test_images_are_a_list(images: Any, recognizer: Recognizer) -> None:
    with pytest.raises(InputError, match="must be a list of images"):
        recognizer.read(images)


def test_a_missing_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"checkpoint=.*best\.ckpt: does not exist"):
        Recognizer.load(tmp_path / "best.ckpt")


def test_the_device_is_the_one_asked_for_or_the_best() -> None:
    best = "cuda" if torch.cuda.is_available() else "cpu"
    assert choose_device(None).type == choose_device("auto").type == best
    assert choose_device("cpu") == choose_device(torch.device("cpu")) == torch.device("cpu")


@pytest.mark.parametrize("device", ["tpu-pod", "cpu:cpu", "cuda:99", ""])
def test_a_device_that_is_not_there_is_named(device: str, checkpoint: Path) -> None:
    with pytest.raises(InputError, match=f"device={device}: is not available"):
        Recognizer.load(checkpoint, device)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_reads_the_same(recognizer: Recognizer, checkpoint: Path, lines: list[Image.Image]) -> None:
    there = Recognizer.load(checkpoint, "cuda").read(lines)
    assert [t.text for t in there] == [t.text for t in recognizer.read(lines)]


def test_reading_needs_neither_lightning_nor_hydra(checkpoint: Path, tmp_path: Path) -> None:
    line(80).save(tmp_path / "line.png")
    script = (
        "import sys, ocrtrain\n"
        "reader = ocrtrain.Recognizer.load(sys.argv[1], device='cpu')\n"
        "print(reader.read([sys.argv[2]])[0].text)\n"
        "loaded = {name.partition('.')[0] for name in sys.modules}\n"
        "print(sorted(loaded & set(sys.argv[3:])))\n"
    )
    # These take seconds to import; reading a line with a model without adapters needs none of them.
    heavy = ["lightning", "pytorch_lightning", "hydra", "omegaconf", "peft", "transformers", "matplotlib"]
    done = subprocess.run(
        [sys.executable, "-c", script, str(checkpoint), str(tmp_path / "line.png"), *heavy],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    text, loaded = done.stdout.splitlines()
    assert text and loaded == "[]"
