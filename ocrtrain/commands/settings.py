"""Settings that several commands have, checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from ocrtrain.cores import usable_cores
from ocrtrain.errors import InputError


def plain(value: Any) -> Any:
    """Give a part of the configuration as plain Python types, its interpolations resolved."""
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def replaced(settings: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Copy nested settings with other values for some, which are named by their dotted keys."""
    copy = dict(settings)
    for key, value in values.items():
        first, _, rest = key.partition(".")
        copy[first] = replaced(copy.get(first) or {}, {rest: value}) if rest else value
    return copy


def whole_number(config: DictConfig, key: str, least: int, most: int = 2**63 - 1) -> int:
    """Take a whole number from `least` to `most`; raises `InputError` for anything else."""
    value = config[key]
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        limits = f"{least} or more" if most > 2**53 else f"{least} to {most}"
        raise InputError(f"{key}={value}", "does not fit", f"give a whole number, {limits}.")
    return value


def worker_count(config: DictConfig) -> int:
    """Take `workers`, by default one for each usable core."""
    return usable_cores() if config.workers is None else whole_number(config, "workers", 1)
