"""Lists, texts, mappings and numbers where another kind is meant: taken as what is meant, or refused."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from omegaconf import OmegaConf

from ocrtrain.command_line.invocation import TEXTS, parse
from ocrtrain.command_line.kinds import LISTS, OPEN, PATHS, of_presets, settle
from ocrtrain.command_line.presets import compose
from ocrtrain.errors import InputError

GIVEN: list[Any] = ["word", ["one", "two"], [], [["a"]], {"a": "b"}, 1850, True]


@pytest.mark.parametrize("command", ["fit", "sweep", "evaluate", "predict", "generate"])
def test_every_setting_of_a_preset_gets_its_kind_or_a_message(command: str) -> None:
    config = compose(parse(command, []), [])
    usual = of_presets(config)
    assert usual and (command not in ("fit", "sweep") or usual.keys() >= PATHS)
    for key, preset in usual.items():
        for given in GIVEN:
            changed = deepcopy(config)
            OmegaConf.set_struct(changed, False)
            OmegaConf.update(changed, key, given, merge=False)
            try:
                settle(changed, usual)
            except InputError as error:
                assert str(error).startswith(f"{key}={given}: must be ")
                continue
            value = OmegaConf.select(changed, key)
            plain = OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
            if any(key == name or key.startswith(f"{name}.") for name in OPEN):
                assert plain == given
            elif key in LISTS or (isinstance(preset, list) and preset and isinstance(preset[0], str)):
                assert isinstance(plain, list) and all(isinstance(item, str) for item in plain)
                assert plain == given or plain == [str(given).lower()]
            elif isinstance(preset, list):
                assert isinstance(plain, list)
            elif key in PATHS:
                assert plain in ("word", ["one", "two"], "1850", "true")
            else:
                assert not isinstance(plain, list | dict)
                assert isinstance(plain, str) or key not in TEXTS


@pytest.mark.parametrize(
    ("word", "taken"),
    [
        ("data.train=007", "data.train=007"),
        ("data.train=1850", "data.train='1850'"),
        ("run=1e3", "run='1e3'"),
        ("output=true", "output='true'"),
        ("data.val=null", "data.val=null"),
        ("data.val=[a,b]", "data.val=[a,b]"),
        ("optimizer.lr=1e3", "optimizer.lr=1e3"),
    ],
)
def test_paths_that_look_like_numbers(word: str, taken: str) -> None:
    assert parse("fit", [word]).overrides == [taken]
