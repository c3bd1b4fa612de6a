"""`lm build`, `lm convert` and `lm tune`, and what predict and evaluate make of their results."""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from omegaconf import OmegaConf

from ocrtrain.command_line.presets import built_in
from ocrtrain.decoding import LanguageModel
from ocrtrain.decoding.lm.kneser_ney import build_language_model
from ocrtrain.errors import InputError

Command = Callable[..., CompletedProcess[str]]


@pytest.fixture
def best(trained: Path) -> Path:
    return trained / "runs/tiny/checkpoints/best.ckpt"


def test_from_text_to_a_better_reading(command: Command, best: Path, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "more.txt").write_text("abc ä\n\nbca\n", encoding="utf-8")
    built = command("lm", "build", f"text=[{trained}/lines,more.txt]", "output=lm.npz", "order=3")
    assert built.returncode == 0, built.stderr
    assert "5 characters" in built.stdout and "lm tune" in built.stdout

    tuned = command(
        "lm", "tune", f"checkpoint={best}", "lm=lm.npz", f"data.val={trained}/lines", "weights=[0,0.5]"
    )
    assert tuned.returncode == 0, tuned.stderr
    model = LanguageModel.load(tmp_path / "lm.npz")
    assert f"decoder.lm_weight={model.weight:g} decoder.lm_bonus={model.bonus:g}" in tuned.stdout
    assert "stored in lm.npz" in tuned.stderr

    words = [f"checkpoint={best}", f"input={trained}/lines", "decoder=beam", "decoder.lm=lm.npz"]
    read = command("predict", *words, "decoder.nbest=3", "format=jsonl")
    assert read.returncode == 0, read.stderr
    for line in read.stdout.splitlines():
        row = json.loads(line)
        assert row["nbest"][0]["text"] == row["text"] and len(row["nbest"]) <= 3
    judged = command(
        "evaluate", f"checkpoint={best}", f"data.test={trained}/lines", "decoder=beam", "output=out"
    )
    assert judged.returncode == 0, judged.stderr


def test_formats_lead_back(command: Command, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("ab ba\nabba\n")
    assert command("lm", "build", "text=text.txt", "output=lm.npz", "order=2").returncode == 0
    assert command("lm", "convert", "lm=lm.npz", "output=lm.arpa").returncode == 0
    converted = command("lm", "convert", "lm=lm.arpa", "output=again.npz")
    assert converted.returncode == 0 and "n-grams of up to 2 characters" in converted.stdout
    one, other = LanguageModel.load(tmp_path / "lm.npz"), LanguageModel.load(tmp_path / "again.npz")
    assert one.log_prob("abab") == pytest.approx(other.log_prob("abab"), rel=1e-5)


def test_a_pattern_and_an_alphabet_hold_for_every_row(command: Command, best: Path, trained: Path) -> None:
    words = ["predict", f"checkpoint={best}", f"input={trained}/lines", "decoder=beam"]
    read = command(*words, "decoder.pattern='[ab]{1,2}'")
    assert read.returncode == 0, read.stderr
    rows = [line.split("\t")[2] for line in read.stdout.splitlines()[1:]]
    assert len(rows) == 12 and all(0 < len(row) <= 2 and set(row) <= set("ab") for row in rows)
    read = command(*words, "decoder.alphabet=bc")
    assert all(set(line.split("\t")[2]) <= set("bc") for line in read.stdout.splitlines()[1:])


def test_texts_from_right_to_left_are_counted_as_they_are_shown(command: Command, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("\u05d0\u05d1\n", encoding="utf-8")  # alef, bet
    assert (
        command("lm", "build", "text=text.txt", "output=lm.npz", "order=2", "direction=rtl").returncode == 0
    )
    model = LanguageModel.load(tmp_path / "lm.npz")
    assert model.log_prob("\u05d1\u05d0") > model.log_prob("\u05d0\u05d1")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["lm"], "Say which: lm build, lm tune, lm convert."),
        (["lm", "bild"], "Say which: lm build"),
        (["lm", "build"], "text, output: must be given"),
        (["lm", "build", "text=no.txt", "output=lm.npz"], "no.txt: cannot be read"),
        (["lm", "build", "text=latin1.txt", "output=lm.npz"], "is not UTF-8"),
        (["lm", "build", "text=empty.txt", "output=lm.npz"], "holds no characters"),
        (["lm", "build", "text=a.txt", "output=lm.txt"], "no known format"),
        (["lm", "build", "text=a.txt", "output=lm.npz", "order=99"], "order=99"),
        (["lm", "build", "text=a.txt", "output=lm.npz", "order=x"], "order=x"),
        (["lm", "convert", "lm=a.txt", "output=lm.npz"], "is not an ARPA file"),
        (
            ["predict", "checkpoint={best}", "input={lines}", "decoder=beam", "decoder.lm=a.txt"],
            "is not an ARPA file",
        ),
        (
            ["predict", "checkpoint={best}", "input={lines}", "decoder=beam", "decoder.pattern='[0-9]'"],
            "no text",
        ),
        (["predict", "checkpoint={best}", "input={lines}", "decoder=bean"], "Did you mean decoder=beam?"),
        (
            ["lm", "tune", "checkpoint={best}", "lm=a.txt", "data.val={lines}", "weights=[-1]"],
            "weights=[-1]: must be a list",
        ),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(
    command: Command, best: Path, trained: Path, tmp_path: Path, words: list[str], message: str
) -> None:
    (tmp_path / "a.txt").write_text("abc\n")
    (tmp_path / "empty.txt").write_text("\n")
    (tmp_path / "latin1.txt").write_bytes("ä\n".encode("latin-1"))
    before = set(tmp_path.iterdir())
    ended = command(
        *(
            word.format(best=best, lines=trained / "lines") if "{best}" in word or "{lines}" in word else word
            for word in words
        )
    )
    assert ended.returncode == 2 and message in ended.stderr, ended.stderr
    assert "Traceback" not in ended.stderr
    assert {path for path in tmp_path.iterdir() if path.name != ".cache"} == {
        path for path in before if path.name != ".cache"
    }


HOSTILE: tuple[Any, ...] = (
    math.nan, math.inf, -math.inf, -1, 1e300, 10**400, True, None, "", [], ["x", math.nan], {"a": 1}, "a\0",
)  # fmt: skip

# The settings of each command, and which of the values above may pass.
SETTINGS: dict[str, dict[str, tuple[Any, ...]]] = {
    "lm_build": {"text": (), "output": (), "order": (), "normalization": (), "direction": ()},
    "lm_convert": {"lm": (), "output": (), "checkpoint": (None,)},
    "lm_tune": {
        "checkpoint": (), "adapter": (None,), "lm": (), "data.val": (), "data.max_skipped": (),
        "weights": (), "bonuses": (-1,), "beam_width": (), "store": (True,), "batch_size": (),
        "device": (None,),
    },
}  # fmt: skip


@pytest.mark.parametrize(("name", "key"), [(name, key) for name in SETTINGS for key in SETTINGS[name]])
def test_whatever_a_setting_is_given_it_is_refused_or_works(
    best: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, key: str
) -> None:
    """Without the command line in between, which takes a second for each value."""
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text("abc\nabca\n")
    build_language_model(lambda: ["abc\nabca\n"], 2).save("a.npz")
    tune = {"checkpoint": str(best), "lm": "a.npz", "data.val": str(trained / "lines")}
    usual: dict[str, Any] = {
        "lm_build": {"text": "a.txt", "output": "b.npz"},
        "lm_convert": {"lm": "a.npz", "output": "b.arpa"},
        "lm_tune": {**tune, "weights": [0.5], "bonuses": [0]},
    }[name]
    run = importlib.import_module(f"ocrtrain.commands.{name}").run
    config = OmegaConf.load(built_in() / f"{name}.yaml")
    for value in HOSTILE:
        settings = config.copy()
        for changed, its in {**usual, key: value}.items():
            OmegaConf.update(settings, changed, its, merge=False)
        if any(type(value) is type(each) and value == each for each in SETTINGS[name][key]):
            run(settings)
        else:
            with pytest.raises(InputError):
                run(settings)
