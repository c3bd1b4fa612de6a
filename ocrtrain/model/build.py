"""Construction of a model from plain settings: what a checkpoint may construct, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import nn

from ocrtrain.errors import InputError
from ocrtrain.fields import CheckedFields, FieldError, shown
from ocrtrain.model.adapt import Adaptation
from ocrtrain.model.parts import checked_part, plain_part
from ocrtrain.model.recognizer import LineRecognizer

GROUPS = ("backbone", "encoder", "adapt")


def build_recognizer(settings: Mapping[str, Any], classes: int) -> LineRecognizer:
    """Build a recognizer of `classes` classes from `settings`: `backbone`, `encoder`, `adapt` and `dropout`.

    The first three name a class of this package under `_target_`; their other keys are its constructor's
    arguments. Raises InputError for any other class and for arguments that the class does not take.
    """
    backbone = construct(settings.get("backbone"), nn.Module, "backbone")
    encoder = construct(settings.get("encoder"), nn.Module, "encoder")
    dropout = dropout_of(settings)
    with named_mistakes("model"):
        model = LineRecognizer(backbone, encoder, classes, dropout)
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
    """Construct the class that `settings` names, a `kind` out of the table of `parts`, by a plain call.

    A checkpoint comes from anywhere, and a class name read from a file is code: so nothing is imported by it.
    Raises InputError for settings that no class of ours can be made with.
    """
    part, arguments = checked_part(settings, name)
    assert issubclass(part.made, kind)
    with named_mistakes(name):
        return part.made(**arguments)


def plain_settings(settings: object) -> dict[str, Any]:
    """Check the settings of a model that a file holds; what comes out is plain, and all of it is known.

    Raises InputError for what `build_recognizer` could not build.
    """
    if not isinstance(settings, Mapping):
        raise InputError(f"model={shown(settings)}", "must be a group of settings", "correct it.")
    for key in settings:
        if key not in GROUPS and key != "dropout":
            raise InputError(f"model.{shown(key)}", "is not a setting of a model", "leave it out.")
    plain = {name: plain_part(settings.get(name), name) for name in ("backbone", "encoder")}
    adapt = settings.get("adapt")
    return {
        **plain,
        "adapt": None if adapt is None or adapt == {} else plain_part(adapt, "adapt"),
        "dropout": dropout_of(settings),
    }


def dropout_of(settings: Mapping[str, Any]) -> float:
    """Read the dropout before the head; raises InputError for anything else."""
    value = settings.get("dropout", 0.0)
    try:
        return CheckedFields({"dropout": value}, "model").number("dropout", 0, 1)
    except FieldError as error:
        why = str(error).removeprefix("model.dropout ")
        raise InputError(f"model.dropout={shown(value)}", why, "give a number such as 0.1.") from None


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
