"""Lines of a run, made from the flat settings of conf/data."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ocrtrain.data.images.preprocess import Preprocess
from ocrtrain.data.line_sets import LineSets
from ocrtrain.data.settings import (
    BatchSettings,
    CharsetSettings,
    CheckSettings,
    RandomSettings,
    SourceSettings,
)
from ocrtrain.settings import FlatSettings

_SETTINGS = FlatSettings(
    "data", SourceSettings, Preprocess, CharsetSettings, CheckSettings, BatchSettings, RandomSettings
)


def build_line_sets(**settings: Any) -> LineSets:
    """Make the lines of a run, to be opened; settings that are not given have the defaults of their classes.

    settings: fields of `SourceSettings`, `Preprocess`, `CharsetSettings`, `CheckSettings`, `BatchSettings`
    and `RandomSettings`. Raises `InputError` for one that does not exist or has a wrong value.
    """
    _SETTINGS.refuse_others(settings)
    preprocess = _SETTINGS.read(Preprocess, settings)
    if preprocess.channels == 3:  # colours stay as they are
        preprocess = replace(preprocess, ink=False)
    drawn = _SETTINGS.read(RandomSettings, settings)
    return LineSets(
        _SETTINGS.read(SourceSettings, settings),
        preprocess,
        _SETTINGS.read(CharsetSettings, settings),
        _SETTINGS.read(CheckSettings, settings),
        _SETTINGS.read(BatchSettings, settings),
        drawn.augment,
        drawn.seed,
    )


# The settings are its arguments for whoever asks: tests of presets, messages about misspelt ones, editors.
build_line_sets.__signature__ = _SETTINGS.signature(LineSets)  # type: ignore[attr-defined]
