"""Log-probabilities to text, confidence and position."""

from ocrtrain.decoding.beam.decoder import BeamDecoder
from ocrtrain.decoding.greedy import GreedyDecoder
from ocrtrain.decoding.lm.language_model import LanguageModel
from ocrtrain.decoding.transcript import Character, Hypothesis, Transcript

__all__ = ["BeamDecoder", "Character", "GreedyDecoder", "Hypothesis", "LanguageModel", "Transcript"]
