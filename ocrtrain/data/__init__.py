"""Lines and their texts, from disk or drawn -> padded batches."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ocrtrain.data.build import build_line_sets as build_line_sets
    from ocrtrain.data.images.augment import Augment as Augment
    from ocrtrain.data.line_sets import LineSets as LineSets
    from ocrtrain.data.lines.generated import GeneratedLines as GeneratedLines

_PLACES = {
    "Augment": ("images.augment", "Augment"),
    "GeneratedLines": ("lines.generated", "GeneratedLines"),
    "LineSets": ("line_sets", "LineSets"),
    "build_line_sets": ("build", "build_line_sets"),
    "LineData": ("build", "build_line_sets"),  # its name in presets that users wrote before
}
__all__ = ["Augment", "GeneratedLines", "LineSets", "build_line_sets"]


def __getattr__(name: str) -> Any:
    # Reading lines with a checkpoint must not wait for the generator of lines, which only these need.
    if name in _PLACES:
        from importlib import import_module

        module, own = _PLACES[name]
        return getattr(import_module(f"ocrtrain.data.{module}"), own)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
