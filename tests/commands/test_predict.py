"""Reading images from the command line: the same texts as from Python, in order, whatever is damaged."""

from __future__ import annotations

import csv
import io
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import torch

from ocrtrain import Recognizer
from ocrtrain.decoding import Transcript

Command = Callable[..., CompletedProcess[str]]


@pytest.fixture
def best(trained: Path) -> Path:
    return trained / "runs/tiny/checkpoints/best.ckpt"


@pytest.fixture
def images(trained: Path) -> list[str]:
    return sorted(str(path) for path in (trained / "lines").glob("*.png"))


@pytest.fixture
def transcripts(best: Path, images: list[str]) -> list[Transcript]:
    read = Recognizer.load(best).read(images)
    assert len({transcript.text for transcript in read}) > 3  # it has learned something to compare
    return read


def rows(table: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(table), "excel-tab"))


def expected(images: list[str], transcripts: list[Transcript]) -> list[list[str]]:
    read = [
        [path, f"{found.confidence:.4f}", found.text] for path, found in zip(images, transcripts, strict=True)
    ]
    return [["image", "confidence", "text"], *read]


def test_a_folder_as_tsv(
    command: Command, best: Path, images: list[str], transcripts: list[Transcript], trained: Path
) -> None:
    ended = command("predict", f"checkpoint={best}", f"input={trained / 'lines'}", "batch_size=5")
    assert ended.returncode == 0 and rows(ended.stdout) == expected(images, transcripts)


def test_the_checkpoint_is_enough(
    best: Path, images: list[str], transcripts: list[Transcript], tmp_path: Path
) -> None:
    """In a process of its own, in an empty folder, with nothing but the checkpoint and an image."""
    (tmp_path / "x.ckpt").write_bytes(best.read_bytes())
    (tmp_path / "line.png").write_bytes(Path(images[3]).read_bytes())
    ended = subprocess.run(
        [sys.executable, "-m", "ocrtrain", "predict", "checkpoint=x.ckpt", "input=line.png"],
        cwd=tmp_path,
        env={**os.environ, "OCRTRAIN_CACHE": str(tmp_path / ".cache")},
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert rows(ended.stdout) == expected(["line.png"], transcripts[3:4])
    assert {path.name for path in tmp_path.iterdir()} - {".cache"} == {"x.ckpt", "line.png"}


def test_a_pattern_into_a_tsv_file(
    command: Command, best: Path, images: list[str], transcripts: list[Transcript], trained: Path
) -> None:
    ended = command(
        "predict", f"checkpoint={best}", f"input={trained}/lines/0[0-4].png", "output=out/texts.tsv"
    )
    assert ended.returncode == 0 and ended.stdout == ""
    assert "read 5 of 5 images into out/texts.tsv" in ended.stderr
    assert rows(Path("out/texts.tsv").read_text("utf-8")) == expected(images[:5], transcripts[:5])


def test_a_list_in_its_order_as_json_lines(
    command: Command, best: Path, images: list[str], transcripts: list[Transcript], tmp_path: Path
) -> None:
    order = [7, 2, 2, 11]
    (tmp_path / "some.lst").write_text("".join(f"{images[i]}\n" for i in order))
    ended = command("predict", f"checkpoint={best}", "input=some.lst", "output=texts.jsonl")
    assert ended.returncode == 0
    read = [json.loads(line) for line in (tmp_path / "texts.jsonl").read_text("utf-8").splitlines()]
    assert [line["image"] for line in read] == [images[i] for i in order]
    assert [line["text"] for line in read] == [transcripts[i].text for i in order]
    for line, i in zip(read, order, strict=True):
        assert set(line) == {"image", "text", "confidence", "characters"}
        assert line["confidence"] == pytest.approx(transcripts[i].confidence, abs=1e-4)
        assert "".join(character["text"] for character in line["characters"]) == line["text"]
        edges = [edge for character in line["characters"] for edge in character["x"]]
        assert edges == sorted(edges)
        assert all(0 <= character["probability"] <= 1 for character in line["characters"])


def test_json_lines_on_stdout(command: Command, best: Path, images: list[str]) -> None:
    ended = command("predict", f"checkpoint={best}", f"input={images[0]}", "format=jsonl")
    assert json.loads(ended.stdout)["image"] == images[0]


def test_a_damaged_image_is_named_and_the_others_are_read(
    command: Command, best: Path, images: list[str], transcripts: list[Transcript], tmp_path: Path
) -> None:
    folder = tmp_path / "scans"
    folder.mkdir()
    for i in range(3):
        (folder / f"{i}.png").write_bytes(Path(images[i]).read_bytes())
    (folder / "1.png").write_bytes(Path(images[1]).read_bytes()[:-40])
    ended = command("predict", f"checkpoint={best}", "input=scans")
    assert ended.returncode == 2
    assert (
        "left out: scans/1.png: is damaged or truncated" in ended.stderr and "Traceback" not in ended.stderr
    )
    assert rows(ended.stdout) == expected(["scans/0.png", "scans/2.png"], [transcripts[0], transcripts[2]])


class Hostile:
    """What a foreign file may hold: unpickled, it would run a command."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("touch run-by-checkpoint",)


def damaged(best: Path) -> None:
    """Make files that are no checkpoints of ours."""
    Path("cut.ckpt").write_bytes(best.read_bytes()[:-1000])
    Path("empty.ckpt").write_bytes(b"")
    Path("hostile.ckpt").write_bytes(pickle.dumps(Hostile()))
    torch.save({"state_dict": {}, "ocrtrain": Hostile()}, "hostile.pt")
    torch.save({"state_dict": {"weight": torch.zeros(2)}}, "foreign.ckpt")
    content = torch.load(best, weights_only=True)
    content["ocrtrain"]["model"]["encoder"]["_target_"] = "subprocess.Popen"
    torch.save(content, "disguised.ckpt")
    content = torch.load(best, weights_only=True)
    content["ocrtrain"]["model"]["encoder"]["width"] = 48
    torch.save(content, "unfit.ckpt")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["checkpoint=nowhere.ckpt", "input=."], "checkpoint=nowhere.ckpt: does not exist"),
        (["checkpoint=.", "input=."], "checkpoint=.: is a folder"),
        (["checkpoint=cut.ckpt", "input=."], "checkpoint=cut.ckpt: cannot be read"),
        (["checkpoint=empty.ckpt", "input=."], "checkpoint=empty.ckpt: "),
        (["checkpoint=hostile.ckpt", "input=."], "checkpoint=hostile.ckpt: "),
        (["checkpoint=hostile.pt", "input=."], "checkpoint=hostile.pt: "),
        (["checkpoint=foreign.ckpt", "input=."], "checkpoint=foreign.ckpt: was not written by ocrtrain"),
        (["checkpoint=disguised.ckpt", "input=."], "subprocess.Popen"),
        (["checkpoint=unfit.ckpt", "input=."], "checkpoint=unfit.ckpt: its weights are of another model"),
        (["checkpoint=BEST", "input=nowhere.png"], "input=nowhere.png: does not exist"),
        (["checkpoint=BEST", "input=none"], "input=none: holds no image"),
        (["checkpoint=BEST", "input=cut.ckpt"], "cut.ckpt"),
        (["checkpoint=BEST", "input=.", "output=texts.doc"], "output=texts.doc: has no known format"),
        (["checkpoint=BEST", "input=.", "batch_size=0"], "batch_size=0: must be a positive integer"),
        (["checkpoint=BEST", "input=.", "device=gpu0"], "device=gpu0: is not available"),
        (["checkpoint=BEST", "inptu=."], "inptu: no such setting"),
        (["checkpoint=BEST"], "input: must be given"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_written(
    words: list[str], named: str, command: Command, best: Path, images: list[str], tmp_path: Path
) -> None:
    damaged(best)
    (tmp_path / "line.png").write_bytes(Path(images[0]).read_bytes())
    (tmp_path / "none").mkdir()
    before = sorted(tmp_path.rglob("*"))
    output = [] if any(word.startswith("output=") for word in words) else ["output=texts.tsv"]
    ended = command("predict", *(word.replace("BEST", str(best)) for word in words), *output)
    assert ended.returncode == 2 and named in ended.stderr, ended.stderr
    assert "Traceback" not in ended.stderr and ended.stdout == ""
    assert sorted(tmp_path.rglob("*")) == before
