"""A search from the command line: trials that train, and what is refused before any of them."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image

Command = Callable[..., CompletedProcess[str]]

SPACE = "optimizer.lr: {low: 1e-3, high: 1e-2, log: true}\nencoder: [none, bilstm]\n"
TINY = ["backbone.channels=[8,8]", "backbone.out_channels=16", "encoder=none", "encoder.width=16"]
DATA = ["data.train=lines", "data.val=lines", "data.workers=0", "data.batch_size=4"]


@pytest.fixture
def space(tmp_path: Path) -> str:
    (tmp_path / "mine.yaml").write_text(SPACE)
    return "space=mine.yaml"


def test_a_search_ends_with_an_experiment_for_fit(command: Command, trained: Path, tmp_path: Path) -> None:
    # The trials are processes of their own: a few seconds each to start.
    (tmp_path / "lines").symlink_to(trained / "lines")
    (tmp_path / "mine.yaml").write_text("optimizer.lr: {low: 1e-3, high: 1e-2, log: true}\n")
    words = ["sweep", "space=mine.yaml", *TINY, *DATA, "trainer.max_steps=4", "run=s", "repeats=1"]
    ended = command(*words, "trials=1")
    assert ended.returncode == 0, ended.stderr
    run = tmp_path / "runs/s"
    trial = OmegaConf.load(run / "trial-0000/config.yaml")
    # The first one has the settings as they are.
    assert trial.optimizer.lr == 0.0015 and trial.run == "trial-0000" and trial.trainer.max_steps == 4
    assert "1 trial: 1 completed, 0 stopped early, 0 failed" in ended.stdout

    ended = command(*words, "trials=2")  # the same command goes on
    assert ended.returncode == 0, ended.stderr
    with open(run / "trials.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["state"] for row in rows] == ["completed"] * 2
    for row in rows:
        with open(run / f"trial-000{row['trial']}/metrics.csv", newline="") as file:
            judged = [float(r["val_cer"]) for r in csv.DictReader(file) if r["val_cer"]]
        assert float(row["cer"]) == pytest.approx(min(judged), rel=1e-4)
        config = OmegaConf.load(run / f"trial-000{row['trial']}/config.yaml")
        assert config.optimizer.lr == pytest.approx(float(row["optimizer.lr"]))
    with Image.open(run / "trials.png") as picture:
        assert picture.width > 500

    # Both were trained again with the next seed, and that is what decides.
    for row in rows:
        again = run / f"trial-000{row['trial']}-seed-1"
        trial, config = (OmegaConf.load(f / "config.yaml") for f in (run / f"trial-000{row['trial']}", again))
        assert config.seed == 1 and config.optimizer.lr == trial.optimizer.lr
        with open(again / "metrics.csv", newline="") as file:
            judged = [float(r["val_cer"]) for r in csv.DictReader(file) if r["val_cer"]]
        assert float(row["mean_cer_of_other_seeds"]) == pytest.approx(min(judged), rel=1e-4)
    best = min(rows, key=lambda row: (float(row["mean_cer_of_other_seeds"]), int(row["trial"])))
    conf = str(run / "conf")
    assert "python -m ocrtrain fit --config-dir runs/s/conf experiment=best" in ended.stderr
    ended = command("fit", "--config-dir", conf, "experiment=best", "run=again", "trainer.max_steps=1")
    assert ended.returncode == 0, ended.stderr
    again = OmegaConf.load(tmp_path / "runs/again/config.yaml")
    trial = OmegaConf.load(run / f"trial-000{best['trial']}/config.yaml")
    for config in (again, trial):
        for key in ("run", "runs", "overwrite", "experiment"):
            config.pop(key, None)
    trial.trainer.max_steps = 1
    assert again == trial
    assert (tmp_path / "runs/again/checkpoints/last.ckpt").is_file()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["space=nosuch"], "space=nosuch: no such search space"),
        (["trials=0"], "trials=0: must be a positive integer"),
        (["parallel=many"], "parallel=many: must be a positive integer"),
        (["repeats=-1"], "repeats=-1: must be 0 or a positive integer"),
        (["trainer.max_steps=null"], "trainer: has no end"),
        (["encoder=none", "optimizer.lr=0.1"], "nothing is left to search: optimizer.lr, encoder are given"),
        (["optimizer=nosuch"], "optimizer=nosuch: no such preset"),
        (["encoder.widht=3"], "encoder.widht: no such setting"),
        (["resume=x.ckpt"], "resume=x.ckpt: is for one training"),
        (["storage=nosuch://host/db"], "storage=nosuch://host/db: cannot be used"),
        (["storage=mine.yaml"], "storage=mine.yaml: cannot be used"),
    ],
)
def test_what_cannot_be_searched(
    command: Command, space: str, tmp_path: Path, words: list[str], complaint: str
) -> None:
    ended = command("sweep", space, "data.train=lines", "trainer.max_steps=4", *words)
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: ") or "\nerror: " in ended.stderr
    assert complaint in ended.stderr and "Traceback" not in ended.stderr
    assert not list(tmp_path.glob("runs/*/trial-*"))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "space=mine.yaml: names no parameter"),
        (
            "optimizr.lr: [1, 2]\n",
            "mine.yaml: optimizr.lr: is not a setting of fit\n  Did you mean optimizer.lr",
        ),
        ("data.augment: [1, 2]\n", "mine.yaml: data.augment: is not a single setting of fit"),
        ("encoder: [mamba, nosuch]\n", "mine.yaml: encoder=nosuch: "),
        ("encoder: {low: 1, high: 2}\n", "mine.yaml: encoder: is a choice of presets"),
        # Not every encoder has states.
        (
            "encoder: [mamba, bilstm]\nencoder.d_state: [8, 16]\n",
            "mine.yaml: encoder.d_state: is not a setting of fit with encoder=bilstm",
        ),
    ],
)
def test_a_space_that_does_not_fit(command: Command, tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    ended = command("sweep", "space=mine.yaml", "data.train=lines", "trainer.max_steps=4")
    assert ended.returncode == 2
    assert complaint in ended.stderr and "Traceback" not in ended.stderr
    assert not (tmp_path / "runs").exists()


def test_a_multirun_has_a_folder_for_each_job(command: Command, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "lines").symlink_to(trained / "lines")
    words = [*TINY, *DATA, "trainer.max_steps=2", "optimizer.lr=0.001,0.002"]
    ended = command("fit", "-m", *words)
    assert ended.returncode == 0, ended.stderr
    for number, rate in enumerate((0.001, 0.002)):
        (run,) = tmp_path.glob(f"runs/*-{number}")
        assert OmegaConf.load(run / "config.yaml").optimizer.lr == rate
        assert torch.load(run / "checkpoints/last.ckpt", weights_only=True)["global_step"] == 2
