"""Parts of a model by shell-style patterns of their names."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable, Sequence

from torch import nn

from ocrtrain.errors import InputError


def trainable(model: nn.Module) -> list[str]:
    """Names of `model`'s parameters; a part that has none, such as an identity, stands as its name and a dot.

    A pattern such as `bridge.*` then fits a model with a bridge and one that needs none.
    """
    return _standing_for_empty(model, [name for name, _ in model.named_parameters()])


def adaptable(model: nn.Module, fits: Callable[[nn.Module], bool]) -> list[str]:
    """Names of `model`'s modules that `fits` accepts; a part without any stands as its name and a dot.

    So one list of patterns, such as `encoder.*`, fits every architecture, an encoder of LSTMs or none too.
    """
    return _standing_for_empty(model, [name for name, module in model.named_modules() if fits(module)])


def _standing_for_empty(model: nn.Module, names: list[str]) -> list[str]:
    filled = {name.partition(".")[0] for name in names}
    return names + [f"{part}." for part, _ in model.named_children() if part not in filled]


def match(names: Iterable[str], patterns: Sequence[str], setting: str) -> set[str]:
    """Names that match one of the shell-style patterns; raises InputError for a pattern that matches none."""
    names = list(names)
    matched: set[str] = set()
    for pattern in patterns:
        found = fnmatch.filter(names, pattern)
        if not found:
            known = ", ".join([name for name in names if not name.endswith(".")][:5])
            raise InputError(
                f"{setting}={pattern}", "matches nothing in this model", f"there are, for example, {known}."
            )
        matched.update(found)
    return matched
