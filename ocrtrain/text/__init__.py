"""Charset, normalization, and what CTC can express."""

from ocrtrain.text.charset import Charset, UnknownCharacters
from ocrtrain.text.feasibility import frames_needed
from ocrtrain.text.normalization import normalize

__all__ = ["Charset", "UnknownCharacters", "frames_needed", "normalize"]
