"""Adapting a checkpoint from the command line: what the adapter's folder is worth, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from ocrtrain import Recognizer
from ocrtrain.checkpoint.description import (
    describe_checkpoint,
    merge_adapters,
    read_checkpoint,
    with_own_weights,
)
from ocrtrain.commands.fit.base_checkpoint import BaseCheckpoint, build_model, settle

Command = Callable[..., CompletedProcess[str]]

# The model is the base's: nothing says how large it is.
STEPS = ["data.batch_size=4", "data.workers=0", "data.augment=null", "trainer.validate_every_steps=3"]


@pytest.fixture(scope="session")
def base(trained: Path) -> Path:
    return trained / "runs/tiny/checkpoints/best.ckpt"


@pytest.fixture(scope="session")
def adapted(
    base: Path, tmp_path_factory: pytest.TempPathFactory, draw_lines: Callable[..., Path]
) -> dict[str, tuple[Path, str]]:
    """Runs that adapted the base to lines with fewer characters, and what they said."""
    import contextlib
    import io
    import logging

    from ocrtrain.__main__ import main

    folder = tmp_path_factory.mktemp("adapted")
    draw_lines(folder / "new", symbols="ab", seed=5)
    runs = {}
    before = logging.root.handlers[:]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OCRTRAIN_CACHE", str(folder / ".cache"))
        patch.chdir(folder)
        for kind in ("lora", "bottleneck"):
            logging.root.handlers[:] = []
            said = io.StringIO()
            with contextlib.redirect_stderr(said):
                words = [f"init={base}", f"adapt={kind}", f"run={kind}", "data.train=new", "data.val=new"]
                code = main(["fit", "experiment=lines", *words, *STEPS, "trainer.max_steps=3"])
            assert code == 0, said.getvalue()
            runs[kind] = (folder / "runs" / kind, said.getvalue())
    logging.root.handlers[:] = before
    return runs


@pytest.mark.parametrize("kind", ["lora", "bottleneck"])
def test_the_adapter_of_the_best_checkpoint_lies_in_the_runs_folder(
    kind: str, adapted: dict[str, tuple[Path, str]], base: Path, trained: Path
) -> None:
    run, said = adapted[kind]
    images = sorted((trained / "lines").glob("*.png"))
    whole = Recognizer.load(run / "checkpoints/best.ckpt")
    together = Recognizer.load(base, adapter=run / "adapter")
    assert whole.description.charset == together.description.charset
    assert "".join(whole.description.charset.symbols) == " abcä"  # the base's, not that of the new lines
    for one, other in zip(whole.read(images), together.read(images), strict=True):
        assert one.text == other.text and one.confidence == pytest.approx(other.confidence, abs=1e-4)
    assert sum(path.stat().st_size for path in (run / "adapter").iterdir()) < 100_000
    # The base is as it was under the adapters, and the checkpoint names its own settings.
    frozen = torch.load(base, weights_only=True)["state_dict"]
    best = torch.load(run / "checkpoints/best.ckpt", weights_only=True)
    state = {name.replace(".base_layer.", "."): value for name, value in best["state_dict"].items()}
    moved = {n for n, v in frozen.items() if not torch.equal(state[n], v)}
    assert moved and all(n.startswith("model.head.") or "norm" in n for n in moved)
    assert best["ocrtrain"]["model"]["encoder"]["width"] == 32
    assert f"init={base}: its architecture, preprocessing and charset are used" in said
    assert f"adapter     runs/{kind}/adapter, for {base}" in said


def test_the_summary_counts_what_is_trained(adapted: dict[str, tuple[Path, str]]) -> None:
    run, said = adapted["lora"]
    with safe_open(run / "adapter/adapter_model.safetensors", "pt") as file:
        sizes = {name: file.get_tensor(name).numel() for name in file.keys()}  # noqa: SIM118
    # Statistics of batch norms are saved, not trained.
    sizes = {n: size for n, size in sizes.items() if not n.endswith(("_mean", "_var", "_tracked"))}
    added = sum(size for name, size in sizes.items() if ".lora_" in name)
    total = sum(sizes.values())
    row = next(line for line in said.splitlines() if line.startswith("in all"))
    assert f" {total:,} trained (" in row and f"{added:,} of them in adapters" in row
    backbone = next(line for line in said.splitlines() if line.startswith("backbone"))
    in_backbone = {name: size for name, size in sizes.items() if ".backbone." in name}
    adapters = sum(size for name, size in in_backbone.items() if ".lora_" in name)
    assert f"{sum(in_backbone.values()):,} trained, {adapters:,} of them in adapters" in backbone


@pytest.mark.parametrize("kind", ["lora", "bottleneck"])
def test_predict_and_evaluate_take_the_adapter(
    kind: str, command: Command, adapted: dict[str, tuple[Path, str]], base: Path, trained: Path
) -> None:
    run, _ = adapted[kind]
    lines = trained / "lines"
    with_adapter = [f"checkpoint={base}", f"adapter={run / 'adapter'}"]
    alone = [f"checkpoint={run / 'checkpoints/best.ckpt'}"]
    one = command("predict", *with_adapter, f"input={lines}")
    other = command("predict", *alone, f"input={lines}")
    assert one.returncode == other.returncode == 0
    texts = [[row.split("\t")[2] for row in ended.stdout.splitlines()] for ended in (one, other)]
    assert texts[0] == texts[1]
    copied = Path("copied")
    shutil.copytree(run / "adapter", copied)
    one = command("evaluate", f"checkpoint={base}", f"adapter={copied}", f"data.test={lines}")
    other = command("evaluate", *alone, f"data.test={lines}", "output=alone")
    assert one.returncode == other.returncode == 0
    reports = [json.loads((Path(at) / "report.json").read_text()) for at in ("copied", "alone")]
    assert reports[0]["cer"] == reports[1]["cer"]


def test_a_merged_checkpoint_stands_alone(
    command: Command, adapted: dict[str, tuple[Path, str]], base: Path, trained: Path
) -> None:
    run, _ = adapted["lora"]
    Recognizer.load(base, adapter=run / "adapter").save("merged.ckpt")
    images = sorted((trained / "lines").glob("*.png"))
    expected = Recognizer.load(run / "checkpoints/best.ckpt").read(images)
    assert [t.text for t in Recognizer.load("merged.ckpt").read(images)] == [t.text for t in expected]
    lines = f"data.train={trained / 'lines'}"
    # It has nothing to go on with.
    ended = command("fit", *STEPS, lines, "resume=merged.ckpt", "trainer.max_steps=9")
    assert ended.returncode == 2 and "start from it: init=merged.ckpt" in ended.stderr
    # An adapter for the base is none for it.
    ended = command("predict", "checkpoint=merged.ckpt", f"adapter={run / 'adapter'}", f"input={images[0]}")
    assert ended.returncode == 2 and "was made for another base" in ended.stderr
    assert f"give the checkpoint that its training started from: {base}" in ended.stderr


def test_a_resumed_run_goes_on_with_its_adapters(
    command: Command, adapted: dict[str, tuple[Path, str]], base: Path
) -> None:
    run, _ = adapted["lora"]
    shutil.copytree(run, "runs/mine")
    shutil.copytree(run.parents[1] / "new", "new")
    before = {path.name: path.read_bytes() for path in Path("runs/mine/adapter").iterdir()}
    shutil.rmtree("runs/mine/adapter")
    Path("runs/mine/checkpoints/best.ckpt").unlink()
    words = ["adapt=lora", "data.train=new", "data.val=new", "resume=runs/mine/checkpoints/last.ckpt"]
    ended = command("fit", "experiment=lines", *words, *STEPS, "trainer.max_steps=5")
    assert ended.returncode == 0, ended.stderr
    after = Path("runs/mine/adapter")
    assert {path.name for path in after.iterdir()} == before.keys()
    assert (after / "adapter_config.json").read_bytes() == before["adapter_config.json"]
    Recognizer.load(base, adapter=after)  # still one for the same base


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["adapt=lora", "adapt.rank=0"], "adapt.rank=0: must be at least 1"),
        (["adapt=lora", "adapt.targets=[encoder.*,decoder.*]"], "adapt.targets=decoder.*: matches nothing"),
        (["adapt=bottleneck", "adapt.width=0"], "adapt.width=0: must be at least 1"),
        (["adapt=lora", "encoder=bilstm"], "encoder=bilstm: does not fit init="),
        (["adapt=lora", "encoder.width=48"], "encoder.width=48: does not fit init="),
        (["data.height=32"], "data.height=32: the model of init="),
        (["data.ink=false"], "data.ink=false: the model of init="),
        (["adapt=lora", "init=BOTTLENECK"], "has bottlenecks, which cannot be merged"),
        (["data.train=strange"], "data.charset: lacks characters of 1 training lines"),
    ],
)
def test_what_is_wrong_is_named(
    words: list[str],
    named: str,
    command: Command,
    adapted: dict[str, tuple[Path, str]],
    base: Path,
    trained: Path,
    draw_lines: Callable[..., Path],
) -> None:
    (draw_lines(Path("strange"), count=3) / "01.gt.txt").write_text("aβ")
    kept = str(adapted["bottleneck"][0] / "checkpoints/best.ckpt")
    given = [f"init={base}", f"data.train={trained / 'lines'}", *STEPS, "trainer.max_steps=3"]
    ended = command("fit", *given, *(word.replace("BOTTLENECK", kept) for word in words))
    assert ended.returncode == 2 and named in ended.stderr, ended.stderr
    assert "Traceback" not in ended.stderr and not Path("runs").exists()


@pytest.mark.parametrize("kind", ["lora", "bottleneck"])
def test_an_origins_adapters_are_merged_or_gone_on_with(
    kind: str, adapted: dict[str, tuple[Path, str]], trained: Path
) -> None:
    """A model begins where the checkpoint's ended, whatever adapters that has."""
    best = adapted[kind][0] / "checkpoints/best.ckpt"
    content = read_checkpoint(best)
    weights, description = merge_adapters(content, describe_checkpoint(content, str(best)), str(best))
    settings = {**with_own_weights(description.model), "adapt": content["ocrtrain"]["model"]["adapt"]}
    model = build_model(settings, 6, BaseCheckpoint("init", str(best), weights, description, ()))
    assert any(".lora_" in name for name in model.state_dict())
    pixels = torch.randint(256, (2, 1, 40, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        read = [m.eval()(pixels, torch.tensor([64, 30]))[0] for m in (model, Recognizer.load(best).model)]
    torch.testing.assert_close(*read, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("where", ["predict", "evaluate"])
def test_an_adapter_that_is_none_is_refused(
    where: str, command: Command, adapted: dict[str, tuple[Path, str]], base: Path, trained: Path
) -> None:
    lines = trained / "lines"
    rest = [f"input={lines}"] if where == "predict" else [f"data.test={lines}"]
    shutil.copytree(adapted["lora"][0] / "adapter", "cut")
    Path("cut/adapter_model.safetensors").write_bytes(b"\0" * 20)
    for folder, named in (("nowhere", "does not exist"), (".", "holds no adapter"), ("cut", "is damaged")):
        ended = command(where, f"checkpoint={base}", f"adapter={folder}", *rest)
        assert ended.returncode == 2 and f"adapter={folder}: {named}" in ended.stderr, ended.stderr
        assert "Traceback" not in ended.stderr and ended.stdout == ""


WIDE = {"_target_": "a.Encoder", "width": 64, "layers": 2}
NARROW = {"_target_": "a.Encoder", "width": 32, "layers": 1}


@pytest.mark.parametrize(
    ("mine", "theirs", "typed", "expected", "differing"),
    [
        (WIDE, NARROW, {}, NARROW, []),  # a preset's values give way
        (WIDE, NARROW, {"encoder": "wide"}, NARROW, []),  # the same kind: its sizes are the checkpoint's
        (WIDE, NARROW, {"encoder.layers": "2"}, {**NARROW, "layers": 2}, ["encoder.layers=2"]),
        (WIDE, {**NARROW, "layers": 2}, {"encoder.layers": "2"}, {**NARROW, "layers": 2}, []),
        ({"_target_": "b.Encoder"}, NARROW, {"encoder": "b"}, {"_target_": "b.Encoder"}, ["encoder=b"]),
        ({"_target_": "b.Encoder"}, NARROW, {}, NARROW, []),
        (0.1, 0.3, {}, 0.3, []),
        (0.1, 0.3, {"encoder": "0.1"}, 0.1, ["encoder=0.1"]),
    ],
)
def test_what_is_typed_comes_first_and_then_the_checkpoint(
    mine: Any, theirs: Any, typed: dict[str, str], expected: Any, differing: list[str]
) -> None:
    assert settle("encoder", mine, theirs, typed) == (expected, differing)


def test_an_adapter_that_a_kill_left_behind_is_written_again(
    adapted: dict[str, tuple[Path, str]], base: Path, fit: Callable[..., Any], tmp_path: Path
) -> None:
    run, _ = adapted["lora"]
    shutil.copytree(run.parent.parent, tmp_path / "copy")
    mine = tmp_path / "copy/runs/lora"
    right = {n: v.clone() for n, v in load_file(mine / "adapter/adapter_model.safetensors").items()}
    data = [f"data.{part}={tmp_path / 'copy/new'}" for part in ("train", "val")]
    words = ["experiment=lines", *data, *STEPS, "trainer.max_steps=4", f"runs={tmp_path / 'copy/runs'}"]
    unfinished = [mine / ".report.html.1-ab.partial", mine / "adapter/.adapter_config.json.1-ab.partial"]
    for path in unfinished:
        path.write_bytes(b"")
    other = adapted["bottleneck"][0] / "adapter/adapter_model.safetensors"
    shutil.copy(other, mine / "adapter/adapter_model.safetensors")
    # Nothing becomes better any more, so that it is not written as that of a new best one.
    best = torch.load(mine / "checkpoints/best.ckpt", weights_only=True)
    best["callbacks"]["Checkpointer"]["best_cer"] = 0.0
    torch.save(best, mine / "checkpoints/best.ckpt")
    fit(*words, "run=lora", "resume=auto")
    found = load_file(mine / "adapter/adapter_model.safetensors")
    assert found.keys() == right.keys() and all(torch.equal(found[name], right[name]) for name in right)
    assert not any(path.exists() for path in unfinished)
    Recognizer.load(base, "cpu", adapter=mine / "adapter")
