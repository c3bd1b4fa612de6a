"""Settings of what presets build, compared with the presets: one value or a list, a text or a number.

Hydra guesses a value's kind from its spelling: `fonts=system` is a text where a list is meant. What a command
is told itself, its own dataclass reads. What is built from a preset may be any class, torch's or a user's
own, so its settings are compared with the preset's, once, before the command begins.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import hydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from ocrtrain.command_line.invocation import TEXTS, Invocation
from ocrtrain.command_line.presets import choices, groups, settings
from ocrtrain.errors import InputError

PATHS = {"data.train", "data.val"}  # one path or several
LISTS = {"synthesis.only_fonts"}  # lists of texts that are null by default
# Of several kinds by nature: their owners judge them.
OPEN = {
    *("data.mix", "data.augment", "synthesis.texts", "synthesis.effects", "synthesis.font_weights"),
    *("synthesis.pitch", "synthesis.charset", "synthesis.words", "trainer.devices"),
    *("trainer.strategy", "backbone.weights", "logger", "decoder.lexicon", "decoder.pattern"),
}


def settle_kinds(invocation: Invocation, config: DictConfig) -> None:
    """Settle the kinds of the settings of all presets of a command; raises InputError as `settle`."""
    known = groups(invocation)
    words = [word for word in invocation.overrides if word.split("=")[0].split("@")[0].lstrip("+~") in known]
    # An experiment changes values, and the kind of a setting is told by its own preset.
    words = [word for word in words if not word.lstrip("+").startswith("experiment=")]
    try:
        usual = hydra.compose(invocation.config_name, words, return_hydra_config=True)
    except (HydraException, OmegaConfBaseException, ValueError):
        return  # a multirun's presets, or those of an experiment of its own: nothing to compare with
    settle(config, of_presets(usual))


def of_presets(usual: DictConfig) -> dict[str, Any]:
    """Give the settings of `usual`, by dotted keys, that a group of presets brings."""
    brought = tuple(f"{group.replace('/', '.')}." for group in choices(usual))
    return {key: value for key, value in settings(usual).items() if key.startswith(brought)}


def settle(config: DictConfig, usual: Mapping[str, Any]) -> None:
    """Make a list of one where a list is meant, and a text of a number where a path is meant.

    usual: settings as the presets have them, by dotted keys. Raises InputError for a list or a mapping where
    one value is meant, and for a text where a number or a list of numbers is. Settings of `OPEN` are left
    alone.
    """
    given = settings(config)
    for key, preset in usual.items():
        if isinstance(raw := given.get(key), str) and "${" in raw:  # another setting's value, judged there
            continue
        if any(key == name or key.startswith(f"{name}.") for name in OPEN):
            continue
        value = OmegaConf.select(config, key, throw_on_resolution_failure=False)
        if value is None or value == "???":
            continue
        plain = OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
        settled = _settled(key, plain, preset)
        if settled != plain:
            with open_dict(config):
                OmegaConf.update(config, key, settled, merge=False)


def _settled(key: str, value: Any, usual: Any) -> Any:
    def refuse(must: str, way_on: str) -> InputError:
        return InputError(f"{key}={value}", f"must be {must}", way_on)

    items = value if isinstance(value, list) else [value]
    nested = any(isinstance(item, list | Mapping) or item is None for item in items)
    if key in PATHS:
        if isinstance(value, Mapping) and "_target_" in value:  # a source of lines that is an object
            return value
        if nested or not items:
            raise refuse("a path or a list of paths", f"Write {key}=DIR or '{key}=[DIR,DIR]'.")
        texts = [_text(item) for item in items]
        return texts if isinstance(value, list) else texts[0]
    if key in LISTS or (isinstance(usual, list) and usual and all(isinstance(item, str) for item in usual)):
        if nested:
            raise refuse("a list of texts", f"Write '{key}=[ONE,ANOTHER]'.")
        return [_text(item) for item in items]
    if isinstance(usual, list):
        if isinstance(value, list):
            return value
        if isinstance(value, str | Mapping | bool) or len(usual) == 2 or not usual:
            example = str(usual).replace(" ", "") if usual else "[...]"
            raise refuse("a list", f"Write it as '{key}={example}'.")
        return [value]
    if isinstance(value, list | Mapping):
        if isinstance(usual, Mapping) or (isinstance(value, Mapping) and "_target_" in value):
            return value
        found = "a list" if isinstance(value, list) else "a mapping"
        raise refuse(f"one value, not {found}", f"Write {key}=VALUE, without brackets.")
    if isinstance(value, str) and isinstance(usual, int | float) and not isinstance(usual, bool):
        raise refuse("a number", f"It is {usual} by default.")
    return _text(value) if key in TEXTS else value


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
