"""Which parts of a model learn how fast, and when: for training that goes on from a checkpoint."""

from __future__ import annotations

import fnmatch
import math
import re
from collections.abc import Sequence
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn

from ocrtrain.errors import InputError
from ocrtrain.model.adapt.patterns import match, trainable
from ocrtrain.training.recognizer_module import RecognizerModule

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
    before its first step. Raises InputError for numbers that are none and patterns that match nothing.
    """
    if not 0.0 < decay <= 1.0:
        raise InputError(
            f"finetune.layer_decay={decay}", "is no factor", "give a number above 0, up to 1 for none."
        )
    if not 0.0 < rate < math.inf:
        raise InputError(f"finetune.rate={rate}", "is no factor", "give a number above 0, such as 0.25.")
    for pair in factors:
        if not is_factor(pair):
            raise InputError(
                f"finetune.rates={pair}",
                "is no pair of a pattern and a factor of 0 or more",
                "write finetune.rates='[[backbone.*,0.1],[encoder.*,0.5]]'.",
            )
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


def is_factor(pair: Any) -> bool:
    """Tell whether `pair` is a pattern of names and a number of 0 or more."""
    if not isinstance(pair, (list, tuple)) or len(pair) != 2 or not isinstance(pair[0], str):
        return False
    return isinstance(pair[1], (int, float)) and not isinstance(pair[1], bool) and pair[1] >= 0


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
