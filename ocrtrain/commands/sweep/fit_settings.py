"""The configuration of `fit` as a search gives it to its trials, and the command of one training."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ocrtrain.command_line.mistakes import similar
from ocrtrain.command_line.presets import built_in, choices, settings
from ocrtrain.command_line.quoting import quoted
from ocrtrain.errors import InputError
from ocrtrain.sweep.space import Choices, Space, as_override

# Settings of both commands that mean another thing in `sweep`, or nothing at all.
NOT_OF_TRIALS = ("run", "runs", "debug")


def compose_fit(words: Sequence[str]) -> DictConfig:
    """Compose the configuration of `fit` with these settings, Hydra's own part included."""
    return hydra.compose("fit", list(words), return_hydra_config=True)


def words_for_fit(config: DictConfig) -> list[str]:
    """Give those of the settings typed, as they were typed, that every trial is given."""
    fit = OmegaConf.to_container(hydra.compose("fit"), resolve=False)
    assert isinstance(fit, dict)
    own = {str(key) for key in config if key not in fit} | {*NOT_OF_TRIALS, "sampler", "pruner"}
    return [word for word in HydraConfig.get().overrides.task if key_of(word).split(".")[0] not in own]


def chosen_settings(config: DictConfig) -> dict[str, Any]:
    """Give every setting by its key, and the presets of the groups by theirs."""
    return {**settings(config), **choices(config)}


def identity(config: DictConfig) -> str:
    """Write down what the trainings of a search have in common."""
    fixed = {key: v for key, v in settings(config).items() if key.split(".")[0] not in NOT_OF_TRIALS}
    return json.dumps(fixed, sort_keys=True, default=str)


def key_of(word: str) -> str:
    """Give the key of a setting as it was typed."""
    return word.partition("=")[0].lstrip("+~").split("@")[0]


def preset_folders() -> list[Path]:
    """List the folders of presets: the built-in one, and the user's if there is one."""
    sources = HydraConfig.get().runtime.config_sources
    others = [Path(source.path) for source in sources if source.provider == "command-line"]
    return [built_in(), *others]


def training_command(
    words: Sequence[str], values: Mapping[str, Any], place: Path, checkpoint: Path | None
) -> list[str]:
    """Give the command of one training.

    words: settings of all trials, as they were typed; values: its own, by their keys; place: its folder;
    checkpoint: where it goes on from, None for a beginning.
    """
    own = [f"runs={quoted(str(place.parent))}", f"run={place.name}"]
    own.append("overwrite=true" if checkpoint is None else f"resume={quoted(str(checkpoint))}")
    flags = [f"--config-dir={folder}" for folder in preset_folders()[1:]]
    given = [word for word in words if key_of(word) not in values]
    searched = [as_override(key, value) for key, value in values.items()]
    return [sys.executable, "-m", "ocrtrain", "fit", *flags, *given, *searched, *own]


def check_keys(space: Space, words: Sequence[str]) -> None:
    """Raise InputError for a key that is not a setting of `fit`, whichever presets the search chooses."""
    base = choices(compose_fit(words))
    groups = {key: p for key, p in space.parameters.items() if key in base}
    for key, parameter in groups.items():
        if not isinstance(parameter, Choices):
            raise InputError(f"{space.source}: {key}", "is a choice of presets", "list their names: [a, b].")
    options = [[(key, option) for option in cast(Choices, p).values] for key, p in groups.items()]
    for picked in itertools.product(*options):
        chosen = [as_override(key, option) for key, option in picked]
        try:
            config = compose_fit([*words, *chosen])
        except (HydraException, OmegaConfBaseException, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"{space.source}: {', '.join(chosen)}", reason, "name a preset.") from error
        known = settings(config)
        for key in space.parameters.keys() - groups.keys() - known.keys():
            raise _unknown(space, key, chosen, {*known, *choices(config)} - {key})


def _unknown(space: Space, key: str, chosen: Sequence[str], known: set[str]) -> InputError:
    having = f" with {', '.join(chosen)}" if chosen else ""
    within = sorted(name for name in known if name.startswith(f"{key}."))
    meant = within[:3] or similar(key, known)
    return InputError(
        f"{space.source}: {key}",
        f"is {'not a single setting' if within else 'not a setting'} of fit{having}",
        f"Did you mean {' or '.join(meant)}?" if meant else "All settings: python -m ocrtrain fit --cfg job",
    )
