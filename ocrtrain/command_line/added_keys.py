"""Keys that an experiment's file adds to the configuration without any effect, most often a misspelt one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ocrtrain.command_line import documentation
from ocrtrain.command_line.invocation import Invocation
from ocrtrain.command_line.mistakes import similar
from ocrtrain.command_line.presets import choices, preset, settings
from ocrtrain.errors import InputError


def refuse_added_keys(invocation: Invocation, config: DictConfig) -> None:
    """Raise `InputError` for a key that exists only because an experiment's file names it.

    Hydra refuses unknown keys on the command line but takes any from a file. The settings of an object
    (a node with `_target_`) are not looked at: its constructor refuses what it does not know.
    """
    whole = cast(DictConfig, HydraConfig.instance().cfg)  # Hydra declares it as the class that it mirrors
    chosen = {group: option for group, option in choices(whole).items() if isinstance(option, str)}
    wide = {}
    for group, option in chosen.items():
        file = preset(invocation, f"{group.split('@')[0]}/{option}")
        if file is not None and documentation.read(file).package == "_global_":
            wide[group] = file
    if not wide:
        return
    try:
        without = hydra.compose(
            invocation.config_name,
            [f"{group}={option}" for group, option in chosen.items() if group not in wide],
        )
    except (HydraException, OmegaConfBaseException, ValueError):
        return  # an experiment that brings its own groups: nothing to compare with
    known = OmegaConf.to_container(without, resolve=False)
    given = OmegaConf.to_container(config, resolve=False)
    assert isinstance(known, dict) and isinstance(given, dict)
    typed = {override.split("=")[0].lstrip("+") for override in invocation.overrides}
    added = [
        key
        for key in _added(given, known)
        if not any(key == name or key.startswith(f"{name}.") for name in typed)
    ]
    if added:
        meant = {name: None for key in added for name in similar(key, settings(without))[:1]}
        raise InputError(
            ", ".join(added),
            f"no such setting; named in {', '.join(str(file) for file in wide.values())}",
            f"Did you mean {', '.join(meant)}?" if meant else f"See {invocation.program} --cfg job",
        )


def _added(given: Mapping[Any, Any], known: Mapping[Any, Any], prefix: str = "") -> list[str]:
    added = []
    for key, value in given.items():
        if key not in known:
            added.append(f"{prefix}{key}")
        elif isinstance(value, dict) and "_target_" not in value and isinstance(known[key], dict):
            # What is empty by default is there to be filled.
            added += _added(value, known[key], f"{prefix}{key}.") if known[key] else []
    return added
