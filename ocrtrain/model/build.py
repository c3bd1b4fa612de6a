"""From plain settings to a model: what a checkpoint's file may construct, and nothing else."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

from torch import nn

from ocrtrain.errors import InputError
from ocrtrain.model.adapt import Adaptation
from ocrtrain.model.recognizer import LineRecognizer

PACKAGE = "ocrtrain.model."


def build_recognizer(settings: Mapping[str, Any], classes: int) -> LineRecognizer:
    """Build a recognizer of `classes` classes from `settings`: `backbone`, `encoder`, `adapt` and `dropout`.

    The first three name a class of this package under `_target_`; their other keys are its constructor's
    arguments. Raises InputError for any other class and for arguments that the class does not take.
    """
    backbone = construct(settings["backbone"], nn.Module, "backbone")
    encoder = construct(settings["encoder"], nn.Module, "encoder")
    model = LineRecognizer(backbone, encoder, classes, float(settings.get("dropout", 0.0)))
    if settings.get("adapt"):
        construct(settings["adapt"], Adaptation, "adapt")(model)
    return model


def construct(settings: Mapping[str, Any], kind: type, name: str) -> Any:
    """Construct the class that `settings` names, a `kind` defined in this package's model code.

    A checkpoint comes from anywhere, and a class name read from a file is code: so nothing outside is imported.
    """
    target = str(settings.get("_target_", ""))
    module, _, attribute = target.rpartition(".")
    found = None
    if target.startswith(PACKAGE) and all(part.isidentifier() for part in target.split(".")):
        try:
            found = getattr(importlib.import_module(module), attribute, None)
        except ImportError:
            found = None
    if not (inspect.isclass(found) and issubclass(found, kind) and found.__module__.startswith(PACKAGE)):
        raise InputError(
            f"{name}._target_={target}",
            f"is no {kind.__name__} under {PACKAGE[:-1]}",
            f"choose one of the presets: {name}=NAME (see conf/{name}).",
        )
    arguments = {key: value for key, value in settings.items() if key != "_target_"}
    accepted = inspect.signature(found).parameters
    if not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in accepted.values()):
        for key in arguments:
            if key not in accepted:
                raise InputError(
                    f"{name}.{key}", f"is no setting of {attribute}", f"it has {', '.join(accepted)}."
                )
    return found(**arguments)
