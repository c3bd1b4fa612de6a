"""What plain settings may construct: models of this package, from settings that they take, nothing else."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from ocrtrain.errors import InputError
from ocrtrain.model import LineRecognizer
from ocrtrain.model.adapt import Adaptation
from ocrtrain.model.backbones import CompactResNet
from ocrtrain.model.build import build_recognizer, construct
from ocrtrain.model.encoders import MambaEncoder

SETTINGS: dict[str, Any] = {
    "backbone": {
        "_target_": "ocrtrain.model.backbones.CompactResNet",
        "channels": [4, 4, 8],
        "height": 16,
        "out_channels": 12,
    },
    "encoder": {"_target_": "ocrtrain.model.encoders.MambaEncoder", "width": 8, "layers": 1, "dropout": 0.0},
    "adapt": {"_target_": "ocrtrain.model.adapt.Full"},
    "dropout": 0.25,
}


def changed(**values: Any) -> dict[str, Any]:
    """Copy the settings with some changed: `encoder__width=3` or `adapt=None`."""
    settings = copy.deepcopy(SETTINGS)
    for path, value in values.items():
        group, _, key = path.partition("__")
        if key:
            settings[group][key] = value
        else:
            settings[group] = value
    return settings


def test_settings_become_the_model_that_they_describe() -> None:
    model = build_recognizer(SETTINGS, classes=7)
    assert isinstance(model, LineRecognizer)
    assert isinstance(model.backbone, CompactResNet) and isinstance(model.encoder, MambaEncoder)
    assert (model.encoder.width, len(model.encoder.blocks), model.dropout.p) == (8, 1, 0.25)
    assert model.head.out_features == 7 and model.training
    log_probs, lengths = model(torch.zeros(1, 1, 16, 9, dtype=torch.uint8), torch.tensor([9]))
    assert log_probs.shape == (1, 3, 7) and lengths.tolist() == [3]


def test_settings_are_left_as_they_were() -> None:
    settings = copy.deepcopy(SETTINGS)
    build_recognizer(settings, classes=7)
    assert settings == SETTINGS


@pytest.mark.parametrize("adapt", [None, {}])
def test_adaptation_and_dropout_may_be_left_out(adapt: object) -> None:
    settings = changed(adapt=adapt)
    del settings["dropout"]
    model = build_recognizer(settings, classes=7)
    assert model.dropout.p == 0 and all(p.requires_grad for p in model.parameters())


def test_a_batch_norm_that_is_frozen_is_so_from_the_start() -> None:
    adapt = {"_target_": "ocrtrain.model.adapt.Freeze", "train": ["head.*", "backbone.stages.1.*"]}
    model = build_recognizer(changed(adapt=adapt), classes=7)
    training = {name: m.training for name, m in model.named_modules() if isinstance(m, nn.BatchNorm2d)}
    assert training == {name: name.startswith("backbone.stages.1.") for name in training}
    before = model.backbone.stem_norm.running_mean.clone()
    model(torch.zeros(1, 1, 16, 9, dtype=torch.uint8), torch.tensor([9]))
    assert torch.equal(model.backbone.stem_norm.running_mean, before)


FOREIGN = [
    "os.system",
    "builtins.eval",
    "subprocess.Popen",
    "torch.nn.Linear",
    "torch.load",
    "ocrtrain.Recognizer",
    "ocrtrain.checkpoint.description.Description",
    "ocrtrain.commands.fit.fit.run",
    "ocrtrain.training.recognizer_module.RecognizerModule",
    "ocrtrain.modelling.Backbone",
    # What this package's modules import is not theirs.
    "ocrtrain.model.build.importlib.os.system",
    "ocrtrain.model.build.importlib.import_module",
    "ocrtrain.model.build.importlib",
    "ocrtrain.model.recognizer.nn",
    "ocrtrain.model.recognizer.nn.Linear",
    "ocrtrain.model.recognizer.nn.Module",
    "ocrtrain.model.recognizer.torch.load",
    "ocrtrain.model.backbones.resnet.BasicBlock",
    "ocrtrain.model.backbones.resnet.Path",
    "ocrtrain.model.ssm.scan.dispatch.Tensor",
    # Functions, modules and classes of another kind are no models either.
    "ocrtrain.model.build.construct",
    "ocrtrain.model.ssm.selective_scan",
    "ocrtrain.model.backbones",
    "ocrtrain.model.adapt.Full",
    "ocrtrain.model.ssm.scan.torch.ScanTorch",
    "ocrtrain.model.recognizer.LineRecognizer.__init__",
    "ocrtrain.model.encoders.MambaEncoder.__globals__",
    # And what is no name at all.
    "",
    "CompactResNet",
    "ocrtrain.model",
    "ocrtrain.model.",
    "ocrtrain.model..CompactResNet",
    "ocrtrain.model.nowhere.CompactResNet",
    "ocrtrain.model.backbones.CompactResNet ",
    "ocrtrain.model.backbones.CompactResNet()",
    "ocrtrain.model.backbones/compact.CompactResNet",
    5,
    None,
    ["ocrtrain.model.backbones.CompactResNet"],
]


@pytest.mark.parametrize("target", FOREIGN, ids=str)
def test_nothing_else_is_constructed(target: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = {"_target_": target, "command": "touch executed", "args": "touch executed"}
    with pytest.raises(InputError, match=r"(?s)backbone\._target_=.*choose one of the presets"):
        construct(settings, nn.Module, "backbone")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("target", ["ocrtrain.model.backbones.CompactResNet", "torch.nn.Linear", "os.system"])
def test_an_adaptation_is_no_other_class(target: str) -> None:
    with pytest.raises(InputError, match=r"adapt\._target_="):
        construct({"_target_": target}, Adaptation, "adapt")


@pytest.mark.parametrize(
    ("settings", "named", "choices"),
    [
        (changed(encoder__d_sate=8), "encoder.d_sate", "d_state"),
        (changed(encoder__reverse=True), "encoder.reverse", "bidirectional"),
        (changed(backbone__chanels=[8]), "backbone.chanels", "channels"),
        (changed(adapt__rank=8), "adapt.rank", ""),
        (changed(backbone__self=1), "backbone.self", "channels"),
        (changed(backbone=SETTINGS["backbone"] | {5: 1}), "backbone.5", "channels"),
    ],
)
def test_a_misspelt_setting_is_named_with_the_choices(
    settings: dict[str, Any], named: str, choices: str
) -> None:
    with pytest.raises(InputError, match=rf"(?s)^{re.escape(named)}: is not a setting of .*{choices}"):
        build_recognizer(settings, classes=7)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({}, "backbone"),
        ({k: v for k, v in SETTINGS.items() if k != "encoder"}, "encoder"),
        (changed(backbone="compact"), "backbone"),
        (changed(encoder=None), "encoder"),
        (changed(adapt="full"), "adapt"),
        (changed(adapt=["full"]), "adapt"),
        (changed(backbone__channels="wide"), "backbone"),
        (changed(backbone__channels=[]), "backbone"),
        (changed(backbone__channels=[8, -8]), "backbone"),
        (changed(backbone__channels=3), "backbone"),
        (changed(backbone__height=None), "backbone"),
        (changed(encoder__width="wide"), "encoder"),
        (changed(encoder__layers=2.5), "encoder"),
        (changed(encoder__d_state=[16]), "encoder"),
        (changed(encoder__dt_rank="car"), "encoder"),
        (changed(dropout="much"), "model"),
        (changed(dropout=[0.1]), "model"),
        (changed(adapt={"_target_": "ocrtrain.model.adapt.Adaptation"}), "adapt"),  # abstract
        (changed(adapt={"_target_": "ocrtrain.model.adapt.Freeze", "train": 5}), "adapt"),
        (changed(adapt={"_target_": "ocrtrain.model.adapt.Lora", "rank": "high"}), "adapt"),
        # Ours, but parts of parts: arguments lack, or they are no backbone.
        (changed(encoder={"_target_": "ocrtrain.model.encoders.mamba.MambaBlock"}), "encoder"),
        (changed(encoder={"_target_": "ocrtrain.model.ssm.Mamba", "d_model": 8}), "encoder"),
    ],
    ids=str,
)
def test_values_of_the_wrong_type_are_the_users_to_mend(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=rf"^{named}"):
        build_recognizer(settings, classes=7)
