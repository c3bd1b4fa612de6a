"""Drawing of text lines: texts, fonts and effects -> the picture of a line and its label."""

from ocrtrain.synthesis.build import build_generator
from ocrtrain.synthesis.generator import LineGenerator
from ocrtrain.synthesis.settings import ALPHANUMERIC

__all__ = ["ALPHANUMERIC", "LineGenerator", "build_generator"]
