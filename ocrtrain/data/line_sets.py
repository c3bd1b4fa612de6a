"""Training and validation lines of a run: opened, checked, kept apart, and planned into batches."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from ocrtrain.data.batches.buckets import (
    EndlessBatches,
    Plan,
    batches_in,
    padding_share,
    plan_by_width,
    plan_epoch,
)
from ocrtrain.data.batches.dataset import LineDataset
from ocrtrain.data.charset_choice import announce_unseen, choose_charset
from ocrtrain.data.checks.training_lines import Check
from ocrtrain.data.formats.several import as_typed
from ocrtrain.data.holdout import hold_out
from ocrtrain.data.images.preprocess import Preprocess
from ocrtrain.data.lines.mixture import JoinedLines, MixedLines, Part
from ocrtrain.data.lines.stored import StoredLines
from ocrtrain.data.opening import Opening
from ocrtrain.data.overlap import announce_overlap
from ocrtrain.data.settings import BatchSettings, CharsetSettings, CheckSettings, SourceSettings
from ocrtrain.errors import InputError
from ocrtrain.text import Charset

log = logging.getLogger(__name__)


class LineSets:
    """The training and validation lines of a run; `charset`, `train_set` and `val_set` are there once opened.

    sources: where lines come from.
    preprocess: how images become a model's input.
    symbols: how texts are written, and what is learned of them.
    checks: what may be left out.
    batching: sizes of batches, and the processes that load them.
    augment: changes to training images, as `RandomSettings` has them; None: none.
    seed: of the lines that are kept aside, of augmentation and of the order of batches.
    """

    charset: Charset
    train_set: LineDataset
    val_set: LineDataset

    def __init__(
        self,
        sources: SourceSettings,
        preprocess: Preprocess,
        symbols: CharsetSettings,
        checks: CheckSettings,
        batching: BatchSettings,
        augment: Any = None,
        seed: int = 0,
    ) -> None:
        self.sources, self.preprocess, self.symbols = sources, preprocess, symbols
        self.checks, self.batching, self.augment, self.seed = checks, batching, augment, seed
        self._given_charset = symbols.given()
        self._limit = batching.limit(preprocess)
        self._first: tuple[LineDataset, Plan] | None = None

    def open(self, columns_per_frame: int, charset: Charset | None = None) -> None:
        """Open the sources, learn the charset, and check every text against what the model can write.

        columns_per_frame: of the backbone, to know how many frames a line has.
        charset: of a model that is trained on, to be used unless another is given, and with its writing.

        Logs one line per finding; raises InputError for what must not be left out in silence.
        """
        opening = Opening(self.sources, self.preprocess.image_channels, self.checks.max_skipped, self.seed)
        training, validation = opening.training_parts(), opening.validation_parts()
        self.charset = choose_charset(training, self.symbols.writing, self._given_charset, charset)
        check = Check(self.charset, self.preprocess, columns_per_frame, self.checks)
        for part in training:
            if isinstance(part.source, StoredLines):
                name = part.key if part.name else f"{part.key}={as_typed(self.sources.train)}"
                part.indices = check.usable(part.source, name)
        if validation:
            announce_unseen(validation, self.charset)
        if self.sources.val is None:
            with_own = {part.name for part in validation}
            alone = [part for part in training if part.name not in with_own]
            validation += [hold_out(part, self.sources.holdout, self.seed) for part in alone]
        announce_overlap(training, validation)

        self.train_set = self._training_set(training)
        if len(validation) > 1:
            self.val_set = LineDataset(JoinedLines(validation), self.preprocess, self.charset)
        else:
            (part,) = validation
            self.val_set = LineDataset(part.source, self.preprocess, self.charset, indices=part.indices)
        self._plan_first()

    def extend_charset(self, charset: Charset) -> None:
        """Learn with `charset`, which has all the symbols of the one that was found and may have more."""
        self.charset = self.train_set.charset = self.val_set.charset = charset

    @property
    def batches_per_epoch(self) -> int:
        """Training batches in one epoch, on any number of processes."""
        return batches_in(self.train_set, self.batching.batch_size, self._limit)

    @property
    def val_parts(self) -> list[str]:
        """Names of the sources of validation lines, if there are several."""
        source = self.val_set.source
        return [part.name for part in source.parts] if isinstance(source, JoinedLines) else []

    def batches(self, start: int = 0, rank: int = 0, ranks: int = 1) -> EndlessBatches:
        """Plan the training batches from number `start` on, without end, for one of `ranks` processes."""
        dataset, plan = self._first or (None, None)
        self._first = None
        first = plan if dataset is self.train_set else None  # it may have been put in another's place
        return EndlessBatches(
            self.train_set, self.batching.batch_size, self.seed, start, rank, ranks, self._limit, first
        )

    def val_batches(self, rank: int = 0, ranks: int = 1) -> list[list[tuple[int, int]]]:
        """Plan the validation batches of one of `ranks` processes, narrow lines first."""
        size = max(1, self.batching.batch_size // ranks)
        plan = plan_by_width(self.val_set.widths(0), size, self._limit)
        return [[(0, int(i)) for i in batch] for batch in plan[rank::ranks]]

    def _training_set(self, parts: list[Part]) -> LineDataset:
        if self.sources.mix is None:
            (part,) = parts
            return LineDataset(
                part.source, self.preprocess, self.charset, self.augment, self.seed, part.indices
            )
        mixed = MixedLines(parts, self.seed, self.sources.lines_per_epoch)
        for part, share in zip(parts, np.diff(mixed.starts).tolist(), strict=True):
            message = "%s: %s lines, of each epoch %s (%.0f%%)"
            log.info(message, part.key, f"{len(part):,}", f"{share:,}", 100 * share / max(1, len(mixed)))
            if not share:
                raise InputError(part.key, "has no line in an epoch", "raise its weight.")
        return LineDataset(mixed, self.preprocess, self.charset, self.augment, self.seed)

    def _plan_first(self) -> None:
        """Plan the first epoch, whose padding is told, and which the first loader needs again."""
        columns = self.train_set.widths(0)
        plan = plan_epoch(columns, self.batching.batch_size, self.seed, 0, self._limit)
        self._first = self.train_set, plan
        padding = padding_share(columns, plan, lambda widest: self.preprocess.padded_width(int(widest)))
        log.info(
            "%d training and %d validation lines, %d characters in the charset, %.1f%% padding",
            len(self.train_set),
            len(self.val_set),
            len(self.charset.symbols),
            100 * padding,
        )
