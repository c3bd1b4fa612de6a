"""`sweep`: searches for settings of `fit` that read better."""

from ocrtrain.commands.sweep.sweep import run

__all__ = ["run"]
