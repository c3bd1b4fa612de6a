"""`fit`: trains a recognizer on lines."""

from ocrtrain.commands.fit.fit import run

__all__ = ["run"]
