"""Sources of texts for drawn lines, mixed by their weights."""

from ocrtrain.synthesis.texts.corpus import Lines, Words
from ocrtrain.synthesis.texts.fields import Fields
from ocrtrain.synthesis.texts.made_up import MadeUp
from ocrtrain.synthesis.texts.mixture import Mixture
from ocrtrain.synthesis.texts.ngrams import NGrams
from ocrtrain.synthesis.texts.patterns import Patterns
from ocrtrain.synthesis.texts.source import TextSource
from ocrtrain.synthesis.texts.strings import RandomStrings

__all__ = [
    "Fields",
    "Lines",
    "MadeUp",
    "Mixture",
    "NGrams",
    "Patterns",
    "RandomStrings",
    "TextSource",
    "Words",
]
