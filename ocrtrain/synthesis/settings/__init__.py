"""Settings of conf/synthesis, one typed and checked class for each part of a generator."""

from ocrtrain.synthesis.settings.effects import ORIGINAL, EffectSettings
from ocrtrain.synthesis.settings.fonts import NO_TEXT_FONTS, FontSettings
from ocrtrain.synthesis.settings.layout import LayoutSettings, LineSize
from ocrtrain.synthesis.settings.texts import ALPHANUMERIC, TextSettings

__all__ = [
    "ALPHANUMERIC",
    "NO_TEXT_FONTS",
    "ORIGINAL",
    "EffectSettings",
    "FontSettings",
    "LayoutSettings",
    "LineSize",
    "TextSettings",
]
