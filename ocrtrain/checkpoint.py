"""What a checkpoint says of itself, so that it can be read with nothing else at hand."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ocrtrain import __version__
from ocrtrain.data.preprocess import Preprocess
from ocrtrain.errors import InputError
from ocrtrain.model import LineRecognizer
from ocrtrain.model.build import build_recognizer
from ocrtrain.text import Charset

KEY = "ocrtrain"
PREFIX = "model."  # of the recognizer's weights in a training checkpoint's state dict


@dataclass(frozen=True, slots=True)
class Description:
    """Everything but the weights: how to build the model, what it writes, how lines are prepared.

    model: settings for `build_recognizer`; config: the run's resolved configuration, for the record;
    version: of the package that wrote it.
    """

    model: dict[str, Any]
    charset: Charset
    preprocess: Preprocess
    config: dict[str, Any]
    version: str = __version__

    def as_dict(self) -> dict[str, Any]:
        """Give it as plain Python types, which `torch.load(weights_only=True)` accepts."""
        return {
            "version": self.version,
            "model": self.model,
            "charset": "".join(self.charset.symbols),
            "preprocess": self.preprocess.as_dict(),
            "config": self.config,
        }

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Description:
        """Read what `as_dict` gave."""
        return cls(
            model=plain["model"],
            charset=Charset(plain["charset"]),
            preprocess=Preprocess(**plain["preprocess"]),
            config=plain["config"],
            version=plain["version"],
        )


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint's content as plain types and tensors; raises InputError if it is none of ours.

    Nothing in the file is executed: unknown types are refused by torch's restricted unpickler.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise InputError(f"checkpoint={path}", what, "give the path of a .ckpt file, such as runs/NAME/checkpoints/best.ckpt.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise InputError(
            f"checkpoint={path}", "holds more than tensors and plain values, so it is not read",
            "give a checkpoint that `ocrtrain fit` wrote.",
        ) from None
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"checkpoint={path}", f"cannot be read: truncated or not a checkpoint ({reason})",
            "copy the file again, or take another one (last.ckpt lies beside best.ckpt).",
        ) from None
    if not (isinstance(content, dict) and isinstance(content.get(KEY), dict) and "state_dict" in content):
        raise InputError(
            f"checkpoint={path}", "was not written by ocrtrain", "give a checkpoint that `ocrtrain fit` wrote."
        )
    return content


def describe_checkpoint(content: dict[str, Any], path: str | Path) -> Description:
    """Read a checkpoint's description; raises InputError where keys are missing or damaged."""
    try:
        return Description.from_dict(content[KEY])
    except (KeyError, TypeError) as error:
        raise InputError(
            f"checkpoint={path}",
            f"its description lacks or mistakes {error} (written by version {content[KEY].get('version', 'unknown')})",
            "read it with the version that wrote it, or train anew.",
        ) from None


def restore_recognizer(content: dict[str, Any], description: Description, path: str | Path) -> LineRecognizer:
    """Build the described model and give it the checkpoint's weights; raises InputError if they do not fit."""
    settings = {**description.model, "backbone": {**description.model["backbone"]}}
    if "weights" in settings["backbone"]:
        settings["backbone"]["weights"] = None  # the checkpoint has its own
    model = build_recognizer(settings, len(description.charset))
    load_weights(model, model_weights(content), path)
    return model


def model_weights(content: dict[str, Any]) -> dict[str, Tensor]:
    """Take the recognizer's part of a training checkpoint's state dict."""
    state = content["state_dict"]
    return {name.removeprefix(PREFIX): value for name, value in state.items() if name.startswith(PREFIX)}


def load_weights(model: LineRecognizer, weights: dict[str, Tensor], path: str | Path) -> None:
    """Load `weights` into `model`, all of them or none; raises InputError naming the first that does not fit."""
    expected = model.state_dict()
    for name in (*expected, *weights):
        here, there = expected.get(name), weights.get(name)
        if here is None or there is None or here.shape != there.shape:
            have = "none" if there is None else list(there.shape)
            want = "none" if here is None else list(here.shape)
            raise InputError(
                f"checkpoint={path}", f"its weights are of another model: {name} is {have}, not {want}",
                "use the settings of the run that wrote it (its config.yaml lies beside its checkpoints).",
            )
    model.load_state_dict(weights)
