"""From plain settings to a model: what a checkpoint's file may construct, and nothing else."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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
    backbone = construct(settings.get("backbone"), nn.Module, "backbone")
    encoder = construct(settings.get("encoder"), nn.Module, "encoder")
    with named_mistakes("model"):
        model = LineRecognizer(backbone, encoder, classes, float(settings.get("dropout", 0.0)))
    adapt_recognizer(model, settings.get("adapt"))
    return model


def adapt_recognizer(model: LineRecognizer, settings: Any) -> None:
    """Add adapters to `model`, which has the base's weights by now, and freeze what is not to be trained."""
    if settings:
        construct(settings, Adaptation, "adapt")(model)
    # Batch norms frozen just now are still in training mode, and Lightning keeps modes as it finds them.
    model.train()


def self_contained(settings: Mapping[str, Any], model: LineRecognizer) -> dict[str, Any]:
    """Give the `settings` of `model` in such a form that it can be built with nothing else at hand.

    What a part took from files elsewhere, such as the sizes of a pretrained encoder, it has as `settled`.
    """
    settled = dict(settings)
    for name in ("backbone", "encoder"):
        settled[name] = {**settings[name], **getattr(getattr(model, name), "settled", {})}
    return settled


def construct(settings: Any, kind: type, name: str) -> Any:
    """Construct the class that `settings` names, a `kind` defined in this package's model code.

    A checkpoint comes from anywhere, and a class name read from a file is code: so nothing outside is
    imported. Raises InputError for settings that no class of ours can be made with.
    """
    if not isinstance(settings, Mapping):
        raise InputError(
            f"{name}={settings}", "is no group of settings", f"choose one of the presets: {name}=NAME."
        )
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
    with named_mistakes(name):
        return found(**arguments)


@contextmanager
def named_mistakes(name: str) -> Iterator[None]:
    """Turn whatever a constructor makes of values that it cannot use into an InputError about `name`."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise InputError(name, f"cannot be built from its settings: {reason}", "correct them.") from error
