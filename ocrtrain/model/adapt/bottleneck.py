"""Small residual networks after convolutions, low-rank adapters elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from ocrtrain.errors import InputError
from ocrtrain.model.adapt.adaptation import Adaptation, train_only
from ocrtrain.model.adapt.bottleneck_convolution import BottleneckConv2d
from ocrtrain.model.adapt.lora import check_rank, fold, inject, norm_parameters, takes_lora
from ocrtrain.model.adapt.patterns import adaptable, match, trainable


class Bottleneck(Adaptation):
    """A bottleneck after some convolutions (see `BottleneckConv2d`), and low-rank adapters on other modules.

    width: channels of each bottleneck; targets: patterns of the convolutions that get one; rank, alpha,
    dropout: of the low-rank adapters, on the modules that match `lora_targets`; norms, train: what is trained
    in full, as of `Lora`; everything else is frozen. Bottlenecks are not linear, so they stay
    when adapters are merged.
    """

    adds = True

    def __init__(
        self,
        width: int = 64,
        targets: Sequence[str] = ("backbone.*.conv1",),
        rank: int = 4,
        alpha: int = 8,
        dropout: float = 0.0,
        lora_targets: Sequence[str] = ("bridge*", "encoder.*"),
        norms: bool = False,  # unlike in presets: models from before this setting lack it
        train: Sequence[str] = ("head.*",),
    ) -> None:
        if width < 1:
            raise InputError(f"adapt.width={width}", "must be at least 1", "the original recipe has 64.")
        check_rank(rank)
        self.width, self.rank, self.alpha, self.dropout = width, rank, alpha, dropout
        self.targets, self.lora_targets, self.train = list(targets), list(lora_targets), list(train)
        self.norms = norms

    def __call__(self, model: nn.Module) -> None:
        trained = match(trainable(model), self.train, "adapt.train")
        if self.norms:
            trained |= norm_parameters(model)
        places = match(adaptable(model, _takes_bottleneck), self.targets, "adapt.targets")
        places = {name for name in places if not name.endswith(".")}
        lora = match(adaptable(model, takes_lora), self.lora_targets, "adapt.lora_targets") - places
        for name in sorted(places):
            conv = model.get_submodule(name)
            assert isinstance(conv, nn.Conv2d)
            parent, _, child = name.rpartition(".")
            setattr(model.get_submodule(parent), child, BottleneckConv2d(conv, self.width))
        inject(model, lora, self.rank, self.alpha, self.dropout)
        train_only(model, trained)

    def merge(self, weights: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Any] | None]:
        """Fold the low-rank adapters; the bottlenecks remain."""
        return fold(weights, self.alpha / self.rank), bottleneck_settings(self.width, self.targets)


def bottleneck_settings(width: int, targets: Sequence[str]) -> dict[str, Any]:
    """Settings of a model that has bottlenecks to read with, and nothing to train."""
    adapt = {"_target_": "ocrtrain.model.adapt.Bottleneck", "width": width, "targets": list(targets)}
    return {**adapt, "lora_targets": [], "train": []}


def _takes_bottleneck(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d) and not isinstance(module, BottleneckConv2d)
