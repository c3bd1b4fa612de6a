"""Weights averaged over the last steps, which often read better than the last ones."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn

from ocrtrain.fields import CheckedFields
from ocrtrain.settings import Limits, checked
from ocrtrain.training.clock import stepped
from ocrtrain.training.recognizer_module import RecognizerModule

Decay = Annotated[float, Limits(above=0, below=1, hint="0.999 is usual, null for no averaging.")]
TRAINED = "trained_weights"  # a checkpoint's key for the weights that training goes on with


class Averaging(Callback):
    """Keeps an exponential moving average of the trained weights, and validates and saves that.

    decay: the weight of the past at each step, such as 0.999; lower in the first steps, so that the random
    beginning is soon forgotten. A checkpoint's own weights are the averages, ready to read with; what
    training goes on with lies beside them.
    """

    def __init__(self, decay: float) -> None:
        self.decay, self.steps = checked(decay, Decay, "ema.decay"), 0
        self._averages: list[Tensor] = []
        self._swapped = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        parameters = list(trained(pl_module).values())
        averages = self._averages or [p.detach().clone() for p in parameters]
        self._averages = [a.to(p.device) for a, p in zip(averages, parameters, strict=True)]

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self._swap_back(pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._swap_back(pl_module)

    @torch.no_grad()
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not stepped(trainer, batch_idx):
            return
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        torch._foreach_lerp_(self._averages, list(trained(pl_module).values()), 1 - decay)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.sanity_checking:
            self._swap(pl_module)
            self._swapped = True

    def _swap_back(self, module: LightningModule) -> None:
        # Not when a validation ends, but when training goes on: in between, what was validated is saved.
        if self._swapped:
            self._swap(module)
            self._swapped = False

    @torch.no_grad()
    def _swap(self, module: LightningModule) -> None:
        for parameter, average in zip(trained(module).values(), self._averages, strict=True):
            kept = parameter.clone()
            parameter.copy_(average)
            average.copy_(kept)

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        if not self._averages:
            return
        names = [f"model.{name}" for name in trained(pl_module)]
        state = dict(checkpoint["state_dict"])
        if self._swapped:  # the module holds the averages at present
            checkpoint[TRAINED] = dict(zip(names, self._averages, strict=True))
        else:
            checkpoint[TRAINED] = {name: state[name] for name in names}
            state.update(zip(names, self._averages, strict=True))
            checkpoint["state_dict"] = state

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        # The module has been given the averages.
        self._averages = [p.detach().clone() for p in trained(pl_module).values()]
        restore_trained(pl_module, checkpoint)

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self.steps}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.steps = CheckedFields(state_dict, "Averaging").integer("steps", 0)


class NoAveraging(Callback):
    """Lets a run that averaged its weights go on without: from those that it trained, not their averages."""

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        restore_trained(pl_module, checkpoint)


@torch.no_grad()
def restore_trained(module: LightningModule, checkpoint: dict[str, Any]) -> None:
    """Give `module` the weights that training goes on with, where a checkpoint has them beside averages."""
    parameters = trained(module)
    for name, weight in checkpoint.get(TRAINED, {}).items():
        parameters[name.removeprefix("model.")].copy_(weight)


def trained(module: LightningModule) -> dict[str, nn.Parameter]:
    """The trained parameters of the recognizer, by name."""
    assert isinstance(module, RecognizerModule)
    return {name: p for name, p in module.model.named_parameters() if p.requires_grad}
