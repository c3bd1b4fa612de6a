"""A generator built from the flat settings of conf/synthesis."""

from __future__ import annotations

from typing import Any

from ocrtrain.settings import FlatSettings
from ocrtrain.synthesis.generator import LineGenerator
from ocrtrain.synthesis.settings import EffectSettings, FontSettings, LayoutSettings, LineSize, TextSettings

_SETTINGS = FlatSettings("synthesis", TextSettings, LineSize, FontSettings, LayoutSettings, EffectSettings)


def build_generator(**settings: Any) -> LineGenerator:
    """Build a generator of lines; settings that are not given have the values of the original recipe.

    settings: fields of `TextSettings`, `LineSize`, `FontSettings`, `LayoutSettings` and `EffectSettings`.
    Raises `InputError` for a setting that does not exist or has a wrong value and, before any line is drawn,
    for texts that no font has all characters of.
    """
    _SETTINGS.refuse_others(settings)
    size, layout = _SETTINGS.read(LineSize, settings), _SETTINGS.read(LayoutSettings, settings)
    texts, fonts = _SETTINGS.read(TextSettings, settings), _SETTINGS.read(FontSettings, settings)
    effects = _SETTINGS.read(EffectSettings, settings).chain(size.channels)
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
build_generator.__signature__ = _SETTINGS.signature(LineGenerator)  # type: ignore[attr-defined]
