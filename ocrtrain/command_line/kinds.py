"""Whether a setting is given the kind of value that it takes: one or a list, a text or a number.

Hydra guesses from the spelling: `fonts=system` is a text where a list is meant, `data.val=[a,b]` a list.
What is meant is told by the presets' own values, and by the tables here where those are null. Each setting
of every command passes here, once, before the command begins.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import hydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from ocrtrain.command_line.invocation import TEXTS, Invocation
from ocrtrain.command_line.presets import groups, settings
from ocrtrain.errors import InputError

# Those that take several, one after the other.
SEVERAL = {
    "fit": {"data.train", "data.val"},
    "sweep": {"data.train", "data.val"},
    "evaluate": {"data.test", "truth", "calibrate", "checkpoint", "predictions"},
    "audit": {"data.train", "data.val", "data.test"},
    "convert": {"input"},
    "lm build": {"text"},
    "lm tune": {"data.val"},
}
# Lists of texts that are null by default.
LISTS = {"synthesis.only_fonts"}
# Of several kinds by nature: their owners judge them.
OPEN = {
    *("data.mix", "data.augment", "synthesis.texts", "synthesis.effects", "synthesis.font_weights"),
    *("synthesis.pitch", "synthesis.charset", "synthesis.words", "space", "gpus", "trainer.devices"),
    *("trainer.strategy", "backbone.weights", "logger", "decoder.lexicon", "decoder.pattern"),
}


def settle_kinds(invocation: Invocation, config: DictConfig) -> None:
    """Settle the kinds of all settings of a command as its presets have them; raises as `settle`."""
    settle(config, _usual(invocation), SEVERAL.get(invocation.command, set()))


def settle(config: DictConfig, usual: Mapping[str, Any], several: Collection[str]) -> None:
    """Make a list of one where a list is meant, and a text of a number where a path is meant.

    usual: the settings as the presets have them, by dotted keys; several: those that take one path or more.
    Raises `InputError` for a list or a mapping where one value is meant, and for a text where a list of
    numbers is. Settings of `OPEN`, and those that no preset has, are left alone.
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
        settled = _settled(key, plain, preset, several)
        if settled is not plain:
            with open_dict(config):
                OmegaConf.update(config, key, settled, merge=False)


def _settled(key: str, value: Any, usual: Any, several: Collection[str]) -> Any:
    shown = f"{key}={value}"
    if key in LISTS or (isinstance(usual, list) and all(isinstance(item, str) for item in usual) and usual):
        if isinstance(value, Mapping):
            raise InputError(shown, "must be a list", f"Write '{key}=[ONE,ANOTHER]'.")
        items = value if isinstance(value, list) else [value]
        if any(isinstance(item, list | Mapping) for item in items):
            raise InputError(shown, "must be a list of texts", f"Write '{key}=[ONE,ANOTHER]'.")
        texts = [_text(item) for item in items]
        return value if texts == value else texts
    if isinstance(usual, list):
        if isinstance(value, list):
            return value
        example = str(usual).replace(" ", "") if usual else "[...]"
        if isinstance(value, str | Mapping | bool) or len(usual) == 2 or not usual:
            raise InputError(shown, "must be a list", f"Write it as '{key}={example}'.")
        return [value]
    if key in several:
        items = value if isinstance(value, list) else [value]
        if isinstance(value, Mapping):  # a source of lines that is an object
            if "_target_" in value:
                return value
            raise InputError(
                shown, "must be a path or a list of paths", f"Write {key}=DIR or '{key}=[DIR,DIR]'."
            )
        if not items or any(isinstance(item, list | Mapping) or item is None for item in items):
            raise InputError(
                shown, "must be a path or a list of paths", f"Write {key}=DIR or '{key}=[DIR,DIR]'."
            )
        texts = [_text(item) for item in items]
        settled = texts if isinstance(value, list) else texts[0]
        return value if settled == value else settled
    if isinstance(value, list | Mapping):
        if isinstance(usual, Mapping) or (isinstance(value, Mapping) and "_target_" in value):
            return value
        found = "a list" if isinstance(value, list) else "a mapping"
        raise InputError(shown, f"must be one value, not {found}", f"Write {key}=VALUE, without brackets.")
    return _text(value) if key in TEXTS and not isinstance(value, str) else value


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _usual(invocation: Invocation) -> dict[str, Any]:
    """Give the settings as the chosen presets have them, before what was typed."""
    known = groups(invocation)
    words = [word for word in invocation.overrides if word.split("=")[0].split("@")[0].lstrip("+~") in known]
    # An experiment changes values, and the kind of a setting is told by its own preset.
    words = [word for word in words if not word.lstrip("+").startswith("experiment=")]
    try:
        return settings(hydra.compose(invocation.config_name, words))
    except (HydraException, OmegaConfBaseException, ValueError):
        return {}  # a multirun's presets: nothing to compare with
