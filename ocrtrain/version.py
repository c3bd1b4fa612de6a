"""Version of the package, which checkpoints and reports name too."""

__version__ = "0.1.0"
