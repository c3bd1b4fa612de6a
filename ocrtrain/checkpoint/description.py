"""Description of a checkpoint in the checkpoint, so that it can be read with nothing else at hand."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ocrtrain.checkpoint.calibration import Calibration
from ocrtrain.checkpoint.integrity import DamagedFile
from ocrtrain.checkpoint.torch_file import first_not_finite, read_torch_file
from ocrtrain.data.images.preprocess import Preprocess
from ocrtrain.errors import InputError
from ocrtrain.fields import CheckedFields, FieldError, shown
from ocrtrain.model import LineRecognizer
from ocrtrain.model.adapt import Adaptation
from ocrtrain.model.build import build_recognizer, construct, plain_settings
from ocrtrain.settings import checked_path
from ocrtrain.text import Charset, Writing
from ocrtrain.version import __version__

KEY = "ocrtrain"
SOURCES = (("backbone", "weights"), ("encoder", "pretrained"))  # settings that only a beginning needs
OTHER = "copy the file again, or take another one (last.ckpt lies beside best.ckpt)."
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
    def from_dict(cls, plain: object) -> Description:
        """Read what `as_dict` gave, now or in an earlier version: every field by its type and range.

        Raises FieldError or InputError for anything else.
        """
        fields = CheckedFields(plain)
        writing, calibration = (
            fields.fields("writing", default=None),
            fields.fields("calibration", default=None),
        )
        described = cls(
            model=plain_settings(fields.fields("model").values),
            charset=Charset(
                fields.items("charset", _symbol),
                Writing() if writing is None else Writing.from_fields(writing),
            ),
            preprocess=Preprocess.from_fields(fields.fields("preprocess")),
            config=fields.record("config"),
            version=fields.text("version"),
            calibration=None if calibration is None else Calibration.from_fields(calibration),
        )
        fields.close()
        return described


def symbols(value: object) -> list[str]:
    """Check a list of symbols that a file holds; raises FieldError for anything else."""
    return CheckedFields({"charset": value}).items("charset", _symbol)


def _symbol(value: Any) -> str:
    if type(value) is not str or len(value) != 1 or "\ud800" <= value <= "\udfff":
        raise FieldError("must be a list of single characters")
    return value


def read_checkpoint(path: str | Path, setting: str = "checkpoint") -> dict[str, Any]:
    """Read a checkpoint's content as plain types and tensors; raises InputError if it is not one of ours.

    setting: what messages call it by: the setting that names it. Nothing in the file is executed, and what
    is returned is what was written: its checksums are compared. Weights that are not finite are refused.
    """
    path = checked_path(path, setting)
    name = f"{setting}={path}"
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise InputError(
            name,
            what,
            "give the path of a .ckpt file, such as runs/NAME/checkpoints/best.ckpt.",
        )
    try:
        content = read_torch_file(path)
    except pickle.UnpicklingError:
        raise InputError(
            name,
            "is not a checkpoint, or holds more than tensors and plain values, so it is not read",
            "give a checkpoint that `ocrtrain fit` wrote.",
        ) from None
    except (DamagedFile, OSError) as error:
        raise InputError(
            name,
            f"cannot be read: truncated, damaged or not a checkpoint ({str(error).partition(chr(10))[0]})",
            OTHER,
        ) from None
    parts = [content.get(key) if isinstance(content, dict) else None for key in (KEY, "state_dict")]
    if not all(isinstance(part, dict) for part in parts):
        raise InputError(
            name,
            "was not written by ocrtrain",
            "give a checkpoint that `ocrtrain fit` wrote.",
        )
    if (wrong := first_not_finite(content["state_dict"])) is not None:
        raise InputError(name, f"its weights are not all finite numbers, as in {shown(wrong)}", OTHER)
    return content


def describe_checkpoint(content: dict[str, Any], name: str) -> Description:
    """Read a checkpoint's description; raises InputError where keys are missing or damaged.

    name: what messages call it, such as "checkpoint=PATH"; so for all that follow. What is described is no
    larger than the weights that the checkpoint has, so building it takes no more memory than they do.
    """
    version = shown(content[KEY].get("version", "unknown")).strip("'")
    try:
        description = Description.from_dict(content[KEY])
    except (FieldError, InputError) as error:
        reason = f"{error.what} {error.why}" if isinstance(error, InputError) else str(error)
        raise InputError(
            name,
            f"its description cannot be used: {reason} (written by version {version})",
            "read it with the version that wrote it, or train anew.",
        ) from None
    check_size(description, model_weights(content), name)
    return description


def check_size(description: Description, weights: Mapping[str, Any], name: str) -> None:
    """Raise InputError if the described model is far larger than `weights`, before it is built."""
    settings = {**with_own_weights(description.model), "adapt": None}
    try:
        with torch.device("meta"):  # shapes alone
            outline = build_recognizer(settings, len(description.charset))
    except InputError as error:
        raise unbuildable(name, error) from error
    channels, height = description.preprocess.channels, description.preprocess.height
    backbone: Any = outline.backbone
    if not backbone.reads(channels, height):
        lines = f"lines of {height} rows and {channels} channel{'s' * (channels > 1)}"
        raise InputError(name, f"prepares {lines}, which its backbone cannot read", OTHER)
    needed = sum(value.numel() for value in outline.state_dict().values())
    held = sum(value.numel() for value in weights.values() if isinstance(value, Tensor))
    if needed > 4 * held + 2**20:
        raise InputError(name, f"describes a model of {needed:,} numbers and holds {held:,} of them", OTHER)


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
    except (AttributeError, KeyError, TypeError, ValueError, IndexError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(
            name,
            f"its adapters cannot be merged: a tensor lacks or has another shape ({reason})",
            OTHER,
        ) from None
    if (wrong := first_not_finite(weights)) is not None:
        raise InputError(name, f"its adapters do not come to finite weights, as in {shown(wrong)}", OTHER)
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
        here, there = (_kind_and_shape(of.get(key)) for of in (expected, weights))
        if here is None or here != there:
            have, want = ("none" if it is None else _spelled(it, (here, there)) for it in (there, here))
            raise InputError(
                name,
                f"its weights are of another model: {shown(key)[1:-1]} is {have}, not {want}",
                "use the settings of the run that wrote it (its config.yaml lies beside its checkpoints).",
            )
    model.load_state_dict(weights)


def _kind_and_shape(value: Any) -> tuple[bool, list[int]] | None:
    return (value.is_floating_point(), list(value.shape)) if isinstance(value, Tensor) else None


def _spelled(it: tuple[bool, list[int]], both: tuple[Any, Any]) -> str:
    """Spell a shape, and the kind of its numbers where that is what differs."""
    differs = None not in both and both[0][1] == both[1][1]
    return f"{it[1]}{(' fractions' if it[0] else ' integers') if differs else ''}"
