"""Checkpoints: whole, they give back the model; whatever else a file may be, one message and no code run."""

from __future__ import annotations

import copy
import os
import pickle
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ocrtrain.checkpoint.description import (
    Description,
    build_described,
    describe_checkpoint,
    load_weights,
    model_weights,
    read_checkpoint,
)
from ocrtrain.data.images.preprocess import Preprocess
from ocrtrain.errors import InputError
from ocrtrain.model import LineRecognizer
from ocrtrain.model.build import build_recognizer
from ocrtrain.text import Charset

SETTINGS: dict[str, Any] = {
    "backbone": {
        "_target_": "ocrtrain.model.backbones.CompactResNet",
        "channels": [4, 4, 8],
        "height": 16,
        "out_channels": 12,
    },
    "encoder": {"_target_": "ocrtrain.model.encoders.MambaEncoder", "width": 8, "layers": 1},
    "adapt": None,
    "dropout": 0.1,
}
RESNET = {"_target_": "ocrtrain.model.backbones.ResNet", "depth": 18, "out_channels": 8, "height": 16}
LORA = {
    "_target_": "ocrtrain.model.adapt.Lora",
    "rank": 2,
    "targets": ["backbone.stages.*.conv[12]", "encoder.*_proj"],
    "train": ["head.*"],
}


def description(**model: Any) -> Description:
    """Describe a tiny model, with a charset that has a combining mark and a space."""
    return Description(
        model={**copy.deepcopy(SETTINGS), **model},
        charset=Charset("ab ſ\u0364"),
        preprocess=Preprocess(height=16, channels=1, width=None, multiple=8),
        config={"seed": 3, "data": {"train": "lines", "fractions": [0.5, None, True]}},
    )


def content_of(described: Description, model: LineRecognizer) -> dict[str, Any]:
    """What training saves, apart from what it needs to go on."""
    state = {f"model.{name}": value for name, value in model.state_dict().items()}
    return {"state_dict": state, "ocrtrain": described.as_dict(), "epoch": 3, "optimizer_states": []}


@pytest.fixture
def described() -> Description:
    return description()


@pytest.fixture
def model(described: Description) -> LineRecognizer:
    """A model of that description, a little away from where models start."""
    torch.manual_seed(0)
    made = build_recognizer(described.model, len(described.charset))
    with torch.no_grad():
        for value in made.state_dict().values():
            if value.is_floating_point():
                value.add_(0.1 * torch.rand_like(value))
    return made.eval()


@pytest.fixture
def content(described: Description, model: LineRecognizer) -> dict[str, Any]:
    return content_of(described, model)


@pytest.fixture
def save(tmp_path: Path) -> Callable[[Any], Path]:
    def write(content: Any) -> Path:
        torch.save(content, tmp_path / "x.ckpt")
        return tmp_path / "x.ckpt"

    return write


def restore(path: Path) -> LineRecognizer:
    content = read_checkpoint(path)
    name = f"checkpoint={path}"
    return build_described(describe_checkpoint(content, name), model_weights(content), name)


def read_noise(model: LineRecognizer, channels: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (2, channels, 16, 40), dtype=torch.uint8, generator=generator)
    with torch.inference_mode():
        return model.eval()(pixels, torch.tensor([40, 17]))[0]


def test_what_was_saved_comes_back(
    described: Description, model: LineRecognizer, content: dict[str, Any], save: Callable[[Any], Path]
) -> None:
    path = save(content)
    found = read_checkpoint(path)
    assert describe_checkpoint(found, str(path)) == described
    restored = restore(path)
    for (name, one), (other_name, other) in zip(
        restored.state_dict().items(), model.state_dict().items(), strict=True
    ):
        assert name == other_name and torch.equal(one, other)
    assert torch.equal(read_noise(restored), read_noise(model))


def test_torch_reads_it_without_running_code(content: dict[str, Any], save: Callable[[Any], Path]) -> None:
    loaded = torch.load(save(content), weights_only=True)
    assert loaded["ocrtrain"] == content["ocrtrain"]
    assert loaded["state_dict"].keys() == content["state_dict"].keys()


def test_a_path_may_be_text_with_a_tilde(
    content: dict[str, Any], save: Callable[[Any], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(save(content).parent))
    assert read_checkpoint("~/x.ckpt").keys() == content.keys()


def test_adapters_come_back_too(save: Callable[[Any], Path]) -> None:
    described = description(adapt=LORA)
    torch.manual_seed(0)
    model = build_recognizer(described.model, len(described.charset))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.rand_like(parameter))
    restored = restore(save(content_of(described, model)))
    assert any(".lora_" in name for name in restored.state_dict())
    assert torch.equal(read_noise(restored), read_noise(model))


@pytest.mark.parametrize("weights", ["IMAGENET1K_V1", "/a/file/of/another/machine.pth"])
def test_weights_that_training_began_with_are_not_asked_for(
    weights: str, save: Callable[[Any], Path], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    model = build_recognizer(description(backbone=RESNET).model, 6)
    described = description(backbone={**RESNET, "weights": weights})
    restored = restore(save(content_of(described, model)))
    assert torch.equal(read_noise(restored, 3), read_noise(model, 3))
    assert described.model["backbone"]["weights"] == weights


def refused(path: Path, reason: str) -> None:
    """Check that the file is refused by one message that names it and the reason."""
    with pytest.raises(InputError, match=rf"(?s)^checkpoint={re.escape(str(path))}: .*{reason}") as caught:
        restore(path)
    assert caught.value.way_on


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    refused(tmp_path / "best.ckpt", "does not exist")


def test_a_folder_is_no_checkpoint(tmp_path: Path) -> None:
    refused(tmp_path, "is a folder")


@pytest.mark.parametrize("kept", [0, 1, 4, 100, 0.1, 0.5, 0.9, 0.99, -1])
def test_a_truncated_file_is_refused(
    kept: float, content: dict[str, Any], save: Callable[[Any], Path]
) -> None:
    path = save(content)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole)) if isinstance(kept, float) else kept])
    refused(path, "checkpoint")


@pytest.mark.parametrize(
    "data",
    [b"no checkpoint", b"\x89PNG\r\n\x1a\n", b"PK\x03\x04", b"\x80\x02}q\x00.", bytes(range(256)) * 4],
    ids=["text", "image", "zip", "pickle", "bytes"],
)
def test_a_file_of_another_kind_is_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.ckpt").write_bytes(data)
    refused(tmp_path / "x.ckpt", "checkpoint")


@pytest.mark.parametrize(
    "foreign",
    [
        {"state_dict": {"conv.weight": torch.ones(2)}},
        {"ocrtrain": {"version": "1"}},
        {"ocrtrain": "yes", "state_dict": {}},
        {"ocrtrain": {}, "state_dict": [1]},
        {"weight": torch.ones(2)},
        [1, 2],
        torch.ones(2),
        5,
    ],
    ids=lambda f: str(f)[:40],
)
def test_what_others_save_is_refused(foreign: Any, save: Callable[[Any], Path]) -> None:
    refused(save(foreign), "was not written by ocrtrain")


class Hostile:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("where", ["zip", "pickle", "description", "state"])
def test_code_in_a_file_is_not_run(
    where: str, content: dict[str, Any], save: Callable[[Any], Path], tmp_path: Path
) -> None:
    mark = tmp_path / "executed"
    hostile = Hostile(mark)
    if where == "pickle":
        path = tmp_path / "x.ckpt"
        path.write_bytes(pickle.dumps({**content, "callbacks": hostile}, protocol=2))
    else:
        content["callbacks"] = hostile if where == "zip" else None
        if where == "description":
            content["ocrtrain"]["config"]["seed"] = hostile
        elif where == "state":
            content["state_dict"]["model.head.weight"] = hostile
        path = save(content)
    refused(path, "holds more than tensors and plain values")
    assert not mark.exists()
    # The trap is a real one.
    if where == "zip":
        torch.load(path, weights_only=False)
        assert mark.exists()


@pytest.mark.parametrize("part", ["backbone", "encoder", "adapt"])
@pytest.mark.parametrize(
    "target", ["os.mkdir", "os.system", "subprocess.run", "ocrtrain.model.build.importlib.import_module"]
)
def test_a_file_can_name_no_code_to_call(
    part: str, target: str, content: dict[str, Any], save: Callable[[Any], Path], tmp_path: Path
) -> None:
    mark = tmp_path / "executed"
    arguments = {"path": str(mark), "command": f"mkdir {mark}", "args": ["mkdir", str(mark)], "name": "this"}
    content["ocrtrain"]["model"][part] = {"_target_": target, **arguments}
    refused(save(content), rf"{part}\._target_={re.escape(target)}")
    assert not mark.exists()


def test_a_target_elsewhere_in_a_file_is_never_looked_at(
    content: dict[str, Any], save: Callable[[Any], Path], tmp_path: Path
) -> None:
    call = {"_target_": "os.mkdir", "path": str(tmp_path / "executed")}
    content["ocrtrain"]["config"]["trainer"] = content["hyper_parameters"] = call
    restore(save(content))
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("key", ["model", "charset", "preprocess", "config", "version"])
def test_a_description_that_lacks_something_is_refused(
    key: str, content: dict[str, Any], save: Callable[[Any], Path]
) -> None:
    del content["ocrtrain"][key]
    refused(save(content), f"cannot be used: {key} is missing")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("charset", "aab"),
        ("charset", ""),
        ("charset", 5),
        ("charset", None),
        ("charset", [1, 2]),
        ("preprocess", {"height": -1}),
        ("preprocess", {"height": "tall"}),
        ("preprocess", {"tallness": 3}),
        ("preprocess", 7),
        ("model", "small"),
        ("model", {}),
        ("model", {"backbone": "compact", "encoder": {}}),
        ("model", {**SETTINGS, "encoder": {**SETTINGS["encoder"], "layer": 1}}),
        ("model", {**SETTINGS, "encoder": {**SETTINGS["encoder"], "width": "wide"}}),
        ("model", {**SETTINGS, "dropout": {}}),
    ],
    ids=str,
)
def test_a_damaged_description_is_refused(
    key: str, value: Any, content: dict[str, Any], save: Callable[[Any], Path]
) -> None:
    content["ocrtrain"][key] = value
    refused(save(content), "cannot be used|cannot be built")


@pytest.mark.parametrize(
    ("backbone", "prepare"),
    [
        ({"height": 16}, {"height": 3}),
        ({"height": 16}, {"height": 400}),
        ({"in_channels": 1}, {"channels": 3}),
        ({"_target_": "ocrtrain.model.backbones.ResNet", "depth": 18, "height": 32}, {"height": 64}),
    ],
)
def test_lines_that_the_backbone_cannot_read_are_named(
    backbone: dict[str, Any], prepare: dict[str, Any], save: Callable[[Any], Path]
) -> None:
    plain = description()
    settings = dict(plain.model["backbone"]) if "_target_" not in backbone else {}
    described = replace(plain, model={**plain.model, "backbone": {**settings, **backbone}})
    content = content_of(described, build_recognizer(described.model, len(described.charset)))
    content["ocrtrain"]["preprocess"] |= prepare
    refused(save(content), "rows and . channels?, which its backbone cannot read")


def test_weights_of_other_sizes_are_refused_by_the_tensor(
    content: dict[str, Any], save: Callable[[Any], Path]
) -> None:
    content["ocrtrain"]["model"]["encoder"]["width"] = 10
    refused(save(content), r"encoder\.blocks\.0\.norm\.weight is \[8\], not \[10\]")


def test_a_longer_charset_than_the_head_is_refused(
    content: dict[str, Any], save: Callable[[Any], Path]
) -> None:
    content["ocrtrain"]["charset"] = list("abcdefg")
    refused(save(content), r"head\.weight is \[6, 8\], not \[8, 8\]")


def test_tensors_that_lack_or_are_too_many_are_named(
    content: dict[str, Any], save: Callable[[Any], Path]
) -> None:
    weight = content["state_dict"].pop("model.head.weight")
    refused(save(content), r"head\.weight is none, not \[6, 8\]")
    content["state_dict"]["model.head.weight"] = "much"
    refused(save(content), r"head\.weight is none, not \[6, 8\]")
    content["state_dict"] |= {"model.head.weight": weight, "model.tail.weight": weight}
    refused(save(content), r"tail\.weight is \[6, 8\], not none")


def test_what_does_not_belong_to_the_model_is_left_aside(content: dict[str, Any]) -> None:
    content["state_dict"] |= {"loss.weight": torch.ones(1), 5: torch.ones(1)}
    weights = model_weights(content)
    assert "head.weight" in weights and len(weights) == len(content["state_dict"]) - 2


def test_weights_that_do_not_fit_change_nothing(model: LineRecognizer) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    weights = {name: value + 1 for name, value in before.items()}
    weights["head.bias"] = torch.ones(3)
    with pytest.raises(InputError, match=r"head\.bias is \[3\], not \[6\]"):
        load_weights(model, weights, "x.ckpt")
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
