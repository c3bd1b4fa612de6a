"""Which parameters are trained: all of them, some, or small adapters beside them."""

from __future__ import annotations

import fnmatch
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

from torch import nn

from ocrtrain.errors import InputError


class Adaptation(ABC):
    """Prepares a recognizer for training, in place."""

    @abstractmethod
    def __call__(self, model: nn.Module) -> None:
        """Add what is to be added to `model`, and freeze what is to be frozen."""


class Full(Adaptation):
    """Train every parameter."""

    def __call__(self, model: nn.Module) -> None:
        model.requires_grad_(True)


class Freeze(Adaptation):
    """Train only the parameters whose names match one of the patterns `train` (shell wildcards)."""

    def __init__(self, train: Sequence[str] = ("encoder.*", "bridge.*", "head.*")) -> None:
        self.train = list(train)

    def __call__(self, model: nn.Module) -> None:
        matched = match(trainable(model), self.train, "adapt.train")
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name in matched)


class Lora(Adaptation):
    """Low-rank adapters on convolutions and linears, through PEFT, beside what else is trained.

    rank: r of each adapter; alpha: its scale is alpha / rank; targets: patterns of the modules that get one;
    train: patterns of the parameters that are trained in full; everything else is frozen.

    Source: Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021.
    """

    def __init__(
        self,
        rank: int = 64,
        alpha: int = 64,
        dropout: float = 0.0,
        targets: Sequence[str] = ("backbone.layer[1-4].*.conv[12]",),
        train: Sequence[str] = ("backbone.layer4.*", "backbone.reduce*", "encoder.*", "bridge.*", "head.*"),
    ) -> None:
        if rank < 1:
            raise InputError(f"adapt.rank={rank}", "must be at least 1", "the original recipe has 64.")
        self.rank, self.alpha, self.dropout = rank, alpha, dropout
        self.targets, self.train = list(targets), list(train)

    def __call__(self, model: nn.Module) -> None:
        # PEFT imports transformers, which takes seconds: only who uses adapters pays.
        from peft import LoraConfig, inject_adapter_in_model

        trained = match(trainable(model), self.train, "adapt.train")
        adaptable = [n for n, m in model.named_modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
        targets = sorted(match(adaptable, self.targets, "adapt.targets"))
        config = LoraConfig(
            r=self.rank, lora_alpha=self.alpha, lora_dropout=self.dropout, target_modules=targets
        )
        inject_adapter_in_model(config, model)
        for name, parameter in model.named_parameters():
            original = name.replace(".base_layer.", ".")
            parameter.requires_grad_(".lora_" in name or original in trained)


def trainable(model: nn.Module) -> list[str]:
    """Names of `model`'s parameters; a part that has none, such as an identity, stands as its name and a dot.

    A pattern such as `bridge.*` then fits a model with a bridge and one that needs none.
    """
    empty = [f"{name}." for name, part in model.named_children() if not any(True for _ in part.parameters())]
    return [name for name, _ in model.named_parameters()] + empty


def match(names: Iterable[str], patterns: Sequence[str], setting: str) -> set[str]:
    """Names that match one of the shell-style patterns; raises InputError for a pattern that matches none."""
    names = list(names)
    matched: set[str] = set()
    for pattern in patterns:
        found = fnmatch.filter(names, pattern)
        if not found:
            known = ", ".join(names[:5])
            raise InputError(
                f"{setting}={pattern}", "matches nothing in this model", f"there are, for example, {known}."
            )
        matched.update(found)
    return matched
