"""The lines of a run: sources opened, checked, and handed out in batches."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader

from ocrtrain.data.augmentation import Augment
from ocrtrain.data.batch import Batch
from ocrtrain.data.buckets import EndlessBatches, padding_share, plan_by_width, plan_epoch
from ocrtrain.data.dataset import Collate, LineDataset
from ocrtrain.data.folder import FolderSource
from ocrtrain.data.generated import GeneratedLines
from ocrtrain.data.inspection import conflicts, inspect
from ocrtrain.data.preprocess import Preprocess
from ocrtrain.data.skipped import enforce
from ocrtrain.data.sources import LineSource
from ocrtrain.errors import InputError
from ocrtrain.text import Charset, Writing
from ocrtrain.text.direction import Direction, mirrored, runs_right_to_left, settle
from ocrtrain.text.normalization import Normalization

log = logging.getLogger(__name__)

Source = str | LineSource

CONFLICTS_UP_TO = 200_000  # lines; looking for equal files among more would keep people waiting

_RUNS = {
    "rtl": "texts run from right to left: learned in display order, read in logical order",
    "auto": "lines run as most of their letters do: learned in display order, read in logical order",
}


class LineData(LightningDataModule):
    """Training and validation lines, from folders or from a generator.

    train, val: a folder, list file or labels file, or a source of lines; without `val`, the share `holdout`
    of the training lines is kept aside. normalization, direction: how texts are written (see `Writing`).
    charset: the symbols to learn, by default those of the training texts. max_skipped: samples that may be
    left out because they cannot be used; drop_unknown: leave out lines with characters outside a given
    charset instead of stopping. workers: loader processes, by default one per two cores.
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
        normalization: Normalization = "NFC",
        direction: Direction = "auto",
        charset: str | None = None,
        augment: Augment | None = None,
        batch_size: int = 16,
        holdout: float = 0.05,
        max_skipped: int = 0,
        drop_unknown: bool = False,
        workers: int | None = None,
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
        self.writing = Writing(normalization, direction)
        self.given_charset = None if charset is None else Charset(charset, self.writing)
        self.augment, self.batch_size, self.holdout = augment, batch_size, holdout
        self.max_skipped, self.drop_unknown, self.seed = max_skipped, drop_unknown, seed
        cores = os.cpu_count() or 1
        self.workers = max(1, min(8, cores // 2)) if workers is None else workers
        self.charset: Charset
        self.train_set: LineDataset
        self.val_set: LineDataset

    def open(self, columns_per_frame: int, charset: Charset | None = None) -> None:
        """Open the sources, learn the charset, and check every text against what the model can write.

        columns_per_frame: of the backbone, to know how many frames a line has; charset: of a model that is
        trained on, to be used unless another is given, and with its writing. Logs one line per finding;
        raises InputError for what must not be left out in silence.
        """
        train = self._source(self.train_source, "data.train")
        val = None if self.val_source is None else self._source(self.val_source, "data.val")
        if isinstance(train, FolderSource):
            self._settle_writing(train.originals, charset)
            self.charset = self.given_charset or Charset.from_texts(train.originals, self.writing)
            usable = self._inspect(train, columns_per_frame)
        else:
            assert isinstance(train, GeneratedLines)
            self._settle_writing(train.generator.charset.symbols, charset)
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

    @property
    def batches_per_epoch(self) -> int:
        """Training batches in one epoch of a single process."""
        return -(-len(self.train_set) // self.batch_size)

    def train_dataloader(self) -> DataLoader[Batch]:
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

    def val_dataloader(self) -> DataLoader[Batch]:
        """Load the validation lines once, narrow ones first."""
        assert self.trainer is not None
        plan = plan_by_width(self.val_set.widths(0), self.batch_size)
        mine = plan[self.trainer.global_rank :: self.trainer.world_size]
        return self._loader(self.val_set, [[(0, int(i)) for i in batch] for batch in mine], self.workers)

    def _loader(self, dataset: LineDataset, batches: Any, workers: int) -> DataLoader[Batch]:
        return DataLoader(
            dataset,
            batch_sampler=batches,
            num_workers=workers,
            collate_fn=Collate(self.preprocess),
            pin_memory=torch.cuda.is_available(),
            persistent_workers=False,
            prefetch_factor=4 if workers > 0 else None,
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

    def _settle_writing(self, texts: Sequence[str], trained: Charset | None) -> None:
        """Decide how lines run; a model that is trained on has learned one way already."""
        if trained is not None:
            self.writing = trained.writing
        else:
            self.writing = replace(self.writing, direction=settle(self.writing.direction, texts))
        if self.given_charset is None:
            self.given_charset = trained
        elif self.given_charset.writing != self.writing:
            self.given_charset = self.given_charset.written(self.writing)
        if self.writing.direction in _RUNS:
            log.info("%s", _RUNS[self.writing.direction])

    def _frames(self, columns_per_frame: int) -> Callable[[float], int]:
        return lambda aspect: -(-self.preprocess.columns(aspect) // columns_per_frame)

    def _inspect(self, source: FolderSource, columns_per_frame: int) -> np.ndarray[Any, np.dtype[np.int64]]:
        findings = inspect(
            source.names, source.originals, source.widths(0), self.charset, self._frames(columns_per_frame)
        )
        for line in findings.lines():
            log.warning("%s", line)
        if len(source) <= CONFLICTS_UP_TO:
            doubles = conflicts(source.root, source.names, source.originals, source.widths(0).tolist())
            if doubles.count:
                log.warning("the same image with another text: %s", doubles)
        if findings.unknown_lines and not self.drop_unknown:
            raise InputError(
                "data.charset",
                f"lacks characters of {len(findings.unknown_lines)} training lines (named above)",
                "add them to data.charset (a model that is trained on cannot learn new ones),"
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
        symbols = source.generator.charset.symbols
        if self.writing.direction != "none" and runs_right_to_left("".join(symbols)):
            # As they look in a right-to-left run.
            symbols = tuple(dict.fromkeys([*symbols, *map(mirrored, symbols)]))
        drawn = Charset(symbols, self.writing)
        if self.given_charset is None:
            return drawn
        if missing := [symbol for symbol in drawn.symbols if symbol not in self.given_charset.symbols]:
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
        unseen = sorted({c for text in set(val.originals) for c in self.charset.unknown(text)})
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
