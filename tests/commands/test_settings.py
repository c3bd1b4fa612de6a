"""The settings of commands: the same in conf/ and in the code, each checked where it enters."""

from __future__ import annotations

import dataclasses
from copy import deepcopy
from typing import Any, get_type_hints

import pytest
from omegaconf import DictConfig, OmegaConf

from ocrtrain.command_line.invocation import parse
from ocrtrain.command_line.presets import choices, compose, settings
from ocrtrain.commands.audit import AuditSettings
from ocrtrain.commands.clean import CleanSettings
from ocrtrain.commands.convert import ConvertSettings
from ocrtrain.commands.evaluate import EvaluateSettings
from ocrtrain.commands.fit.settings import FitSettings, read_fit_settings
from ocrtrain.commands.generate import GenerateSettings
from ocrtrain.commands.lm_build import LmBuildSettings
from ocrtrain.commands.lm_convert import LmConvertSettings
from ocrtrain.commands.lm_tune import LmTuneSettings
from ocrtrain.commands.predict import PredictSettings
from ocrtrain.commands.settings import build, plain, read_config
from ocrtrain.commands.sweep.settings import SweepSettings
from ocrtrain.errors import InputError

KINDS: dict[str, type] = {
    "fit": FitSettings,
    "evaluate": EvaluateSettings,
    "predict": PredictSettings,
    "generate": GenerateSettings,
    "audit": AuditSettings,
    "convert": ConvertSettings,
    "sweep": SweepSettings,
    "lm build": LmBuildSettings,
    "lm tune": LmTuneSettings,
    "lm convert": LmConvertSettings,
    "clean": CleanSettings,
}
# By the command line, and, in `fit`, by the data whose lines are drawn.
READ_ELSEWHERE = {"debug", "synthesis"}


def complete(command: str) -> DictConfig:
    """The configuration of a command, with something in the place of all that must be given."""
    config = compose(parse(command, []), [])
    config = OmegaConf.masked_copy(config, [key for key in config if key != "hydra"])
    OmegaConf.set_struct(config, False)
    for key, value in settings(config).items():
        if value == "???":
            OmegaConf.update(config, key, "x")
    return config


def names(kind: Any, prefix: str = "") -> set[str]:
    """The dotted names of a dataclass's fields; those within a field that is a dataclass stand for it."""
    hints, found = get_type_hints(kind), set[str]()
    for field in dataclasses.fields(kind):
        inner = hints[field.name]
        nested = dataclasses.is_dataclass(inner)
        found |= names(inner, f"{prefix}{field.name}.") if nested else {prefix + field.name}
    return found


@pytest.mark.parametrize("command", [command for command in KINDS if command not in ("fit", "sweep")])
def test_a_command_has_the_settings_that_its_file_names(command: str) -> None:
    config = complete(command)
    groups = set(choices(compose(parse(command, []), [])))
    keys = {key if (first := key.split(".")[0]) not in groups else first for key in settings(config)}
    assert names(KINDS[command]) == keys - {"debug"}


def test_fit_and_sweep_have_the_settings_that_their_files_name() -> None:
    fit, sweep = complete("fit"), complete("sweep")
    ours = {field.name for field in dataclasses.fields(FitSettings)} - {"record"}
    assert ours == set(fit) - READ_ELSEWHERE - {"experiment"}
    own = {field.name for field in dataclasses.fields(SweepSettings)}
    assert set(sweep) - set(fit) <= own and own <= set(sweep)


def read(command: str, config: DictConfig) -> Any:
    return read_fit_settings(plain(config)) if command == "fit" else read_config(KINDS[command], config)


GIVEN: list[Any] = ["word", ["one", "two"], [], [["a"]], {"a": "b"}, 1850, True, -1, 0.5]


@pytest.mark.parametrize("command", KINDS)
def test_every_setting_is_taken_as_it_is_meant_or_refused_by_its_name(command: str) -> None:
    config = complete(command)
    if command == "fit":
        config.trainer.max_steps = 1
    presets = tuple(f"{group}." for group in choices(compose(parse(command, []), [])))
    for key in settings(config):
        if command == "fit" and key == "run":  # whatever it is given becomes a text
            continue
        if key in READ_ELSEWHERE or key.startswith(presets) or (command == "sweep" and key not in SWEEP):
            continue
        for given in GIVEN:
            changed = deepcopy(config)
            OmegaConf.update(changed, key, given, merge=False)
            try:
                value = read(command, changed)
            except InputError as error:
                assert str(error).startswith(f"{key}="), f"{key}={given}: {error}"
                assert error.why.startswith("must be ")
                continue
            for name in key.split("."):
                value = getattr(value, name) if not isinstance(value, dict) else value[name]
            assert value in (given, [given], str(given).lower(), [str(given).lower()]), key


SWEEP = {field.name for field in dataclasses.fields(SweepSettings)}


def test_an_object_is_built_as_its_preset_says() -> None:
    assert str(build({"_target_": "fractions.Fraction", "numerator": "1/3"})) == "1/3"
    with pytest.raises(InputError, match="must be one of NFC"):
        build({"_target_": "ocrtrain.text.Writing", "normalization": "NFD"})
