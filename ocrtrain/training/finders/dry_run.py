"""Training steps that leave nothing behind: what the finders of settings are made of."""

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
from ocrtrain.training.recognizer_module import RecognizerModule, ctc_loss


class DryRun:
    """Trains a recognition's model on one device as a run would; `restore` brings its weights back.

    clip: the gradients' largest norm; None: any.
    """

    def __init__(self, task: RecognizerModule, precision: Any, accelerator: str, clip: float | None) -> None:
        self.fabric = Fabric(accelerator=accelerator, devices=1, precision=precision)
        self.task, self.clip = task, clip
        self._weights = copy.deepcopy(task.model.state_dict())
        model = task.model.train()
        self.model, self.optimizer = self.fabric.setup(model, task.make_optimizer(model))

    def restore(self) -> None:
        """Bring back the weights that there were."""
        self.task.model.load_state_dict(self._weights)

    def step(self, batch: Batch) -> float:
        """Train on a batch; returns its loss per character."""
        batch = batch.to(self.fabric.device)
        log_probs, lengths = self.model(batch.pixels, batch.widths)
        loss, _ = ctc_loss(log_probs, lengths, batch.targets, batch.target_lengths)
        self.fabric.backward(loss)
        if self.clip:
            self.fabric.clip_gradients(
                self.model, self.optimizer, max_norm=self.clip, error_if_nonfinite=False
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
