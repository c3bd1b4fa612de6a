"""Classes of this package that settings may build, by name, with the type and range of each argument.

Settings come from the user, and from checkpoints, which come from anywhere. So nothing is imported by a name
that is read, and every value is checked before a class sees it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ocrtrain.errors import InputError
from ocrtrain.fields import CheckedFields, FieldError, shown
from ocrtrain.model.adapt import Bottleneck, Freeze, Full, Lora
from ocrtrain.model.backbones import CompactResNet, ResNet
from ocrtrain.model.encoders import (
    BiLSTMEncoder,
    IdentityEncoder,
    Mamba2Encoder,
    MambaEncoder,
    TransformerEncoder,
)
from ocrtrain.model.encoders.mamba_sizes import NORMS
from ocrtrain.model.ssm.backend import BACKENDS

Reader = Callable[[CheckedFields, str], Any]

PACKAGE = "ocrtrain.model"
MOST_ROWS = 1024  # of a line's image
MOST_FEATURES = 65_536
PATTERN = re.compile(r"[\w.*?!\[\]-]{1,200}")  # for names of modules and parameters


def integer(least: int, most: int) -> Reader:
    """Read an integer; where a class has more to say of a wrong one, `least` lets it."""
    return lambda fields, name: fields.integer(name, least, most)


def number(least: float, most: float) -> Reader:
    """Read a finite number; an integer stays one."""

    def read(fields: CheckedFields, name: str) -> float:
        checked = fields.number(name, least, most)
        given = fields.values[name]
        return given if type(given) is int else checked

    return read


def boolean(fields: CheckedFields, name: str) -> bool:
    """Read true or false."""
    return fields.boolean(name)


def one_of(*choices: str) -> Reader:
    """Read one of some names."""
    return lambda fields, name: fields.text(name, choices)


def text(fields: CheckedFields, name: str) -> str:
    """Read a text that only the user's own settings have: where to begin from."""
    return fields.text(name)


def optional(reader: Reader) -> Reader:
    """Let there be none."""
    return lambda fields, name: reader(fields, name) if name in fields else None


def rank_of_steps(fields: CheckedFields, name: str) -> int | str:
    """Read a rank, or "auto"."""
    return "auto" if fields.values[name] == "auto" else fields.integer(name, 1, MOST_FEATURES)


def stages(fields: CheckedFields, name: str) -> list[int]:
    """Read the channels of a stem and its stages."""

    def channels(value: Any) -> int:
        if type(value) is not int or not 1 <= value <= MOST_FEATURES:
            raise FieldError(f"must be integers from 1 to {MOST_FEATURES}")
        return value

    found = fields.items(name, channels)
    if len(found) > 32:
        raise FieldError(f"backbone.{name} must be at most 32 integers, not {len(found)}")
    return found


def patterns(fields: CheckedFields, name: str) -> list[str]:
    """Read patterns of names."""

    def pattern(value: Any) -> str:
        if type(value) is not str or not PATTERN.fullmatch(value):
            raise FieldError("must be names of parts, with the wildcards * ? [ ]")
        return value

    found = fields.items(name, pattern)
    if len(found) > 1000:
        raise FieldError(f"adapt.{name} must be at most 1000 patterns, not {len(found)}")
    return found


@dataclass(frozen=True, slots=True)
class Part:
    """A class and how each of its arguments is read; group: the settings that may name it."""

    group: str
    made: type
    arguments: Mapping[str, Reader]


LINES: dict[str, Reader] = {"in_channels": integer(1, 3), "height": integer(1, MOST_ROWS)}
WIDTH: dict[str, Reader] = {"width": integer(1, MOST_FEATURES)}
LAYERS: dict[str, Reader] = {**WIDTH, "layers": integer(0, 256), "dropout": number(0, 1)}
STATES: dict[str, Reader] = {
    "bidirectional": boolean,
    "d_state": integer(1, 4096),
    "d_conv": integer(1, 64),
    "expand": number(1 / 64, 64),
    "backend": one_of(*BACKENDS),
}
ADAPTERS: dict[str, Reader] = {
    "rank": integer(0, 1024),
    "alpha": number(1e-6, 1e6),
    "dropout": number(0, 1),
    "targets": patterns,
    "norms": boolean,
    "train": patterns,
}
PARTS = (
    Part("backbone", CompactResNet, {**LINES, "channels": stages, "out_channels": integer(1, MOST_FEATURES)}),
    Part(
        "backbone",
        ResNet,
        {
            **LINES,
            "depth": integer(1, 1000),
            "weights": optional(text),
            "out_channels": integer(1, MOST_FEATURES),
            "columns_per_frame": integer(1, 64),
        },
    ),
    Part("encoder", IdentityEncoder, WIDTH),
    Part("encoder", BiLSTMEncoder, LAYERS),
    Part(
        "encoder",
        TransformerEncoder,
        {**LAYERS, "heads": integer(0, MOST_FEATURES), "expand": number(1 / 64, 64)},
    ),
    Part(
        "encoder",
        MambaEncoder,
        {
            **LAYERS,
            **STATES,
            "dt_rank": rank_of_steps,
            "bias": boolean,
            "conv_bias": boolean,
            "d_model": optional(integer(1, MOST_FEATURES)),
            "norm": one_of(*NORMS),
            "norm_eps": number(0, 1),
            "residual_in_fp32": boolean,
            "pretrained": optional(text),
        },
    ),
    Part(
        "encoder",
        Mamba2Encoder,
        {
            **LAYERS,
            **STATES,
            "headdim": integer(0, MOST_FEATURES),
            "ngroups": integer(0, MOST_FEATURES),
            "chunk_size": integer(1, MOST_FEATURES),
        },
    ),
    Part("adapt", Full, {}),
    Part("adapt", Freeze, {"train": patterns}),
    Part("adapt", Lora, ADAPTERS),
    Part("adapt", Bottleneck, {**ADAPTERS, "width": integer(0, 8192), "lora_targets": patterns}),
)
# A class may be named by the module that it is in, as well.
BY_NAME = {
    f"{module}.{part.made.__name__}": part
    for part in PARTS
    for module in (part.made.__module__, part.made.__module__.rpartition(".")[0])
}


def checked_part(settings: Any, group: str) -> tuple[Part, dict[str, Any]]:
    """Find the class that `settings` name, a `group`'s, and check its arguments; those left out stay so.

    Raises InputError for any other class, for arguments that it does not take, and for values of another type
    or range.
    """
    if not isinstance(settings, Mapping):
        raise InputError(
            f"{group}={shown(settings)}",
            "must be a group of settings",
            f"choose one of the presets: {group}=NAME.",
        )
    target = settings.get("_target_")
    part = BY_NAME.get(target) if isinstance(target, str) else None
    if part is None or part.group != group:
        named = target if isinstance(target, str) and len(target) < 200 else shown(target)
        raise InputError(
            f"{group}._target_={named}",
            f"is not a class of {PACKAGE} for {group}",
            f"choose one of the presets: {group}=NAME (see conf/{group}).",
        )
    arguments: dict[str, Any] = {}
    for key, value in settings.items():
        if key == "_target_":
            continue
        if not isinstance(key, str) or key not in part.arguments:
            raise InputError(
                f"{group}.{key if isinstance(key, str) and len(key) < 200 else shown(key)}",
                f"is not a setting of {part.made.__name__}",
                f"it has {', '.join(part.arguments)}." if part.arguments else "leave it out.",
            )
        try:
            arguments[key] = part.arguments[key](CheckedFields({key: value}, group), key)
        except FieldError as error:
            why = str(error).removeprefix(f"{group}.{key} ")
            raise InputError(f"{group}.{key}={shown(value)}", why, "correct it.") from None
    return part, arguments


def plain_part(settings: Any, group: str) -> dict[str, Any]:
    """Give `settings`, checked, as plain values that nothing is read into but what they are."""
    part, arguments = checked_part(settings, group)
    return {"_target_": f"{part.made.__module__.rpartition('.')[0]}.{part.made.__name__}", **arguments}
