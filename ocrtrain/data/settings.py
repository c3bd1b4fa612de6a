"""Settings of conf/data, one typed and checked class for each part of a run's lines."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from ocrtrain.cores import usable_cores
from ocrtrain.data.batches.buckets import BatchLimit
from ocrtrain.data.formats import Columns
from ocrtrain.data.images.preprocess import Preprocess
from ocrtrain.errors import InputError
from ocrtrain.settings import Count, Limits, Positive, PositiveInt, read_settings
from ocrtrain.text import Charset, Writing
from ocrtrain.text.direction import Direction
from ocrtrain.text.normalization import Normalization


@dataclass(frozen=True, slots=True)
class MixtureEntry:
    """One source of a mixture: a path, a generator, or a source of lines.

    path: in any format that `open_lines` knows, or several paths.
    generator: a `LineGenerator`, of which `lines` lines are drawn in an epoch.
    source: lines that are opened already.
    image_column, text_column: of this source's tables; None: those of all.
    val: a path or a source of lines for validation; None keeps a share of the training lines aside.
    weight: its share of an epoch, beside the weights of the others.
    """

    path: Any = None
    image_column: str | None = None
    text_column: str | None = None
    val: Any = None
    generator: Any = None
    lines: PositiveInt | None = None
    source: Any = None
    weight: Positive = 1.0


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """Where lines come from.

    train: a path in any format that `open_lines` knows, several paths, or a source of lines.
    val: the same, for validation; None keeps the share `holdout` of the training lines aside.
    mix: several sources in place of `train`, by name: a path each, or what a `MixtureEntry` has.
    lines_per_epoch: of a mixture; None: as many as all its sources have.
    image_column, text_column: of tables that name them otherwise than usual.
    """

    train: Any = None
    val: Any = None
    mix: dict[str, Any] | None = None
    lines_per_epoch: PositiveInt | None = None
    image_column: str | None = None
    text_column: str | None = None
    holdout: Annotated[float, Limits(above=0, below=1, hint="0.05 is usual.")] = 0.05

    def __post_init__(self) -> None:
        if self.mix is not None and self.train is not None:
            raise InputError("data.mix", "stands beside data.train", "put all training lines into data.mix.")

    @property
    def columns(self) -> Columns:
        """Columns of tables that name no others."""
        return Columns(self.image_column, self.text_column)

    def mixture(self) -> dict[str, MixtureEntry]:
        """Read `mix`; raises InputError for an entry that is not a path or has a wrong setting."""
        return {
            name: read_settings(
                MixtureEntry, entry if isinstance(entry, Mapping) else {"path": entry}, f"data.mix.{name}"
            )
            for name, entry in (self.mix or {}).items()
        }


@dataclass(frozen=True, slots=True)
class CharsetSettings:
    """How texts are written, and which characters are learned (None: those of the training texts)."""

    normalization: Normalization = "NFC"
    direction: Direction = "auto"
    charset: str | None = None

    @property
    def writing(self) -> Writing:
        """Spelling and direction of the texts."""
        return Writing(self.normalization, self.direction)

    def given(self) -> Charset | None:
        """Give the charset that is chosen; raises InputError if it has symbols twice."""
        return None if self.charset is None else Charset(self.charset, self.writing)


@dataclass(frozen=True, slots=True)
class CheckSettings:
    """What may be left out of training.

    max_skipped: samples that cannot be used, at most.
    drop_unknown: leave out lines with characters outside a given charset instead of stopping.
    """

    max_skipped: Count = 0
    drop_unknown: bool = False


@dataclass(frozen=True, slots=True)
class BatchSettings:
    """Sizes of batches, and the processes that load them.

    batch_size: lines of one step, of all processes together, at most.
    batch_pixels: pixels of one step, padding included, at most; None: no limit.
    workers: loader processes; None: one per two cores.
    timeout: seconds after which a worker that gives nothing is taken to hang; 0: never.
    """

    batch_size: PositiveInt = 16
    batch_pixels: Annotated[float, Limits(least=1, hint="null is for no limit.")] | None = None
    workers: Count | None = None
    timeout: Annotated[float, Limits(least=0, below=math.inf)] = 600.0

    @property
    def loader_workers(self) -> int:
        """Loader processes, on this machine."""
        return max(1, min(8, usable_cores() // 2)) if self.workers is None else self.workers

    def limit(self, preprocess: Preprocess) -> BatchLimit | None:
        """Give `batch_pixels` as columns of lines that are prepared so."""
        if self.batch_pixels is None:
            return None
        return BatchLimit(self.batch_pixels / preprocess.height, preprocess.multiple)


@dataclass(frozen=True, slots=True)
class RandomSettings:
    """What is drawn at random.

    augment: changes to training images, anew in each epoch: called with an image, a generator of random
        numbers and the height; None: none.
    seed: of those changes, of the lines that are kept aside and of the order of batches.
    """

    augment: Any = None
    seed: Annotated[int, Limits(0, 2**63 - 1)] = 0
