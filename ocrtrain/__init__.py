"""Train, judge and use recognizers of text lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ocrtrain.version import __version__

if TYPE_CHECKING:
    from ocrtrain.recognizer import Recognizer as Recognizer

__all__ = ["Recognizer", "__version__"]


def __getattr__(name: str) -> Any:
    # Importing torch takes seconds; `ocrtrain` alone (the help page) must not pay for it.
    if name == "Recognizer":
        from ocrtrain.recognizer import Recognizer

        return Recognizer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
