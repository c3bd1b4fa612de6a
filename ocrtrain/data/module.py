"""The lines of a run: sources opened, checked, and handed out in batches."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningDataModule

from ocrtrain.data.augmentation import Augment
from ocrtrain.data.buckets import EndlessBatches, padding_share, plan_by_width, plan_epoch
from ocrtrain.data.dataset import Collate, LineDataset
from ocrtrain.data.folder import FolderSource
from ocrtrain.data.generated import GeneratedLines
from ocrtrain.data.inspection import inspect
from ocrtrain.data.loader import LineLoader
from ocrtrain.data.preprocess import Preprocess
from ocrtrain.data.skipped import enforce
from ocrtrain.data.sources import LineSource
from ocrtrain.errors import InputError
from ocrtrain.text import Charset

log = logging.getLogger(__name__)

Source = str | LineSource


class LineData(LightningDataModule):
    """Training and validation lines, from folders or from a generator.

    train, val: a folder, list file or labels file, or a source of lines; without `val`, the share `holdout`
    of the training lines is kept aside. charset: the symbols to learn, by default those of the training
    texts. max_skipped: samples that may be left out because they cannot be used; drop_unknown: leave out
    lines with characters outside a given charset instead of stopping. batch_size: lines of one step, of all
    processes together. workers: loader processes, by default one per two cores;
    timeout: seconds after which one that gives nothing is taken to hang.
    """

    def __init__(
        self,
        train: Source,
        val: Source | None = None,
        height: int = 40,
        channels: int = 1,
        width: int | None = None,
        multiple: int = 32,
        ink: bool = True,
        charset: str | None = None,
        augment: Augment | None = None,
        batch_size: int = 16,
        holdout: float = 0.05,
        max_skipped: int = 0,
        drop_unknown: bool = False,
        workers: int | None = None,
        timeout: float = 600.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise InputError(f"data.batch_size={batch_size}", "must be at least 1", "16 is a good start.")
        if not 0 < holdout < 1:
            raise InputError(f"data.holdout={holdout}", "is a share of the lines", "give a number like 0.05.")
        if workers is not None and workers < 0:
            raise InputError(
                f"data.workers={workers}", "is below 0", "0 reads in the training process itself."
            )
        self.preprocess = Preprocess(height, channels, width, multiple, ink and channels == 1)
        self.train_source, self.val_source = train, val
        self.given_charset = None if charset is None else Charset(charset)
        self.augment, self.batch_size, self.holdout = augment, batch_size, holdout
        self.max_skipped, self.drop_unknown, self.seed = max_skipped, drop_unknown, seed
        self.timeout = timeout
        cores = os.cpu_count() or 1
        self.workers = max(1, min(8, cores // 2)) if workers is None else workers
        self.charset: Charset
        self.train_set: LineDataset
        self.val_set: LineDataset

    def open(self, columns_per_frame: int, charset: Charset | None = None) -> None:
        """Open the sources, learn the charset, and check every text against what the model can write.

        columns_per_frame: of the backbone, to know how many frames a line has; charset: of a model that is
        trained on, to be used unless another is given. Logs one line per finding; raises InputError for what
        must not be left out in silence.
        """
        if self.given_charset is None:
            self.given_charset = charset
        train = self._source(self.train_source, "data.train")
        val = None if self.val_source is None else self._source(self.val_source, "data.val")
        if isinstance(train, FolderSource):
            self.charset = self.given_charset or Charset.from_texts(train.texts())
            usable = self._inspect(train, columns_per_frame)
        else:
            assert isinstance(train, GeneratedLines)
            self.charset = self._charset_of(train)
            usable = np.arange(len(train))
        kept = None
        if val is None:
            val, usable, kept = train, *self._hold_out(usable)
            log.info("no data.val: %d of the training lines are kept aside for validation", len(kept))
        elif isinstance(val, FolderSource):
            self._announce_unseen(val)
        self.train_set = LineDataset(train, self.preprocess, self.charset, self.augment, self.seed, usable)
        self.val_set = LineDataset(val, self.preprocess, self.charset, indices=kept)
        widths = self.train_set.widths(0)
        log.info(
            "%d training and %d validation lines, %d characters in the charset, %.1f%% padding",
            len(self.train_set),
            len(self.val_set),
            len(self.charset.symbols),
            100 * padding_share(widths, plan_epoch(widths, self.batch_size, self.seed, 0)),
        )

    def extend_charset(self, charset: Charset) -> None:
        """Learn with `charset`, which has all the symbols of the one that was found and may have more."""
        self.charset = self.train_set.charset = self.val_set.charset = charset

    @property
    def batches_per_epoch(self) -> int:
        """Training batches in one epoch, on any number of processes."""
        return -(-len(self.train_set) // self.batch_size)

    def train_dataloader(self) -> LineLoader:
        """Load training batches without end, from the batch on that the trainer has not yet seen."""
        trainer = self.trainer
        assert trainer is not None
        seen: Any = trainer.fit_loop.epoch_loop.batch_progress.total
        batches = EndlessBatches(
            self.train_set,
            self.batch_size,
            self.seed,
            start=seen.processed,
            rank=trainer.global_rank,
            ranks=trainer.world_size,
        )
        return self._loader(self.train_set, batches, self.workers)

    def val_dataloader(self) -> LineLoader:
        """Load the validation lines once, narrow ones first."""
        assert self.trainer is not None
        ranks = self.trainer.world_size
        plan = plan_by_width(self.val_set.widths(0), max(1, self.batch_size // ranks))
        mine = plan[self.trainer.global_rank :: ranks]
        return self._loader(self.val_set, [[(0, int(i)) for i in batch] for batch in mine], self.workers)

    def _loader(self, dataset: LineDataset, batches: Any, workers: int) -> LineLoader:
        return LineLoader(
            dataset,
            batch_sampler=batches,
            num_workers=workers,
            collate_fn=Collate(self.preprocess),
            pin_memory=torch.cuda.is_available(),
            persistent_workers=False,
            prefetch_factor=4 if workers > 0 else None,
            timeout=self.timeout if workers > 0 else 0,
            worker_init_fn=ignore_signals,
            # A generator of its own: a loader must not draw from the model's random numbers.
            generator=torch.Generator().manual_seed(self.seed),
        )

    def _source(self, source: Source, name: str) -> LineSource:
        if not isinstance(source, (str, os.PathLike)):
            return source
        opened = FolderSource(source, 3 if self.preprocess.reads_colour else 1)
        if notice := enforce(opened.skipped, self.max_skipped, f"{name}={source}"):
            log.warning("%s", notice)
        return opened

    def _frames(self, columns_per_frame: int) -> Callable[[float], int]:
        return lambda aspect: -(-self.preprocess.columns(aspect) // columns_per_frame)

    def _inspect(self, source: FolderSource, columns_per_frame: int) -> np.ndarray[Any, np.dtype[np.int64]]:
        findings = inspect(
            source.names, source.originals, source.widths(0), self.charset, self._frames(columns_per_frame)
        )
        for line in findings.lines():
            log.warning("%s", line)
        if findings.unknown_lines and not self.drop_unknown:
            raise InputError(
                "data.charset",
                f"lacks characters of {len(findings.unknown_lines)} training lines (named above)",
                "add them to data.charset (of a model that is trained on: charset=extend),"
                " or set data.drop_unknown=true to train without those lines.",
            )
        if len(findings.too_long_lines) > self.max_skipped:
            raise InputError(
                f"data.train={self.train_source}",
                f"{len(findings.too_long_lines)} texts are too long for their images (named above)",
                "correct them, raise data.height, or set "
                f"data.max_skipped={len(findings.too_long_lines)} to train without them.",
            )
        usable = np.delete(np.arange(len(source)), findings.leave_out)
        if not len(usable):
            raise InputError(f"data.train={self.train_source}", "no line is left", "see the reasons above.")
        return usable

    def _charset_of(self, source: GeneratedLines) -> Charset:
        drawn = source.generator.charset
        if self.given_charset is None:
            return drawn
        if missing := self.given_charset.unknown("".join(drawn.symbols)):
            raise InputError(
                "data.charset",
                f"lacks characters that are drawn: {''.join(missing)}",
                "add them, or take them out of synthesis.charset.",
            )
        return self.given_charset

    def _hold_out(self, usable: Any) -> tuple[Any, Any]:
        if len(usable) < 2:
            raise InputError("data.train", "has one line only", "give more lines, or data.val=DIR as well.")
        order = np.random.default_rng((self.seed, 0x686F6C64)).permutation(usable)
        count = min(max(1, round(self.holdout * len(usable))), len(usable) - 1)
        return np.sort(order[count:]), np.sort(order[:count])

    def _announce_unseen(self, val: FolderSource) -> None:
        unseen = sorted({c for text in set(val.texts()) for c in self.charset.unknown(text)})
        if unseen:
            log.warning(
                "validation has characters that training lacks, each will be an error: %s", " ".join(unseen)
            )


def ignore_signals(worker: int) -> None:
    """Leave Ctrl-C and SIGTERM to the main process, which ends after the step at hand: it needs its batches.

    A terminal sends Ctrl-C to all processes of a command, and batch systems send SIGTERM to all of a job. A
    worker ends when its loader does, or when the main process is gone.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
