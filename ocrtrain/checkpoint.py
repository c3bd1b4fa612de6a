"""What a checkpoint says of itself, so that it can be read with nothing else at hand."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ocrtrain import __version__
from ocrtrain.calibration import Calibration
from ocrtrain.data.preprocess import Preprocess
from ocrtrain.errors import InputError
from ocrtrain.model import LineRecognizer
from ocrtrain.model.adapt import Adaptation
from ocrtrain.model.build import build_recognizer, construct
from ocrtrain.text import Charset, Writing

KEY = "ocrtrain"
SOURCES = (("backbone", "weights"), ("encoder", "pretrained"))  # settings that only a beginning needs
PREFIX = "model."  # of the recognizer's weights in a training checkpoint's state dict


@dataclass(frozen=True, slots=True)
class Description:
    """Everything but the weights: how to build the model, what it writes, how lines are prepared.

    model: settings for `build_recognizer`; config: the run's resolved configuration, for the record;
    version: of the package that wrote it; calibration: from the probability of a text to how often such a
    line is right, where `evaluate` has fitted and stored one.
    """

    model: dict[str, Any]
    charset: Charset
    preprocess: Preprocess
    config: dict[str, Any]
    version: str = __version__
    calibration: Calibration | None = None

    def as_dict(self) -> dict[str, Any]:
        """Give it as plain Python types, which `torch.load(weights_only=True)` accepts."""
        return {
            "version": self.version,
            "model": self.model,
            "charset": list(self.charset.symbols),
            "writing": self.charset.writing.as_dict(),
            "preprocess": self.preprocess.as_dict(),
            "config": self.config,
            **({} if self.calibration is None else {"calibration": self.calibration.as_dict()}),
        }

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Description:
        """Read what `as_dict` gave."""
        return cls(
            model=dict(plain["model"]),
            charset=Charset(plain["charset"], Writing(**plain.get("writing", {}))),
            preprocess=Preprocess(**plain["preprocess"]),
            config=plain["config"],
            version=plain["version"],
            calibration=Calibration(**plain["calibration"]) if plain.get("calibration") else None,
        )


def read_checkpoint(path: str | Path, setting: str = "checkpoint") -> dict[str, Any]:
    """Read a checkpoint's content as plain types and tensors; raises InputError if it is none of ours.

    setting: what messages call it by: the setting that names it. Nothing in the file is executed: unknown
    types are refused by torch's restricted unpickler.
    """
    path = Path(path).expanduser()
    name = f"{setting}={path}"
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise InputError(
            name,
            what,
            "give the path of a .ckpt file, such as runs/NAME/checkpoints/best.ckpt.",
        )
    try:
        with warnings.catch_warnings(
            action="ignore"
        ):  # what a foreign file makes torch say, we say ourselves
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise InputError(
            name,
            "is no checkpoint, or holds more than tensors and plain values, so it is not read",
            "give a checkpoint that `ocrtrain fit` wrote.",
        ) from None
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise InputError(
            name,
            f"cannot be read: truncated or not a checkpoint ({reason})",
            "copy the file again, or take another one (last.ckpt lies beside best.ckpt).",
        ) from None
    parts = [content.get(key) if isinstance(content, dict) else None for key in (KEY, "state_dict")]
    if not all(isinstance(part, dict) for part in parts):
        raise InputError(
            name,
            "was not written by ocrtrain",
            "give a checkpoint that `ocrtrain fit` wrote.",
        )
    return content


def describe_checkpoint(content: dict[str, Any], name: str) -> Description:
    """Read a checkpoint's description; raises InputError where keys are missing or damaged.

    name: what messages call it, such as "checkpoint=PATH"; so for all that follow.
    """
    try:
        return Description.from_dict(content[KEY])
    except (KeyError, TypeError, ValueError, InputError) as error:
        version = content[KEY].get("version", "unknown")
        reason = f"{error.what} {error.why}" if isinstance(error, InputError) else str(error)
        raise InputError(
            name,
            f"its description lacks or mistakes {reason} (written by version {version})",
            "read it with the version that wrote it, or train anew.",
        ) from None


def build_described(description: Description, weights: dict[str, Tensor], name: str) -> LineRecognizer:
    """Build the described model with `weights`; raises InputError if they do not fit."""
    try:
        model = build_recognizer(with_own_weights(description.model), len(description.charset))
    except InputError as error:
        raise unbuildable(name, error) from error
    load_weights(model, weights, name)
    return model


def with_own_weights(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Copy a checkpoint's model settings without what the training began with: it has weights of its own."""
    settings = dict(settings)
    for name, source in SOURCES:
        part = settings.get(name)
        if isinstance(part, dict) and source in part:
            settings[name] = {**part, source: None}
    return settings


def unbuildable(name: str, error: InputError) -> InputError:
    """Say of a checkpoint what is wrong with the settings in it."""
    return InputError(
        name,
        f"describes a model that cannot be built: {error.what} {error.why}",
        "read it with the version that wrote it, or train anew.",
    )


def merge_adapters(
    content: dict[str, Any], description: Description, name: str
) -> tuple[dict[str, Tensor], Description]:
    """Fold a checkpoint's low-rank adapters into its weights: the same outputs from a plain model.

    Returns that model's weights and description. Bottlenecks are not linear and stay, in both. Raises
    InputError for adapters that are not what the description says.
    """
    weights, adapt = model_weights(content), description.model.get("adapt")
    if not adapt:
        return weights, description
    try:
        weights, remains = construct(adapt, Adaptation, "adapt").merge(weights)
    except InputError as error:
        raise unbuildable(name, error) from error
    except (AttributeError, KeyError, RuntimeError) as error:
        raise InputError(
            name,
            f"its adapters cannot be merged: a tensor lacks or has another shape ({error})",
            "copy the file again, or take another one (last.ckpt lies beside best.ckpt).",
        ) from None
    return weights, replace(description, model={**description.model, "adapt": remains})


def as_checkpoint(description: Description, weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """Give a checkpoint to read with or to start from; one to resume from has more."""
    return {"state_dict": {PREFIX + n: w for n, w in weights.items()}, KEY: description.as_dict()}


def model_weights(content: dict[str, Any]) -> dict[str, Tensor]:
    """Take the recognizer's part of a training checkpoint's state dict."""
    state = content["state_dict"]
    return {str(name).removeprefix(PREFIX): v for name, v in state.items() if str(name).startswith(PREFIX)}


def load_weights(model: LineRecognizer, weights: dict[str, Tensor], name: str) -> None:
    """Load `weights` into `model`, all or none; raises InputError naming the first that does not fit."""
    expected = model.state_dict()
    for key in (*expected, *weights):
        here, there = (getattr(of.get(key), "shape", None) for of in (expected, weights))
        if here is None or here != there:
            have, want = ("none" if shape is None else list(shape) for shape in (there, here))
            raise InputError(
                name,
                f"its weights are of another model: {key} is {have}, not {want}",
                "use the settings of the run that wrote it (its config.yaml lies beside its checkpoints).",
            )
    model.load_state_dict(weights)
