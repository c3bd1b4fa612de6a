"""Lines and their texts, from disk or drawn -> padded batches."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ocrtrain.data.augmentation import Augment as Augment
    from ocrtrain.data.generated import GeneratedLines as GeneratedLines
    from ocrtrain.data.module import LineData as LineData

_PLACES = {"Augment": "augmentation", "GeneratedLines": "generated", "LineData": "module"}
__all__ = ["Augment", "GeneratedLines", "LineData"]


def __getattr__(name: str) -> Any:
    # Reading lines with a checkpoint must not wait for Lightning, which only `LineData` needs.
    if name in _PLACES:
        from importlib import import_module

        return getattr(import_module(f"ocrtrain.data.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
