"""Low-rank adapters beside convolutions and linears."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ocrtrain.errors import InputError
from ocrtrain.model.adapt.adaptation import Adaptation, train_only
from ocrtrain.model.adapt.bottleneck_convolution import BottleneckConv2d
from ocrtrain.model.adapt.patterns import adaptable, match, trainable
from ocrtrain.model.ssm.gated_norm.norm import GatedRMSNorm


class Lora(Adaptation):
    """Low-rank adapters on convolutions and linears, through PEFT, beside what else is trained.

    rank: r of each adapter; alpha: its scale is alpha / rank; targets: patterns of the modules that get one;
    norms: whether all norms are trained in full too, batch norms with their statistics: a few thousand
    numbers that tell another ink and paper; train: patterns of the other parameters that are; all else is
    frozen.

    Source: Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021.
    """

    adds = True

    def __init__(
        self,
        rank: int = 4,
        alpha: int = 8,
        dropout: float = 0.0,
        targets: Sequence[str] = ("backbone.*", "bridge*", "encoder.*"),
        norms: bool = False,  # unlike in presets: models from before this setting lack it
        train: Sequence[str] = ("head.*",),
    ) -> None:
        check_rank(rank)
        self.norms = norms
        self.rank, self.alpha, self.dropout = rank, alpha, dropout
        self.targets, self.train = list(targets), list(train)

    def __call__(self, model: nn.Module) -> None:
        trained = match(trainable(model), self.train, "adapt.train")
        if self.norms:
            trained |= norm_parameters(model)
        targets = match(adaptable(model, takes_lora), self.targets, "adapt.targets")
        inject(model, targets, self.rank, self.alpha, self.dropout)
        train_only(model, trained)

    def merge(self, weights: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Any] | None]:
        """Give the plain model's weights: W + alpha / rank B A."""
        return fold(weights, self.alpha / self.rank), None


def norm_parameters(model: nn.Module) -> set[str]:
    """Names of the scales and shifts of all norms in `model`."""
    kinds = (nn.BatchNorm2d, nn.LayerNorm, nn.RMSNorm, GatedRMSNorm)
    norms = {name: module for name, module in model.named_modules() if isinstance(module, kinds)}
    return {f"{name}.{own}" for name, norm in norms.items() for own, _ in norm.named_parameters()}


def check_rank(rank: int) -> None:
    """Raise InputError for a rank that no adapter can have."""
    if rank < 1:
        raise InputError(f"adapt.rank={rank}", "must be at least 1", "4 to 64 are usual.")


def takes_lora(module: nn.Module) -> bool:
    """Tell whether an adapter on `module` would take part.

    Not so on convolutions in groups: PEFT cannot merge them, and Mamba's depthwise one is never called, its
    weight is read. Its projections are called, on every backend. Bottlenecks come after a convolution, so
    one with a bottleneck is not linear.
    """
    if isinstance(module, BottleneckConv2d):
        return False
    return isinstance(module, nn.Linear) or (
        isinstance(module, (nn.Conv1d, nn.Conv2d)) and module.groups == 1
    )


def inject(model: nn.Module, targets: Collection[str], rank: int, alpha: int, dropout: float) -> None:
    """Put an adapter beside each of the modules `targets`."""
    targets = sorted(name for name in targets if not name.endswith("."))  # not what stands for an empty part
    if not targets:
        return
    # PEFT imports transformers, which takes seconds: only who trains adapters pays.
    from peft import LoraConfig, inject_adapter_in_model

    config = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=targets)
    inject_adapter_in_model(config, model)


def fold(weights: Mapping[str, Tensor], scale: float) -> dict[str, Tensor]:
    """Add low-rank adapters to the weights that they stand beside: W + scale B A, by the plain names.

    weights: by PEFT's names in a model, `NAME.base_layer.weight` and `NAME.lora_A.default.weight`, or those
    of its files, `NAME.weight` and `NAME.lora_A.weight`. A convolution's A is [r, in, h, w], its B
    [out, r, 1, 1]. Raises KeyError or ValueError where the tensors of a module do not belong together.
    """
    plain = {n.replace(".base_layer.", "."): w for n, w in weights.items() if ".lora_" not in n}
    for name in weights:
        if (
            ".lora_" in name
            and ".lora_A." not in name
            and name.replace(".lora_B.", ".lora_A.") not in weights
        ):
            raise KeyError(f"{name} has no other half")
    for name, down in weights.items():
        module, lora_a, _ = name.partition(".lora_A.")
        if lora_a:
            up, target = weights[name.replace(".lora_A.", ".lora_B.")], plain[f"{module}.weight"]
            shapes = (up.shape[:1], down.shape[1:]), (target.shape[:1], target.shape[1:])
            if min(up.ndim, down.ndim) < 2 or up.shape[1] != down.shape[0] or shapes[0] != shapes[1]:
                raise ValueError(
                    f"{module} is {[*target.shape]}, its adapter {[*up.shape]} x {[*down.shape]}"
                )
            # In double precision: the same on every machine, which an adapter for the result relies on.
            product = up.double().flatten(1) @ down.double().flatten(1)
            plain[f"{module}.weight"] = torch.add(
                target.double(), product.view(target.shape), alpha=scale
            ).to(target.dtype)
    return plain
