"""Training steps that leave nothing behind, for the finders of settings."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from lightning.fabric import Fabric

from ocrtrain.data import LineSets
from ocrtrain.data.batches.batch import Batch
from ocrtrain.data.batches.buckets import plan_epoch
from ocrtrain.data.batches.collate import Collate
from ocrtrain.training.recognizer_module import RecognizerModule


class DryRun:
    """Takes a module's own training steps on one device, as a run would; `restore` brings its weights back.

    precision, accelerator: Lightning's; clip: the gradients' largest norm, None for any.
    """

    def __init__(
        self, module: RecognizerModule, precision: Any, accelerator: str, clip: float | None
    ) -> None:
        self.fabric = Fabric(accelerator=accelerator, devices=1, precision=precision)
        self.module, self.clip = module.train(), clip
        self._weights = copy.deepcopy(module.model.state_dict())
        self._wrapped, self.optimizer = self.fabric.setup(module, module.configure_optimizers())

    def restore(self) -> None:
        """Bring back the weights that there were."""
        self.module.model.load_state_dict(self._weights)

    def step(self, batch: Batch) -> float:
        """Train on a batch; returns its loss per character."""
        loss = self._wrapped.training_step(batch.to(self.fabric.device), 0)
        self.fabric.backward(loss)
        if self.clip:
            self.fabric.clip_gradients(
                self._wrapped, self.optimizer, max_norm=self.clip, error_if_nonfinite=False
            )
        self.optimizer.step()
        self.optimizer.zero_grad()
        return float(loss.detach())


def planned(data: LineSets, batch_size: int) -> list[list[tuple[int, int]]]:
    """The batches of the first epoch, as (epoch, line number)."""
    plan = plan_epoch(data.train_set.widths(0), batch_size, data.seed, 0)
    return [[(0, int(i)) for i in batch] for batch in plan]


def widest(data: LineSets, batch_size: int) -> list[tuple[int, int]]:
    """The batch of the widest lines: no other needs more memory."""
    order = np.argsort(-data.train_set.widths(0), kind="stable")
    return [(0, int(i)) for i in order[:batch_size]]


def load(data: LineSets, keys: Sequence[list[tuple[int, int]]]) -> Iterator[Batch]:
    """Read and collect batches; those without a line that can be read are left out."""
    loader = torch.utils.data.DataLoader(
        data.train_set,
        batch_sampler=keys,
        num_workers=data.batching.loader_workers,
        collate_fn=Collate(data.preprocess),
    )
    yield from (batch for batch in loader if len(batch))
