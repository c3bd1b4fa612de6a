"""Callbacks of a user's own: `callbacks='[{_target_: my_module.MyCallback, some_setting: 3}]'`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra.utils import instantiate
from lightning.pytorch import Callback

from ocrtrain.errors import InputError


def users_callbacks(parts: Sequence[dict[str, Any]]) -> list[Callback]:
    """Make the callbacks that the user's settings name; raises InputError for what is not one.

    They come from the command line or a preset alone: nothing that a checkpoint says gets here.
    """
    made = []
    for i, part in enumerate(parts):
        callback = instantiate(part, _convert_="all") if "_target_" in part else None
        if not isinstance(callback, Callback):
            raise InputError(
                f"callbacks.{i}={part.get('_target_', part)}",
                "must be a callback of Lightning's",
                "write callbacks='[{_target_: MODULE.CLASS}]', with a class derived from"
                " lightning.pytorch.Callback.",
            )
        made.append(callback)
    return made
