"""Replacement of modules inside a model by others that compute the same in another way."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn


def replace_modules(model: nn.Module, replacement: Callable[[nn.Module], nn.Module | None]) -> None:
    """Put `replacement(module)` in the place of each module inside `model`; where it is None, look inside.

    Names stay, and so do parameters if the replacement takes over those of the module that it is given.
    """
    for name, module in list(model.named_children()):
        new = replacement(module)
        if new is None:
            replace_modules(module, replacement)
        else:
            setattr(model, name, new.train(module.training))
