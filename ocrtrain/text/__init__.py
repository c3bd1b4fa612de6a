"""Charset, normalization, direction, and the frames that CTC needs."""

from ocrtrain.text.charset import Charset, UnknownCharacters
from ocrtrain.text.feasibility import frames_needed
from ocrtrain.text.normalization import normalize
from ocrtrain.text.writing import Writing

__all__ = ["Charset", "UnknownCharacters", "Writing", "frames_needed", "normalize"]
