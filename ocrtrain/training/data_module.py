"""The lines of a run: sources opened, checked, and handed out in batches."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningDataModule

from ocrtrain.cores import usable_cores
from ocrtrain.data.batches.buckets import (
    BatchLimit,
    EndlessBatches,
    Plan,
    batches_in,
    padding_share,
    plan_by_width,
    plan_epoch,
)
from ocrtrain.data.batches.dataset import Collate, LineDataset
from ocrtrain.data.batches.loader import LineLoader, ignore_signals
from ocrtrain.data.checks.screening import symbols_of
from ocrtrain.data.checks.training_lines import Check
from ocrtrain.data.continuation import Continuation
from ocrtrain.data.formats import Columns
from ocrtrain.data.formats.several import as_typed
from ocrtrain.data.images.augment import Augment
from ocrtrain.data.images.image import Channels
from ocrtrain.data.images.preprocess import Preprocess
from ocrtrain.data.lines.generated import GeneratedLines
from ocrtrain.data.lines.mixture import JoinedLines, MixedLines, Part
from ocrtrain.data.lines.rejections import examples
from ocrtrain.data.lines.stored import StoredLines
from ocrtrain.data.opening import Opening, Source
from ocrtrain.data.overlap import trained_on
from ocrtrain.errors import InputError
from ocrtrain.text import Charset, Writing
from ocrtrain.text.direction import Direction, mirrored, runs_right_to_left, settle
from ocrtrain.text.normalization import Normalization

log = logging.getLogger(__name__)

_RUNS = {
    "rtl": "texts run from right to left: learned in display order, read in logical order",
    "auto": "lines run as most of their letters do: learned in display order, read in logical order",
}


class LineData(LightningDataModule):
    """Training and validation lines, from what a disk holds or from a generator.

    train, val: a path in any format that `open_lines` knows, or a source of lines; without `val`, the share
    `holdout` of the training lines is kept aside. mix: several sources in place of `train`, by name: a path,
    or a mapping with `path` (`image_column`, `text_column`, `val`) or `generator` (`lines`), and `weight`.
    lines_per_epoch: of a mixture, by default as many as all its sources have. image_column, text_column: of
    tables that name them otherwise than usual. normalization, direction: how texts are written (see
    `Writing`). charset: the symbols to learn, by default those of the training texts. batch_size: lines of
    one step, of all processes together, at most; batch_pixels: pixels of one step, padding included, at most.
    max_skipped: samples that may be left out because they cannot be used; drop_unknown: leave out lines with
    characters outside a given charset instead of stopping. workers: loader processes, by default one per two
    cores; timeout: seconds after which one that gives nothing is taken to hang.
    """

    def __init__(
        self,
        train: Source | None = None,
        val: Source | None = None,
        mix: Mapping[str, Any] | None = None,
        lines_per_epoch: int | None = None,
        image_column: str | None = None,
        text_column: str | None = None,
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
        batch_pixels: int | None = None,
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
        for name, value in (("batch_pixels", batch_pixels), ("lines_per_epoch", lines_per_epoch)):
            if value is not None and value < 1:
                raise InputError(f"data.{name}={value}", "must be at least 1", "leave it out for no limit.")
        if not 0 < holdout < 1:
            raise InputError(f"data.holdout={holdout}", "is a share of the lines", "give a number like 0.05.")
        if workers is not None and workers < 0:
            raise InputError(
                f"data.workers={workers}", "is below 0", "0 reads in the training process itself."
            )
        if mix is not None and train is not None:
            raise InputError("data.mix", "stands beside data.train", "put all training lines into data.mix.")
        self.preprocess = Preprocess(height, channels, width, multiple, ink and channels == 1)
        self.train_source, self.val_source, self.mix = train, val, mix
        self.lines_per_epoch = lines_per_epoch
        self.writing = Writing(normalization, direction)
        self.given_charset = None if charset is None else Charset(charset, self.writing)
        self.augment, self.batch_size, self.holdout = augment, batch_size, holdout
        self.budget = None if batch_pixels is None else BatchLimit(batch_pixels / height, multiple)
        self.max_skipped, self.drop_unknown, self.seed = max_skipped, drop_unknown, seed
        # To tell ink from paper takes their colours, but a grey image is not to become three equal ones.
        pixels: Channels = "any" if self.preprocess.ink else 3 if channels == 3 else 1
        columns = Columns(image_column, text_column)
        self.opening = Opening(train, val, mix, columns, pixels, max_skipped, seed)
        self.timeout = timeout
        self.workers = max(1, min(8, usable_cores() // 2)) if workers is None else workers
        self.charset: Charset
        self.train_set: LineDataset
        self.val_set: LineDataset
        self._first: tuple[LineDataset, Plan] | None = None
        self._continuation = Continuation()

    def open(self, columns_per_frame: int, charset: Charset | None = None) -> None:
        """Open the sources, learn the charset, and check every text against what the model can write.

        columns_per_frame: of the backbone, to know how many frames a line has; charset: of a model that is
        trained on, to be used unless another is given, and with its writing. Logs one line per finding;
        raises InputError for what must not be left out in silence.
        """
        parts, aside = self.opening.training_parts(), self.opening.validation_parts()
        seen = [self._seen(part) for part in parts]
        self._settle_writing(parts, seen, charset)
        self.charset = self._choose_charset(parts, seen)
        check = Check(self.charset, self.preprocess, columns_per_frame, self.max_skipped, self.drop_unknown)
        for part in parts:
            if isinstance(part.source, StoredLines):
                part.indices = check.usable(part.source, self._name(part))
        if aside:
            self._announce_unseen(aside)
        for part in parts:
            if part.name not in {other.name for other in aside} and self.val_source is None:
                aside.append(self._hold_out(part))
        self._announce_overlap(parts, aside)
        self.train_set = self._training_set(parts)
        several = len(aside) > 1
        val, kept = (JoinedLines(aside), None) if several else (aside[0].source, aside[0].indices)
        self.val_set = LineDataset(val, self.preprocess, self.charset, indices=kept)
        columns = self.train_set.widths(0)
        plan = plan_epoch(columns, self.batch_size, self.seed, 0, self.budget)
        self._first = self.train_set, plan
        padded: Callable[[float], float] = lambda widest: self.preprocess.padded_width(int(widest))  # noqa: E731
        log.info(
            "%d training and %d validation lines, %d characters in the charset, %.1f%% padding",
            len(self.train_set),
            len(self.val_set),
            len(self.charset.symbols),
            100 * padding_share(columns, plan, padded),
        )

    def extend_charset(self, charset: Charset) -> None:
        """Learn with `charset`, which has all the symbols of the one that was found and may have more."""
        self.charset = self.train_set.charset = self.val_set.charset = charset

    @property
    def batches_per_epoch(self) -> int:
        """Training batches in one epoch, on any number of processes."""
        return batches_in(self.train_set, self.batch_size, self.budget)

    @property
    def val_parts(self) -> list[str]:
        """Names of the sources of validation lines, if there are several."""
        source = self.val_set.source
        return [part.name for part in source.parts] if isinstance(source, JoinedLines) else []

    def train_dataloader(self) -> LineLoader:
        """Load training batches without end, from the batch on that the trainer has not yet seen."""
        trainer = self.trainer
        assert trainer is not None
        seen: Any = trainer.fit_loop.epoch_loop.batch_progress.total
        start = self._continuation.begin(int(seen.processed))
        batches = self.batches(start, trainer.global_rank, trainer.world_size)
        return self._loader(self.train_set, batches, self.workers)

    def state_dict(self) -> dict[str, Any]:
        """Say for a checkpoint which lines these are, and how far along in them training is."""
        assert self.trainer is not None
        seen: Any = self.trainer.fit_loop.epoch_loop.batch_progress.total
        return self._continuation.state(int(seen.processed), self.batches_per_epoch, self._sets())

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where a run was; raises InputError for a state that is none."""
        self._continuation.load(state_dict, self.batches_per_epoch, self._sets())

    def _sets(self) -> dict[str, LineDataset]:
        return {"training": self.train_set, "validation": self.val_set}

    def batches(self, start: int = 0, rank: int = 0, ranks: int = 1) -> EndlessBatches:
        """Plan the training batches from number `start` on, without end, for one of `ranks` processes."""
        dataset, plan = self._first or (None, None)
        self._first = None
        first = plan if dataset is self.train_set else None  # it may have been put in another's place
        return EndlessBatches(
            self.train_set, self.batch_size, self.seed, start, rank, ranks, self.budget, first
        )

    def val_dataloader(self) -> LineLoader:
        """Load the validation lines once, narrow ones first."""
        assert self.trainer is not None
        ranks = self.trainer.world_size
        plan = plan_by_width(self.val_set.widths(0), max(1, self.batch_size // ranks), self.budget)
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

    def _training_set(self, parts: list[Part]) -> LineDataset:
        if self.mix is None:
            source, indices = parts[0].source, parts[0].indices
            return LineDataset(source, self.preprocess, self.charset, self.augment, self.seed, indices)
        mixed = MixedLines(parts, self.seed, self.lines_per_epoch)
        shares = np.diff(mixed.starts)
        for part, share in zip(parts, shares.tolist(), strict=True):
            message = "data.mix.%s: %s lines, of each epoch %s (%.0f%%)"
            log.info(message, part.name, f"{len(part):,}", f"{share:,}", 100 * share / max(1, len(mixed)))
            if not share:
                raise InputError(f"data.mix.{part.name}", "has no line in an epoch", "raise its weight.")
        return LineDataset(mixed, self.preprocess, self.charset, self.augment, self.seed)

    def _name(self, part: Part) -> str:
        return (
            f"data.mix.{part.name}" if self.mix is not None else f"data.train={as_typed(self.train_source)}"
        )

    def _seen(self, part: Part) -> set[str]:
        """Collect the characters of a part's texts in the normal form, or those that it draws."""
        source = part.source
        if isinstance(source, StoredLines):
            return symbols_of(source.originals, replace(self.writing, direction="none"))
        return set(source.generator.charset.symbols) if isinstance(source, GeneratedLines) else set()

    def _settle_writing(self, parts: list[Part], seen: list[set[str]], trained: Charset | None) -> None:
        """Decide how lines run; a model that is trained on has learned one way already."""
        if trained is not None:
            self.writing = trained.writing
        else:
            turns = runs_right_to_left("".join(chain.from_iterable(seen)))
            # Millions of texts are not to be unpacked for what their characters say.
            texts = [*chain.from_iterable(map(texts_of, parts))] if turns else []
            self.writing = replace(self.writing, direction=settle(self.writing.direction, texts))
        if self.given_charset is None:
            self.given_charset = trained
        elif self.given_charset.writing != self.writing:
            self.given_charset = self.given_charset.written(self.writing)
        if self.writing.direction in _RUNS:
            log.info("%s", _RUNS[self.writing.direction])

    def _choose_charset(self, parts: list[Part], seen: list[set[str]]) -> Charset:
        drawn = [self._drawn_symbols(p.source) for p in parts if isinstance(p.source, GeneratedLines)]
        if self.given_charset is not None:
            known = set(self.given_charset.symbols)
            if missing := [s for s in chain.from_iterable(drawn) if s not in known]:
                raise InputError(
                    "data.charset",
                    f"lacks characters that are drawn: {''.join(missing)}",
                    "add them, or take them out of synthesis.charset.",
                )
            return self.given_charset
        stored = [part.source for part in parts if isinstance(part.source, StoredLines)]
        if not stored and len(drawn) == 1:
            return Charset(drawn[0], self.writing)
        if self.writing.direction in ("auto", "rtl"):  # where brackets are learned as they look
            seen = [symbols_of(source.originals, self.writing) for source in stored]
        return Charset(sorted(set(chain.from_iterable(drawn)).union(*seen)), self.writing)

    def _drawn_symbols(self, source: GeneratedLines) -> tuple[str, ...]:
        symbols = source.generator.charset.symbols
        if self.writing.direction != "none" and runs_right_to_left("".join(symbols)):
            # As they look in a right-to-left run.
            symbols = tuple(dict.fromkeys([*symbols, *map(mirrored, symbols)]))
        return symbols

    def _hold_out(self, part: Part) -> Part:
        """Take the share `holdout` out of a part of the training lines, for validation."""
        if isinstance(part.source, GeneratedLines) and self.mix is not None:
            drawn = part.source
            count = max(1, round(self.holdout * drawn.lines))
            return Part(part.name, GeneratedLines(drawn.generator, count, drawn.seed + 1_000_000, fixed=True))
        usable = np.arange(len(part.source)) if part.indices is None else part.indices
        name = f"data.mix.{part.name}" if self.mix is not None else "data.train"
        if len(usable) < 2:
            raise InputError(name, "has one line only", "give more lines, or data.val=DIR as well.")
        order = np.arange(len(usable), dtype=np.int32 if len(usable) < 2**31 else np.int64)
        np.random.default_rng((self.seed, 0x686F6C64)).shuffle(order)
        count = min(max(1, round(self.holdout * len(usable))), len(usable) - 1)
        aside = np.zeros(len(usable), np.bool_)
        aside[order[:count]] = True
        part.indices = usable[~aside]
        where = "no data.val" if self.mix is None else f"no {name}.val"
        log.info("%s: %d of the training lines are kept aside for validation", where, count)
        return Part(part.name, part.source, indices=usable[aside])

    def _announce_unseen(self, parts: list[Part]) -> None:
        stored = [part.source for part in parts if isinstance(part.source, StoredLines)]
        there = set[str]().union(*(symbols_of(source.originals, self.writing) for source in stored))
        if unseen := sorted(there - set(self.charset.symbols)):
            log.warning(
                "validation has characters that training lacks, each will be an error: %s", " ".join(unseen)
            )

    def _announce_overlap(self, parts: list[Part], aside: list[Part]) -> None:
        found = trained_on(parts, aside)
        if found is None:
            log.info("validation lines are not looked for among the training lines: too many are of one size")
        elif found:
            pairs = [f"{mine.names[i]} (as {theirs.names[j]})" for (mine, i), (theirs, j) in found]
            log.warning(
                "validation has %d lines whose images are trained on, too; its CER will be too low: %s",
                len(found),
                examples(pairs),
            )


def texts_of(part: Part) -> Sequence[str]:
    """Give what tells how a part's lines run: its texts, or the symbols that it draws."""
    source = part.source
    if isinstance(source, StoredLines):
        return source.originals
    return source.generator.charset.symbols if isinstance(source, GeneratedLines) else ()
