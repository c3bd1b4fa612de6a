"""The optimizer of a run: as its preset makes it, with the rates that `finetune` sets."""

from __future__ import annotations

from collections.abc import Callable

from hydra.utils import instantiate
from torch.optim import Optimizer

from ocrtrain.commands.fit.settings import FitSettings
from ocrtrain.model import LineRecognizer
from ocrtrain.model.adapt import is_added
from ocrtrain.training.optim.rates import scale_rates
from ocrtrain.training.optimizer_state import keep_own_settings

# Learning rates of a training that goes on from other weights, relative to a fresh one's: high ones undo what
# was learned, and adapters, which begin as nothing, have little to undo.
OF_EVERYTHING, BESIDE_ADAPTERS = 0.5, 1.0


def optimizer_maker(settings: FitSettings) -> Callable[[LineRecognizer], Optimizer]:
    """Give a function from a model to its optimizer."""
    make = instantiate(settings.optimizer, _convert_="all")
    finetune = settings.finetune

    def optimizer(model: LineRecognizer) -> Optimizer:
        made: Optimizer = make(model)
        rate = 1.0 if settings.init is None else finetune.rate
        if rate is None:
            rate = BESIDE_ADAPTERS if any(is_added(n) for n, _ in model.named_parameters()) else OF_EVERYTHING
        scale_rates(made, model, finetune.layer_decay, finetune.rates, rate)
        return keep_own_settings(made)

    return optimizer
