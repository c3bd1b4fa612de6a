"""A padded batch of lines -> log-probabilities of characters per frame; plain torch."""

from ocrtrain.model.recognizer import LineRecognizer

__all__ = ["LineRecognizer"]
