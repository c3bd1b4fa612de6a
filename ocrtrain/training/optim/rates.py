"""Learning rates by part and depth, and parts that begin to learn later: for a model that learns on."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from typing import Annotated, Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn

from ocrtrain.errors import InputError
from ocrtrain.model.adapt.patterns import match, trainable
from ocrtrain.settings import Limits, Positive, checked
from ocrtrain.training.recognizer_module import RecognizerModule

LayerDecay = Annotated[float, Limits(above=0, most=1, hint="1 is for the same rate in all layers.")]
PARTS = ("backbone", "bridge", "encoder", "head")  # in the order in which a line passes through them


def layer_depths(names: Sequence[str]) -> dict[str, int]:
    """Tell how many layers lie between each of a recognizer's parameters and its output: the head has 0.

    A layer is what shares a part and the first number in its name, such as `encoder.blocks.1`; what comes
    before or after a part's numbered layers is a layer each.
    """
    layers: dict[str, str] = {}
    for part in PARTS:
        numbered = False
        for name in names:
            if name.partition(".")[0] != part:
                continue
            found = re.match(r".*?\.\d+(?=\.)", name)
            numbered = numbered or found is not None
            layers[name] = found[0] if found else f"{part} {'after' if numbered else 'before'}"
    order = list(dict.fromkeys(layers.values()))
    depth = {layer: len(order) - 1 - i for i, layer in enumerate(order)}
    return {name: depth[layer] for name, layer in layers.items()}


def scale_rates(
    optimizer: torch.optim.Optimizer,
    model: nn.Module,
    decay: float,
    factors: Sequence[Sequence[Any]],
    rate: float = 1.0,
) -> None:
    """Scale the learning rates of `optimizer` by a parameter's depth and name.

    decay: of the rate from a layer to the one below it, 1 for none; factors: pairs of a pattern of names and
    a factor, all that match multiplied; rate: a factor on all of them. Splits the optimizer's groups, so
    before its first step. Raises InputError for factors out of range and patterns that match nothing.
    """
    checked(decay, LayerDecay, "finetune.layer_decay")
    checked(rate, Positive, "finetune.rate")
    for pair in factors:
        if not isinstance(pair, (list, tuple)) or len(pair) != 2 or not isinstance(pair[0], str):
            raise InputError(
                f"finetune.rates={pair}",
                "must be a pair of a pattern and a factor",
                "write finetune.rates='[[backbone.*,0.1],[encoder.*,0.5]]'.",
            )
        checked(pair[1], Annotated[float, Limits(least=0)], f"finetune.rates.{pair[0]}")
        match(trainable(model), [pair[0]], "finetune.rates")
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    depths = layer_depths(list(names.values()))
    split: list[dict[str, Any]] = []
    for group in optimizer.param_groups:
        by_factor: dict[float, list[nn.Parameter]] = {}
        for parameter in group["params"]:
            name = names[id(parameter)]
            factor = rate * decay ** depths[name]
            for pattern, value in factors:
                if fnmatch.fnmatchcase(name, pattern):
                    factor *= float(value)
            by_factor.setdefault(factor, []).append(parameter)
        split += [{**group, "params": ps, "lr": group["lr"] * f} for f, ps in by_factor.items()]
    optimizer.param_groups[:] = split


class StagedUnfreezing(Callback):
    """Trains only what matches `patterns` in the first `steps` steps: the rest stays, batch norms as well."""

    def __init__(self, steps: int, patterns: Sequence[str]) -> None:
        self.steps, self.patterns = steps, list(patterns)
        self._frozen: list[nn.Parameter] = []
        self._norms: list[nn.BatchNorm2d] = []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, RecognizerModule)
        model = pl_module.model
        warm = match(trainable(model), self.patterns, "finetune.train_first")
        self._frozen = [p for name, p in model.named_parameters() if name not in warm]
        frozen = {id(parameter) for parameter in self._frozen}
        norms = (m for m in model.modules() if isinstance(m, nn.BatchNorm2d))
        self._norms = [norm for norm in norms if id(norm.weight) in frozen]

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        for norm in self._norms:
            norm.train(trainer.global_step >= self.steps and bool(norm.weight.requires_grad))

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        # Not by requires_grad: the processes of a run agree once on whose gradients they share.
        if trainer.global_step < self.steps:
            for parameter in self._frozen:
                parameter.grad = None
