"""The formats that lines are stored in: what recognises them, what reads and what writes each."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ocrtrain.data.formats.columns import Columns as Columns
    from ocrtrain.data.formats.detect import open_lines as open_lines

_PLACES = {"Columns": "columns", "open_lines": "detect"}
__all__ = ["Columns", "open_lines"]


def __getattr__(name: str) -> Any:
    # The readers import `pairing` and `stored`, which ask `formats.naming` for files: neither may come first.
    if name in _PLACES:
        from importlib import import_module

        return getattr(import_module(f"ocrtrain.data.formats.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
