"""Callbacks of a training: each does one thing after a step or a validation."""
