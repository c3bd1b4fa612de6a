"""Training all of a model's parameters, or some."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from ocrtrain.model.adapt.patterns import match, trainable

ADDED = (".lora_", ".bottleneck.")  # in the name of every tensor that an adaptation adds to a model


class Adaptation(ABC):
    """Prepares a recognizer for training, in place; its weights must be the base's by then."""

    adds = False  # whether it adds adapters, which can be saved alone

    @abstractmethod
    def __call__(self, model: nn.Module) -> None:
        """Add what is to be added to `model`, and freeze what is to be frozen."""

    def merge(self, weights: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Any] | None]:
        """Fold adapters into the weights of an adapted model, as far as that leaves its outputs as they are.

        Returns the weights, by the plain model's names, and the settings of the adaptation that remains.
        """
        return dict(weights), None


class Full(Adaptation):
    """Train every parameter."""

    def __call__(self, model: nn.Module) -> None:
        model.requires_grad_(True)


class Freeze(Adaptation):
    """Train only the parameters whose names match one of the patterns `train` (shell wildcards)."""

    def __init__(self, train: Sequence[str] = ("encoder.*", "bridge.*", "head.*")) -> None:
        self.train = list(train)

    def __call__(self, model: nn.Module) -> None:
        train_only(model, match(trainable(model), self.train, "adapt.train"))


def train_only(model: nn.Module, trained: Collection[str]) -> None:
    """Train what an adaptation added and the parameters `trained`, by the names that they had before."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(is_added(name) or name.replace(".base_layer.", ".") in trained)


def is_added(name: str) -> bool:
    """Tell whether the tensor of that name belongs to an adapter, not to the plain model."""
    return any(mark in name for mark in ADDED)
