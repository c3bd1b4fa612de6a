"""Training from the command line: what it leaves, what it tells, what it refuses."""

from __future__ import annotations

import csv
import json
import os
import platform
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import torch
from PIL import Image

from ocrtrain import Recognizer
from ocrtrain.data.images.preprocess import Preprocess
from ocrtrain.run_mark import RUN_MARK

Command = Callable[..., CompletedProcess[str]]

FOUR_STEPS = ["trainer.max_steps=4", "trainer.validate_every_steps=4"]


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def assert_complete(run: Path) -> None:
    """A run's folder has all that it should, and nothing unfinished."""
    assert files(run) == {
        RUN_MARK,
        "config.yaml",
        "metrics.csv",
        "history.png",
        "samples.png",
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
    }
    for picture in ("history.png", "samples.png"):
        with Image.open(run / picture) as image:
            image.load()
            assert image.width > 200 and len(image.convert("RGB").getcolors(10**7)) > 2


def test_a_run_on_real_lines_leaves_its_folder(trained: Path) -> None:
    run = trained / "runs/tiny"
    assert_complete(run)
    mark = json.loads((run / RUN_MARK).read_text())
    assert mark == {"pid": os.getpid(), "host": platform.node()}
    config = (run / "config.yaml").read_text()
    assert "train: lines" in config and "${" not in config  # as it was resolved
    with open(run / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == sorted(int(row["step"]) for row in rows)
    assert [int(row["step"]) for row in rows if row["val_cer"]] == [20, 40]
    assert [int(row["lines"]) for row in rows if row["loss"]][-1] == 160
    losses = [float(row["loss"]) for row in rows if row["loss"]]
    assert losses[-1] < losses[0]  # it learns


@pytest.mark.parametrize("name", ["best", "last"])
def test_checkpoints_hold_plain_values_only(trained: Path, name: str) -> None:
    content = torch.load(trained / f"runs/tiny/checkpoints/{name}.ckpt", weights_only=True)
    assert content["ocrtrain"]["charset"] == [*" abcä"]
    assert content["ocrtrain"]["config"]["data"]["train"] == "lines"


def test_the_best_checkpoint_is_that_of_the_lowest_cer(trained: Path) -> None:
    with open(trained / "runs/tiny/metrics.csv", newline="") as file:
        judged = {int(r["step"]): float(r["val_cer"]) for r in csv.DictReader(file) if r["val_cer"]}
    content = torch.load(trained / "runs/tiny/checkpoints/best.ckpt", weights_only=True)
    assert judged[content["global_step"]] == min(judged.values())


def test_generated_lines(fit: Command, tmp_path: Path) -> None:
    ended = fit(
        "data=generated",
        "data.train.lines=40",
        "data.val.lines=6",
        "synthesis.fonts=[bundled]",
        "synthesis.charset=abcd",
        "run=drawn",
        *FOUR_STEPS,
    )
    run = tmp_path / "runs/drawn"
    assert_complete(run)
    assert "40 training and 6 validation lines, 4 characters in the charset" in ended.stderr
    assert "best CER" in ended.stderr and ended.stdout == ""
    word = "python -m ocrtrain predict checkpoint=runs/drawn/checkpoints/best.ckpt input=IMAGE_OR_FOLDER"
    assert word in ended.stderr
    recognizer = Recognizer.load(run / "checkpoints/best.ckpt")
    assert recognizer.description.preprocess == Preprocess(height=32, channels=1)


def test_another_run_of_the_name_is_not_overwritten_unasked(
    fit: Command, draw_lines: Callable[..., Path], tmp_path: Path
) -> None:
    draw_lines(tmp_path / "lines")
    checkpoints = tmp_path / "runs/mine/checkpoints"
    checkpoints.mkdir(parents=True)
    (checkpoints / "best.ckpt").write_bytes(b"of long ago")
    words = ["data.train=lines", "run=mine", *FOUR_STEPS]
    before = files(tmp_path)
    ended = fit(*words, code=2)
    assert "run=mine: runs/mine holds the checkpoints of an earlier run" in ended.stderr
    assert "resume=runs/mine/checkpoints/last.ckpt" in ended.stderr
    assert files(tmp_path) == before
    fit(*words, "overwrite=true")
    assert_complete(tmp_path / "runs/mine")


def test_a_finished_run_has_nothing_left_to_do(fit: Command, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "lines").symlink_to(trained / "lines")
    copied = tmp_path / "kept.ckpt"
    copied.write_bytes((trained / "runs/tiny/checkpoints/last.ckpt").read_bytes())
    fit("data.train=lines", "data.val=lines", "trainer.max_steps=40", f"resume={copied}", "run=again")
    assert not (tmp_path / "runs/again/checkpoints").exists()


def test_weights_to_start_from(fit: Command, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "lines").symlink_to(trained / "lines")
    best = trained / "runs/tiny/checkpoints/best.ckpt"
    words = ["data.train=lines", "trainer.max_steps=1", "optimizer=adamw", "optimizer.lr=0"]
    fit(*words, f"init={best}", "run=warm")
    before = torch.load(best, weights_only=True)["state_dict"]
    after = torch.load("runs/warm/checkpoints/last.ckpt", weights_only=True)["state_dict"]
    learned = {name: value for name, value in before.items() if not name.endswith(("mean", "var", "tracked"))}
    assert all(torch.equal(after[name], value) for name, value in learned.items())
    # The charset of other lines is another one.
    ended = fit("data.train=lines", "data.charset=abcä xyz", f"init={best}", *FOUR_STEPS, code=2)
    assert f"init={best}: its charset differs from the data's: it lacks 'xyz'" in ended.stderr
    # And so is a larger model.
    ended = fit("data.train=lines", "encoder.width=40", f"init={best}", *FOUR_STEPS, code=2)
    assert f"encoder.width=40: does not fit init={best}: its weights are of another model" in ended.stderr


def test_sigterm_leaves_a_checkpoint_to_go_on_from(
    command: Command, draw_lines: Callable[..., Path], tmp_path: Path
) -> None:
    draw_lines(tmp_path / "lines")
    tiny = ["backbone.channels=[8,8,16]", "backbone.out_channels=32", "encoder=none", "encoder.width=32"]
    words = ["data.train=lines", "data.val=lines", "data.workers=1", "run=long", "trainer.max_steps=100000"]
    process = subprocess.Popen(
        [sys.executable, "-m", "ocrtrain", "fit", *tiny, *words, "trainer.validate_every_steps=3"],
        cwd=tmp_path,
        env={**os.environ, "OCRTRAIN_CACHE": str(tmp_path / ".cache")},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if line.startswith("step "):
                process.send_signal(signal.SIGTERM)
                break
        said = process.communicate(timeout=300)[1]
    finally:
        process.kill()
    assert process.returncode == 143, said
    resume = said.partition("go on with\n  ")[2].rstrip("\n")
    assert shlex.split(resume) == [
        *["python", "-m", "ocrtrain", "fit", *tiny, *(word for word in words if word != "run=long")],
        *["trainer.validate_every_steps=3", "resume=runs/long/checkpoints/last.ckpt"],
    ]
    assert "Traceback" not in said
    assert_complete(tmp_path / "runs/long")
    content = torch.load(tmp_path / "runs/long/checkpoints/last.ckpt", weights_only=True)
    assert content["global_step"] >= 3
    # What is to be typed is true; it ends sooner here.
    one_more = content["global_step"] + 1
    assert command(*shlex.split(resume)[3:], f"trainer.max_steps={one_more}").returncode == 0
    content = torch.load(tmp_path / "runs/long/checkpoints/last.ckpt", weights_only=True)
    assert content["global_step"] == one_more


def test_lines_that_turn_out_to_be_damaged_stop_the_run_with_a_checkpoint(
    fit: Command, draw_lines: Callable[..., Path], tmp_path: Path
) -> None:
    draw_lines(tmp_path / "lines")
    for name in ("03", "07"):
        image = tmp_path / f"lines/{name}.png"
        image.write_bytes(image.read_bytes()[:-40])
    # One may be left out: each is named, and it is the second that ends the run.
    ended = fit("data.train=lines", "data.val=lines", "data.max_skipped=1", "run=bad", *FOUR_STEPS, code=2)
    assert "error: the data: 2 lines could not be read, more than 1" in ended.stderr
    assert all(f"left out: {tmp_path}/lines/{name}.png: is damaged" in ended.stderr for name in ("03", "07"))
    assert "Traceback" not in ended.stderr
    content = torch.load("runs/bad/checkpoints/last.ckpt", weights_only=True)
    assert 1 <= content["global_step"] <= 3
    fit("data.train=lines", "data.val=lines", "data.max_skipped=2", "run=good", *FOUR_STEPS)


def folder_with(draw_lines: Callable[..., Path], **changes: str | None) -> None:
    """Lines in the folder `lines`, some of whose texts are others, or missing."""
    folder = draw_lines(Path("lines"))
    for name, text in changes.items():
        path = folder / f"{name.removeprefix('_')}.gt.txt"
        path.unlink() if text is None else path.write_text(text)


@pytest.mark.parametrize(
    ("changes", "words", "named"),
    [
        ({}, ["data.train=nowhere"], ["nowhere: does not exist"]),
        ({}, ["data.train=lines", "data.val=nowhere"], ["nowhere: does not exist"]),
        (
            {"_04": None},
            ["data.train=lines"],
            ["data.train=lines: 1 samples", "04.png", "data.max_skipped=1"],
        ),
        ({"_04": ""}, ["data.train=lines"], ["1 x empty text: 04.png"]),
        ({}, ["data.train=lines", "data.charset=abc "], ["data.charset", "'ä' (U+00E4", "drop_unknown"]),
        ({"_05": "abc " * 99}, ["data.train=lines"], ["05.png (needs", "too long", "data.max_skipped=1"]),
        (
            {},
            ["data.train=lines", "trainer.max_stesp=4"],
            ["trainer.max_stesp", "Did you mean trainer.max_steps"],
        ),
        (
            {},
            ["data.train=lines", "experiment=quikstart"],
            ["experiment=quikstart", "experiment=quickstart?"],
        ),
        ({}, ["data.train=lines", "encoder=mambo"], ["encoder=mambo: no such preset", "encoder=mamba?"]),
        ({}, ["data.train=lines", "data.workers=-2"], ["data.workers=-2: must be 0 or a positive integer"]),
        (
            {},
            ["data.train=lines", "schedule.warmup=1"],
            ["schedule.warmup=1: must be a number of at least 0 and below 1"],
        ),
        ({}, ["data.train=lines", "trainer.max_time=10min"], ["trainer.max_time=10min: must be a duration"]),
        (
            {},
            ["data.train=lines", "trainer.max_steps=0"],
            ["trainer.max_steps=0: must be a positive integer"],
        ),
        ({}, ["data.train=lines", "resume=nowhere.ckpt"], ["resume=nowhere.ckpt: does not exist"]),
        ({}, ["data.train=lines", "init=lines/00.png"], ["init=lines/00.png"]),
        ({}, ["data.train=lines", "backbone=resnet18", "backbone.weights=x.pt"], ["backbone.weights=x.pt"]),
        ({}, ["data.train=lines", "optimizer.lr=-1"], ["optimizer.lr=-1: must be 0 or a positive number"]),
        ({}, [], ["data.train: must be given"]),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_written(
    changes: dict[str, str | None],
    words: list[str],
    named: list[str],
    command: Command,
    draw_lines: Callable[..., Path],
    tmp_path: Path,
) -> None:
    folder_with(draw_lines, **changes)
    before = files(tmp_path)
    ended = command("fit", "trainer.max_steps=4", *words)
    assert ended.returncode == 2
    assert all(part in ended.stderr for part in named), ended.stderr
    assert "Traceback" not in ended.stderr and ended.stdout == ""
    assert files(tmp_path) == before


def test_a_run_without_an_end_is_refused(
    command: Command, draw_lines: Callable[..., Path], tmp_path: Path
) -> None:
    draw_lines(tmp_path / "lines")
    ended = command("fit", "data.train=lines")
    assert ended.returncode == 2 and "trainer: has no end" in ended.stderr


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is closed to this user")
def test_a_place_that_cannot_be_written_to(
    fit: Command, draw_lines: Callable[..., Path], tmp_path: Path
) -> None:
    draw_lines(tmp_path / "lines")
    (tmp_path / "closed").mkdir(mode=0o500)
    ended = fit("data.train=lines", "runs=closed", *FOUR_STEPS, code=2)
    assert "cannot be written" in ended.stderr


def test_a_file_where_the_folder_should_be(
    fit: Command, draw_lines: Callable[..., Path], tmp_path: Path
) -> None:
    draw_lines(tmp_path / "lines")
    (tmp_path / "runs").write_text("not a folder")
    ended = fit("data.train=lines", "run=mine", *FOUR_STEPS, code=2)
    assert "runs/mine/config.yaml: cannot be written" in ended.stderr
    assert (tmp_path / "runs").read_text() == "not a folder"


def test_a_pretrained_encoder_is_needed_once(
    fit: Command, command: Command, draw_lines: Callable[..., Path], tmp_path: Path
) -> None:
    from transformers import MambaConfig, MambaModel

    lines, small = draw_lines(tmp_path / "lines"), tmp_path / "small"
    MambaModel(MambaConfig(hidden_size=24, num_hidden_layers=2, state_size=8, vocab_size=5)).save_pretrained(
        small
    )
    words = [f"data.train={lines}", f"encoder.pretrained={small}", "run=mine"]
    ended = fit(*words, "trainer.max_steps=2", "trainer.validate_every_steps=2")
    assert "took 1 of 2 blocks, 24 wide with 8 states, and the final norm" in ended.stderr
    assert "left embeddings.weight, 1 further block (10 tensors)" in ended.stderr
    shutil.rmtree(small)
    last = tmp_path / "runs/mine/checkpoints/last.ckpt"
    assert torch.load(last, weights_only=True)["ocrtrain"]["config"]["encoder"]["pretrained"] == str(small)
    ended = command("predict", f"input={lines}", f"checkpoint={last}")
    assert ended.returncode == 0, ended.stderr
    fit(*words, f"resume={last}", "encoder.dropout=0.2", *FOUR_STEPS)
    content = torch.load(last, weights_only=True)
    assert content["global_step"] == 4 and content["ocrtrain"]["model"]["encoder"]["dropout"] == 0.2
    ended = fit(*words[:2], "run=other", *FOUR_STEPS, code=2)
    assert f"encoder.pretrained={small}: is neither a folder nor a name" in ended.stderr
