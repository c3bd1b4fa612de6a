"""Lines and their texts, from disk or drawn -> padded batches."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ocrtrain.data.images.augment import Augment as Augment
    from ocrtrain.data.lines.generated import GeneratedLines as GeneratedLines
    from ocrtrain.training.data_module import LineData as LineData

_PLACES = {
    "Augment": "ocrtrain.data.images.augment",
    "GeneratedLines": "ocrtrain.data.lines.generated",
    "LineData": "ocrtrain.training.data_module",
}
__all__ = ["Augment", "GeneratedLines", "LineData"]


def __getattr__(name: str) -> Any:
    # Reading lines with a checkpoint must not wait for Lightning, which only `LineData` needs.
    if name in _PLACES:
        from importlib import import_module

        return getattr(import_module(_PLACES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
