"""Log-probabilities to text, confidence and position."""

from ocrtrain.decoding.greedy import GreedyDecoder
from ocrtrain.decoding.transcript import Character, Transcript

__all__ = ["Character", "GreedyDecoder", "Transcript"]
