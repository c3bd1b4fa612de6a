"""Other programs' records of a run: what they can read back is what metrics.csv has."""

from __future__ import annotations

import csv
import struct
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import torch

Command = Callable[..., CompletedProcess[str]]

WORDS = ["data.train=lines", "data.val=lines", "trainer.validate_every_steps=20"]


def table(run: Path) -> dict[str, dict[int, float]]:
    """The columns of metrics.csv: values by step, the last of each."""
    with open(run / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: {int(row["step"]): float(row[name]) for row in rows if row[name]} for name in rows[0]}


def test_tensorboard_shows_what_the_table_has(fit: Command, trained: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def events() -> EventAccumulator:
        read = EventAccumulator(str(tmp_path / "runs/board/tensorboard"), purge_orphaned_data=True)
        return read.Reload()

    (tmp_path / "lines").symlink_to(trained / "lines")
    words = [*WORDS, "logger=tensorboard", "run=board"]
    fit(*words, "trainer.max_steps=40")
    shown, known = events(), table(tmp_path / "runs/board")
    curves = {"train/loss": known["loss"], "val/cer": known["val_cer"], "val/wer": known["val_wer"]}
    for name, values in curves.items():
        points = {point.step: point.value for point in shown.Scalars(name)}
        assert points == pytest.approx(values, rel=1e-5)
    assert [image.step for image in shown.Images("samples")] == [20, 40]
    assert shown.Images("samples")[0].encoded_image_string.startswith(b"\x89PNG")
    settings = shown.Tensors("settings/text_summary")[0].tensor_proto.string_val[0].decode()
    assert "    data.train: lines\n" in settings and "    trainer.max_steps: 40\n" in settings
    texts = shown.Tensors("samples, truth over reading/text_summary")
    assert [text.step for text in texts] == [20, 40]

    # A resumed run goes on in the same curves.
    last = "runs/board/checkpoints/last.ckpt"
    fit(*words, "trainer.max_steps=60", f"resume={last}")
    assert [point.step for point in events().Scalars("val/cer")] == [20, 40, 60]


def offline_records(run: Path) -> list[Any]:
    """What Weights & Biases has on disk of a run: protocol buffers in the format of LevelDB's log."""
    from wandb.proto import wandb_internal_pb2

    found = []
    for file in sorted(run.glob("wandb/offline-run-*/run-*.wandb")):
        content, at, parts = file.read_bytes(), 7, b""
        while at + 7 <= len(content):
            if 32768 - at % 32768 < 7:  # the rest of a block that has no room for a header
                at += 32768 - at % 32768
                continue
            length, kind = struct.unpack_from("<HB", content, at + 4)
            parts += content[at + 7 : at + 7 + length]
            at += 7 + length
            if kind in (1, 4):  # whole, or the last of several
                found.append(wandb_internal_pb2.Record.FromString(parts))
                parts = b""
    return found


def test_weights_and_biases_offline(fit: Command, trained: Path, tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    (tmp_path / "lines").symlink_to(trained / "lines")
    words = [*WORDS, "logger=wandb", "logger.offline=true", "logger.project=mine", "run=w"]
    ended = fit(*words, "trainer.max_steps=20")
    assert (
        "\x1b" not in ended.stderr + ended.stdout and "wandb" not in ended.stderr
    )  # a log file is no terminal
    run = tmp_path / "runs/w"
    saved = torch.load(run / "checkpoints/last.ckpt", weights_only=True)["callbacks"]
    (identity,) = [state["identity"] for state in saved.values() if "identity" in state]
    fit(*words, "trainer.max_steps=40", "resume=runs/w/checkpoints/last.ckpt")
    records = offline_records(run)
    runs = [record.run for record in records if record.HasField("run")]
    assert {r.run_id for r in runs} == {identity}  # also that of the resumed part
    assert {r.project for r in runs} == {"mine"} and {r.display_name for r in runs} == {"w"}
    settings = {item.key for r in runs for item in r.config.update}
    assert {"data", "encoder", "optimizer", "trainer"} <= settings
    logged: dict[str, dict[int, float]] = {}
    pictures = 0
    for record in records:
        if not record.HasField("history"):
            continue
        items = {item.key or ".".join(item.nested_key): item.value_json for item in record.history.item}
        for key in ("train/loss", "val/cer"):
            if key in items:
                logged.setdefault(key, {})[int(items["step"])] = float(items[key])
        pictures += "samples" in items or any(key.startswith("samples.") for key in items)
    known = table(run)
    assert logged == {
        "train/loss": pytest.approx(known["loss"]),
        "val/cer": pytest.approx(known["val_cer"]),
    }
    assert pictures == 2


def test_weights_and_biases_without_an_account(
    fit: Command, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb")
    for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "none"))
    (tmp_path / "lines").symlink_to(trained / "lines")
    ended = fit(*WORDS, "logger=wandb", "run=w", "trainer.max_steps=4", code=2)
    assert "error: logger=wandb: Weights & Biases knows no account here" in ended.stderr
    assert "logger.offline=true" in ended.stderr and "WANDB_MODE=offline" in ended.stderr
    assert not (tmp_path / "runs").exists()
