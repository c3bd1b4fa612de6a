"""Lightning's view of a run's lines: loaders, and where training stands in them."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import LightningDataModule, Trainer

from ocrtrain.data import LineSets
from ocrtrain.data.batches.collate import Collate
from ocrtrain.data.batches.dataset import LineDataset
from ocrtrain.data.batches.loader import LineLoader, ignore_signals
from ocrtrain.data.continuation import Continuation


class LineDataModule(LightningDataModule):
    """Loads the training and validation lines of `lines`, which are open, and knows how far training is."""

    # Lightning keeps a data module's state in a checkpoint under its class's name, and this one was LineData.
    __qualname__ = "LineData"

    def __init__(self, lines: LineSets) -> None:
        super().__init__()
        self.lines = lines
        self._continuation = Continuation()

    @property
    def val_parts(self) -> list[str]:
        """Names of the sources of validation lines, if there are several."""
        return self.lines.val_parts

    def train_dataloader(self) -> LineLoader:
        """Load training batches without end, from the batch on that the trainer has not yet seen."""
        trainer = self._of_trainer()
        start = self._continuation.begin(_batches_seen(trainer))
        batches = self.lines.batches(start, trainer.global_rank, trainer.world_size)
        return self._loader(self.lines.train_set, batches)

    def val_dataloader(self) -> LineLoader:
        """Load the validation lines once, narrow ones first."""
        trainer = self._of_trainer()
        return self._loader(
            self.lines.val_set, self.lines.val_batches(trainer.global_rank, trainer.world_size)
        )

    def state_dict(self) -> dict[str, Any]:
        """Say for a checkpoint which lines these are, and how far along in them training is."""
        seen = _batches_seen(self._of_trainer())
        return self._continuation.state(seen, self.lines.batches_per_epoch, self._sets())

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where a run was; raises InputError for a state that cannot be read."""
        self._continuation.load(state_dict, self.lines.batches_per_epoch, self._sets())

    def _sets(self) -> dict[str, LineDataset]:
        return {"training": self.lines.train_set, "validation": self.lines.val_set}

    def _of_trainer(self) -> Trainer:
        assert self.trainer is not None
        return self.trainer

    def _loader(self, dataset: LineDataset, batches: Any) -> LineLoader:
        batching = self.lines.batching
        workers = batching.loader_workers
        return LineLoader(
            dataset,
            batch_sampler=batches,
            num_workers=workers,
            collate_fn=Collate(self.lines.preprocess),
            pin_memory=torch.cuda.is_available(),
            persistent_workers=False,
            prefetch_factor=4 if workers > 0 else None,
            timeout=batching.timeout if workers > 0 else 0,
            worker_init_fn=ignore_signals,
            # A generator of its own: a loader must not draw from the model's random numbers.
            generator=torch.Generator().manual_seed(self.lines.seed),
        )


def _batches_seen(trainer: Trainer) -> int:
    progress: Any = trainer.fit_loop.epoch_loop.batch_progress.total
    return int(progress.processed)
