"""Words where a number belongs, such as `optimizer.lr=fast`: found before the command begins."""

from __future__ import annotations

import hydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ocrtrain.command_line.invocation import Invocation
from ocrtrain.command_line.presets import groups, settings
from ocrtrain.errors import InputError


def refuse_words_for_numbers(invocation: Invocation, config: DictConfig) -> None:
    """Raise `InputError` for a typed setting that is a text, where the presets have a number.

    What a preset gives as a text, a list or null may be of several kinds, and its owner judges it.
    """
    suspects = [
        key
        for key in (word.partition("=")[0] for word in invocation.overrides)
        if isinstance(OmegaConf.select(config, key, throw_on_resolution_failure=False), str)
    ]
    if not suspects:
        return
    known = groups(invocation)
    presets = [
        word for word in invocation.overrides if word.split("=")[0].split("@")[0].lstrip("+~") in known
    ]
    try:
        usual = settings(hydra.compose(invocation.config_name, presets))
    except (HydraException, OmegaConfBaseException, ValueError):
        return  # a multirun's presets, or those of an experiment of its own: nothing to compare with
    for key in suspects:
        if isinstance(usual.get(key), (int, float)) and not isinstance(usual[key], bool):
            raise InputError(
                f"{key}={OmegaConf.select(config, key)}", "is no number", f"It is {usual[key]} by default."
            )
