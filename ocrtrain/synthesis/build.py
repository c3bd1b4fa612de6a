"""A generator built from the flat settings of conf/synthesis."""

from __future__ import annotations

import inspect
from dataclasses import fields
from typing import Any, TypeVar

from ocrtrain.errors import InputError
from ocrtrain.settings import read_settings
from ocrtrain.synthesis.generator import LineGenerator
from ocrtrain.synthesis.settings import EffectSettings, FontSettings, LayoutSettings, LineSize, TextSettings

SETTINGS = {
    setting.name: part
    for part in (TextSettings, LineSize, FontSettings, LayoutSettings, EffectSettings)
    for setting in fields(part)
}

Part = TypeVar("Part")


def build_generator(**settings: Any) -> LineGenerator:
    """Build a generator of lines; settings that are not given have the values of the original recipe.

    settings: fields of `TextSettings`, `LineSize`, `FontSettings`, `LayoutSettings` and `EffectSettings`.
    Raises `InputError` for a setting that does not exist or has a wrong value and, before any line is drawn,
    for texts that no font has all characters of.
    """
    for name in settings:
        if name not in SETTINGS:
            raise InputError(
                f"synthesis.{name}", "is not a setting", f"the settings are: {', '.join(SETTINGS)}."
            )

    def read(part: type[Part]) -> Part:
        own = {name: value for name, value in settings.items() if SETTINGS[name] is part}
        return read_settings(part, own, "synthesis")

    texts, size, fonts = read(TextSettings), read(LineSize), read(FontSettings)
    layout, effects = read(LayoutSettings), read(EffectSettings).chain(size.channels)
    mixture, charset = texts.open()
    typesetter = fonts.typesetter(charset)
    return LineGenerator(
        charset=charset,
        texts=mixture,
        fonts=fonts.choice(charset, typesetter.shaping),
        typesetter=typesetter,
        size=size,
        layout=layout,
        effects=effects,
    )


# The settings are its arguments for whoever asks: tests of presets, messages about misspelt ones, editors.
build_generator.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
    [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=getattr(part(), name))
        for name, part in SETTINGS.items()
    ],
    return_annotation=LineGenerator,
)
