"""Going on from a checkpoint with other characters, and with parts that learn later or slower."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import torch
from torch import Tensor, nn

from ocrtrain import Recognizer
from ocrtrain.command_line.invocation import parse
from ocrtrain.command_line.presets import compose
from ocrtrain.commands.fit.base_checkpoint import head_rows
from ocrtrain.commands.fit.optimizer import optimizer_maker
from ocrtrain.commands.fit.settings import MODEL_KEYS, read_fit_settings
from ocrtrain.commands.settings import plain
from ocrtrain.model.build import build_recognizer
from ocrtrain.text import Charset

Command = Callable[..., CompletedProcess[str]]

STEPS = ["data.batch_size=4", "data.workers=0", "data.augment=null", "trainer.validate_every_steps=2"]
STEPS += ["trainer.max_steps=2", "data.train=new", "data.val=new"]


@pytest.fixture
def base(trained: Path) -> Path:
    return trained / "runs/tiny/checkpoints/best.ckpt"


def state(path: Path | str) -> dict[str, Tensor]:
    content = torch.load(path, weights_only=True)
    return {name.removeprefix("model."): value for name, value in content["state_dict"].items()}


def symbols(path: Path | str) -> str:
    return "".join(torch.load(path, weights_only=True)["ocrtrain"]["charset"])


def test_rows_follow_their_characters() -> None:
    fresh = nn.Linear(2, 5)
    old = torch.arange(8.0).view(4, 2)
    weights = {"head.weight": old, "head.bias": 10 * old[:, 0]}
    # blank a b c -> blank c x a d
    rows = head_rows(weights, Charset("abc"), Charset("cxad"), fresh)
    assert torch.equal(rows["head.weight"][[0, 1, 3]], old[[0, 3, 1]])
    assert torch.equal(rows["head.bias"][[0, 1, 3]], 10 * old[[0, 3, 1], 0])
    assert torch.equal(rows["head.weight"][[2, 4]], fresh.weight[[2, 4]])


def test_characters_are_kept_extended_or_replaced(
    command: Command, base: Path, draw_lines: Callable[..., Path], tmp_path: Path
) -> None:
    draw_lines(tmp_path / "new", symbols="xaby", seed=5)
    still = ["optimizer=adamw", "optimizer.lr=0", f"init={base}"]  # nothing moves, so all can be compared
    ended = command("fit", *STEPS, *still, "run=keep")
    assert ended.returncode == 2 and "data.charset: lacks characters" in ended.stderr
    assert (
        "'x' (U+0078" in ended.stderr and "'y' (U+0079" in ended.stderr and "charset=extend" in ended.stderr
    )
    assert not (tmp_path / "runs").exists()
    assert symbols(base) == " abcä"
    before = state(base)
    for way, expected in (("extend", " abcäxy"), ("replace", "abxy")):
        ended = command("fit", *STEPS, *still, f"charset={way}", f"run={way}")
        assert ended.returncode == 0, ended.stderr
        assert " 2 new" in ended.stderr and "    new: 'x' (U+0078 LATIN SMALL LETTER X)" in ended.stderr
        last = f"runs/{way}/checkpoints/last.ckpt"
        assert symbols(last) == expected
        after = state(last)
        old, new = Charset(" abcä"), Charset(expected)
        for symbol in "ab":
            (row,), (was,) = new.encode(symbol), old.encode(symbol)
            assert torch.equal(after["head.weight"][row], before["head.weight"][was])
        assert torch.equal(after["head.weight"][0], before["head.weight"][0])
        rest = [n for n in after if "head" not in n and "running" not in n and "tracked" not in n]
        assert all(torch.equal(after[name], before[name]) for name in rest)
    ended = command(
        "fit", *STEPS, *still, "charset=extend", "run=extend", "resume=auto", "trainer.max_steps=3"
    )
    assert ended.returncode == 0 and symbols("runs/extend/checkpoints/last.ckpt") == " abcäxy"
    ended = command(
        "fit", *STEPS, *still, "charset=extend", "adapt=freeze", "adapt.train=[encoder.*]", "run=no"
    )
    assert ended.returncode == 2 and "adapt.train: leaves the head as it is" in ended.stderr


def test_an_adapter_brings_its_characters(
    command: Command, base: Path, draw_lines: Callable[..., Path], trained: Path, tmp_path: Path
) -> None:
    draw_lines(tmp_path / "new", symbols="xaby", seed=5)
    words = [f"init={base}", "adapt=lora", "charset=extend", "run=mine"]
    ended = command("fit", *STEPS, *words)
    assert ended.returncode == 0, ended.stderr
    shutil.copytree("runs/mine/adapter", "kept")
    together = Recognizer.load(base, adapter="kept")
    whole = Recognizer.load("runs/mine/checkpoints/best.ckpt")
    assert together.description.charset == whole.description.charset == Charset(" abcäxy")
    images = sorted((tmp_path / "new").glob("*.png"))
    for one, other in zip(whole.read(images), together.read(images), strict=True):
        assert one.text == other.text and one.confidence == pytest.approx(other.confidence, abs=1e-4)


def test_parts_learn_later_or_not_at_all(
    command: Command, base: Path, draw_lines: Callable[..., Path], tmp_path: Path
) -> None:
    draw_lines(tmp_path / "new", symbols="ab", seed=5)
    before = state(base)
    words = [*STEPS, f"init={base}", "finetune.freeze_steps=2"]
    assert command("fit", *words, "run=warm").returncode == 0
    after = state("runs/warm/checkpoints/last.ckpt")
    moved = {name.partition(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"head"}  # batch norms stay, too
    rates = "finetune.rates=[[backbone.*,0.0],[encoder.*,0]]"
    ended = command("fit", *words, "trainer.max_steps=3", "finetune.layer_decay=0.5", rates, "run=slow")
    assert ended.returncode == 0, ended.stderr
    after = state("runs/slow/checkpoints/last.ckpt")
    learned = [name for name in before if not name.endswith(("mean", "var", "tracked"))]
    moved = {name.partition(".")[0] for name in learned if not torch.equal(before[name], after[name])}
    assert moved == {"head"}
    assert not torch.equal(
        before["backbone.stem_norm.running_mean"], after["backbone.stem_norm.running_mean"]
    )


@pytest.mark.parametrize(
    ("words", "share"),
    [([], 1.0), (["init=x"], 0.5), (["init=x", "adapt=lora"], 1.0), (["init=x", "finetune.rate=0.1"], 0.1)],
    ids=["anew", "from weights", "beside adapters", "given"],
)
def test_what_goes_on_learns_slower_than_what_begins(words: list[str], share: float) -> None:
    config = compose(parse("fit", []), ["data.train=new", "backbone.channels=[8,8]", "encoder=none", *words])
    model = build_recognizer({key: plain(config[key]) for key in MODEL_KEYS}, 4)
    rates = sorted(
        {group["lr"] for group in optimizer_maker(read_fit_settings(plain(config)))(model).param_groups}
    )
    assert rates == pytest.approx([share * config.optimizer.lr, share * config.optimizer.matrix_lr])


def test_a_set_up_is_checked_by_learning_by_heart(
    command: Command, base: Path, draw_lines: Callable[..., Path], tmp_path: Path
) -> None:
    draw_lines(tmp_path / "new", symbols="abc", count=30)
    tiny = ["backbone.channels=[8,8,16]", "backbone.out_channels=32", "encoder.width=32", "encoder.layers=1"]
    rates = ["optimizer.lr=0.005", "optimizer.matrix_lr=0.05", "schedule=constant"]
    ended = command("fit", "data.train=new", *tiny, *rates, "overfit=4", "run=check")
    assert ended.returncode == 0, ended.stderr
    assert "4 training and 4 validation" not in ended.stderr and "(4 lines)" in ended.stderr
    assert "4 lines learned by heart in" in ended.stderr and "this set-up can learn" in ended.stderr
    ended = command("fit", "data.train=new", *tiny, "overfit=4", "trainer.max_steps=1", "run=short")
    assert ended.returncode == 2 and "error: overfit=4: CER is still" in ended.stderr


def test_deterministic_is_bit_exact(
    command: Command, base: Path, draw_lines: Callable[..., Path], tmp_path: Path
) -> None:
    draw_lines(tmp_path / "new", symbols="ab")
    for run in ("one", "two"):
        ended = command("fit", *STEPS, f"init={base}", "trainer.deterministic=true", f"run={run}")
        assert ended.returncode == 0, ended.stderr
    one, two = (state(f"runs/{run}/checkpoints/last.ckpt") for run in ("one", "two"))
    assert all(torch.equal(one[name], two[name]) for name in one)
    torch.use_deterministic_algorithms(False)
