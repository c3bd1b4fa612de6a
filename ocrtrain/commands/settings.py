"""The way from Hydra's configuration to the typed settings of a command, and to the objects that it names.

Each command reads its configuration once, at the top of its `run`, into a dataclass of its own; conf/ holds
the defaults and the descriptions, which `--help` shows.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from ocrtrain.cores import usable_cores
from ocrtrain.errors import InputError
from ocrtrain.settings import read_settings

T = TypeVar("T")

Part = dict[str, Any]  # what a preset says of a class: `_target_` and arguments


def plain(value: Any) -> Any:
    """Give a part of the configuration as plain Python types, its interpolations resolved."""
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def read_config(kind: type[T], config: DictConfig) -> T:
    """Read the settings of a command, each as its dataclass `kind` has it; raises InputError as `checked`.

    Keys at the top that `kind` does not have are left alone: `debug`, which the command line has read, and
    a user's own, for other settings to refer to.
    """
    names = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    return read_settings(kind, {key: value for key, value in plain(config).items() if key in names})


def build(part: Part) -> Any:
    """Build the object that a preset names; raises the InputError that its class raises."""
    try:
        return instantiate(part, _convert_="all")
    except InstantiationException as error:
        if isinstance(error.__cause__, InputError):
            raise error.__cause__ from None
        raise


def replaced(settings: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Copy nested settings with other values for some, which are named by their dotted keys."""
    copy = dict(settings)
    for key, value in values.items():
        first, _, rest = key.partition(".")
        copy[first] = replaced(copy.get(first) or {}, {rest: value}) if rest else value
    return copy


def worker_count(workers: int | None) -> int:
    """Say how many processes to use, by default one for each usable core."""
    return usable_cores() if workers is None else workers
