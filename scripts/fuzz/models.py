"""Checkpoints, to read with, to begin with and to go on from; adapters; pretrained encoders."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from fuzz.hostile import CANARY
from fuzz.kind import Kind, ShownError

BACKBONE = {
    "_target_": "ocrtrain.model.backbones.CompactResNet",
    "channels": [4, 8, 8],
    "height": 16,
    "in_channels": 1,
    "out_channels": 16,
}
ENCODERS = {
    "mamba": {"_target_": "ocrtrain.model.encoders.MambaEncoder", "width": 16, "layers": 1},
    "bilstm": {"_target_": "ocrtrain.model.encoders.BiLSTMEncoder", "width": 16, "layers": 1},
}
LORA = {"_target_": "ocrtrain.model.adapt.Lora", "rank": 2, "alpha": 4}
BOTTLENECK = {"_target_": "ocrtrain.model.adapt.Bottleneck", "width": 4, "rank": 2, "alpha": 4}
SYMBOLS = "abcdefgh"


def picture() -> Any:
    """A line to read, uint8 [24, 90]."""
    return np.random.default_rng(0).integers(0, 256, (24, 90)).astype(np.uint8)


def settings(encoder: str, adapt: Any = None) -> dict[str, Any]:
    return {"backbone": BACKBONE, "encoder": ENCODERS[encoder], "adapt": adapt, "dropout": 0.1}


def description(model: dict[str, Any]) -> Any:
    from ocrtrain.checkpoint.calibration import Calibration
    from ocrtrain.checkpoint.description import Description
    from ocrtrain.data.images.preprocess import Preprocess
    from ocrtrain.text import Charset

    fitted = Calibration.fit([i / 99 for i in range(100)], [i > 40 for i in range(100)])
    prepare = Preprocess(height=16, multiple=8)
    return Description(model, Charset(SYMBOLS), prepare, {"run": "tiny"}, calibration=fitted)


def make_checkpoint(path: Path, encoder: str, adapt: Any = None) -> Any:
    """Write a checkpoint of random weights; returns its model."""
    import torch

    from ocrtrain.checkpoint.description import as_checkpoint
    from ocrtrain.model.build import build_recognizer

    torch.manual_seed(0)
    model = build_recognizer(settings(encoder, adapt), len(SYMBOLS) + 1)
    content = as_checkpoint(description(settings(encoder, adapt)), model.state_dict())
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, path)
    return model


def read_model(recognizer: Any) -> object:
    """All of a recognizer, and what it reads; raises ShownError if its settings name what is not ours."""
    described = recognizer.description.as_dict()
    refuse_foreign(described["model"])
    read = recognizer.read([picture()])[0]
    text = (read.text, read.confidence, [(c.text, c.x0, c.x1) for c in read.characters])
    return recognizer.model.state_dict(), described, text


def refuse_foreign(settings: Any) -> None:
    if isinstance(settings, dict):
        target = settings.get("_target_", "ocrtrain.")
        if not str(target).startswith("ocrtrain."):
            raise ShownError(f"_target_ {target} of the file is in the settings")
        for value in settings.values():
            refuse_foreign(value)
    elif isinstance(settings, list):
        for value in settings:
            refuse_foreign(value)
    elif isinstance(settings, str) and "${" in settings:
        raise ShownError(f"{settings!r} of the file is in the settings, to be interpolated")


def load(case: Path, fixed: Path) -> object:
    from ocrtrain import Recognizer

    return read_model(Recognizer.load(case / "tiny.ckpt", "cpu"))


def load_adapted(case: Path, fixed: Path) -> object:
    from ocrtrain import Recognizer

    return read_model(Recognizer.load(fixed / "base.ckpt", "cpu", adapter=case))


def make_adapter(folder: Path, adapt: Any) -> None:
    import torch

    from ocrtrain import Recognizer
    from ocrtrain.checkpoint.adapter import AdapterWriter
    from ocrtrain.model.build import adapt_recognizer

    base = folder / "fixed" / "base.ckpt"
    make_checkpoint(base, "mamba")
    model = Recognizer.load(base, "cpu").model
    adapt_recognizer(model, adapt)
    described = description(settings("mamba", adapt))
    writer = AdapterWriter(folder / "case", model, described, "base.ckpt")
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += 0.1
    writer.save(model.state_dict())


@cache
def composed(command: str, *words: str) -> Any:
    from hydra import compose, initialize_config_dir

    from ocrtrain.command_line.presets import built_in

    with initialize_config_dir(str(built_in()), version_base="1.3"):
        return compose(command, list(words))


def begin(case: Path, setting: str) -> object:
    """What `fit` does with a checkpoint before it opens its data."""
    import torch
    from omegaconf import OmegaConf

    from ocrtrain.commands.fit.base_checkpoint import build_model, inherit, read_base
    from ocrtrain.commands.fit.settings import read_fit_settings

    words = ["experiment=lines", "data.train=none", "run=fuzz", "adapt=lora"]
    chosen = OmegaConf.to_container(composed("fit", *words), resolve=True)
    before = json.dumps(chosen, sort_keys=True)
    settings = read_fit_settings({**chosen, setting: str(case / "tiny.ckpt")})
    settings, base = inherit(settings, read_base(settings), {})
    text = json.dumps(settings.record, sort_keys=True, default=str)
    for mark in (CANARY, "oc.env", "os.mkdir"):
        if text.count(mark) > before.count(mark):
            raise ShownError(f"{mark} of the file is in the configuration")
    assert base is not None
    torch.manual_seed(0)
    charset = base.description.charset
    model = build_model(settings.model, len(charset), base, charset)
    return model.state_dict(), settings.record, base.description.as_dict()


def make_pretrained(folder: Path) -> None:
    import torch
    from safetensors.torch import save_file

    from ocrtrain.model.ssm import Mamba

    torch.manual_seed(0)
    case = folder / "case"
    case.mkdir(parents=True)
    sizes = {"hidden_size": 16, "state_size": 4, "conv_kernel": 4, "expand": 2, "time_step_rank": 1}
    config = {"model_type": "mamba", "num_hidden_layers": 1, **sizes}
    (case / "config.json").write_text(json.dumps(config | {"use_bias": False, "use_conv_bias": True}))
    mixer = {f"backbone.layers.0.mixer.{n}": w for n, w in Mamba(16, d_state=4).state_dict().items()}
    norms = {f"backbone.{name}.weight": torch.ones(16) for name in ("layers.0.norm", "norm_f")}
    save_file({**mixer, **norms}, case / "model.safetensors", {"format": "pt"})


def load_pretrained(case: Path, fixed: Path) -> object:
    import torch

    from ocrtrain.model.encoders import MambaEncoder

    torch.manual_seed(0)
    encoder = MambaEncoder(16, pretrained=str(case), layers=1)
    return encoder.state_dict()


CKPT = (".ckpt",)
KINDS = {
    "checkpoint": Kind(
        lambda folder: make_checkpoint(folder / "case/tiny.ckpt", "bilstm"), load, 10, CKPT, cut_shows=True
    ),
    "checkpoint lora": Kind(
        lambda folder: make_checkpoint(folder / "case/tiny.ckpt", "mamba", LORA), load, 6, CKPT, True
    ),
    "init": Kind(
        lambda folder: make_checkpoint(folder / "case/tiny.ckpt", "mamba"),
        lambda case, fixed: begin(case, "init"),
        6,
        CKPT,
    ),
    "adapter lora": Kind(
        lambda folder: make_adapter(folder, LORA), load_adapted, 8, (".safetensors", ".json"), True
    ),
    "adapter bottleneck": Kind(
        lambda folder: make_adapter(folder, BOTTLENECK), load_adapted, 6, (".safetensors", ".json"), True
    ),
    "pretrained": Kind(make_pretrained, load_pretrained, 3),
}
