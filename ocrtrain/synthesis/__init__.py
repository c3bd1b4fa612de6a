"""Text, fonts and damages -> the picture of a line."""

from ocrtrain.synthesis.generator import ALPHANUMERIC, LineGenerator

__all__ = ["ALPHANUMERIC", "LineGenerator"]
