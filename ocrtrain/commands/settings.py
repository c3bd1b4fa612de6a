"""Settings that several commands have, checked."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig, ListConfig

from ocrtrain.cores import usable_cores
from ocrtrain.errors import InputError


def plain(value: Any) -> Any:
    """Give a setting of one path or several as a text or a list of texts."""
    return list(value) if isinstance(value, ListConfig) else value


def whole_number(config: DictConfig, key: str, least: int) -> int:
    """Take a whole number, `least` or more; raises `InputError` for anything else."""
    value = config[key]
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InputError(f"{key}={value}", "does not fit", f"give a whole number, {least} or more.")
    return value


def worker_count(config: DictConfig) -> int:
    """Take `workers`, by default one for each usable core."""
    return usable_cores() if config.workers is None else whole_number(config, "workers", 1)
