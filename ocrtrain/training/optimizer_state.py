"""State of an optimizer, restored from a checkpoint beside settings that may be new."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ocrtrain.errors import InputError


def keep_own_settings(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    """Let `optimizer` keep its rates and decays when it loads a state, of which it takes the averages alone.

    Loading then raises InputError for a state that is another optimizer's or another model's.
    """
    optimizer.register_load_state_dict_pre_hook(with_own_settings)
    return optimizer


def with_own_settings(optimizer: torch.optim.Optimizer, saved: dict[str, Any]) -> dict[str, Any]:
    """Put the settings of `optimizer` in the place of those of a saved state."""
    groups, entries = saved.get("param_groups"), saved.get("state")
    if not isinstance(groups, list) or not isinstance(entries, dict):
        raise _other("it has no groups")
    theirs = [group.get("params") if isinstance(group, dict) else None for group in groups]
    own = optimizer.state_dict()["param_groups"]
    sizes = [len(numbers) if isinstance(numbers, list) else -1 for numbers in theirs]
    if sizes != [len(group["params"]) for group in own]:
        raise _other(f"it is of {sizes} tensors, not of {[len(group['params']) for group in own]}")
    for group, numbers in zip(optimizer.param_groups, theirs, strict=True):
        for parameter, number in zip(group["params"], numbers or [], strict=True):
            for name, value in (entries.get(number) or {}).items():
                if isinstance(value, Tensor) and value.ndim and value.shape != parameter.shape:
                    raise _other(f"{name} is {list(value.shape)}, not {list(parameter.shape)}")
    return {**saved, "param_groups": [{**g, "params": n} for g, n in zip(own, theirs, strict=True)]}


def _other(reason: str) -> InputError:
    return InputError(
        "resume",
        f"the checkpoint's optimizer state is of another optimizer or another model: {reason}",
        "go on with the run's own optimizer, or start a new run from the checkpoint's weights: init=PATH.",
    )
