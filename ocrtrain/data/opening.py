"""Sources of lines, opened as `data.train`, `data.val` and `data.mix` name them."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from typing import Any

from ocrtrain.data.formats import Columns
from ocrtrain.data.formats.several import as_typed, open_sources
from ocrtrain.data.images.image import Channels
from ocrtrain.data.lines.generated import GeneratedLines
from ocrtrain.data.lines.mixture import Part
from ocrtrain.data.lines.rejections import check_skipped
from ocrtrain.data.lines.sources import LineSource
from ocrtrain.data.settings import MixtureEntry, SourceSettings
from ocrtrain.errors import InputError
from ocrtrain.synthesis import LineGenerator

log = logging.getLogger(__name__)

DRAWN = 20_000  # lines of a generator in a mixture, unless it says how many


@dataclass(frozen=True, slots=True)
class Opening:
    """Opens the sources of a run, images to be read as `channels`.

    Logs the format of what is opened; raises `InputError` for what cannot be, and for more samples that
    cannot be used than `max_skipped`. seed: of generators.
    """

    sources: SourceSettings
    channels: Channels
    max_skipped: int
    seed: int

    def training_parts(self) -> list[Part]:
        """Open the lines to train on; one part without a name, or those of the mixture."""
        if self.sources.mix is None:
            if self.sources.train is None:
                why = "must be given"
                raise InputError("data.train", why, "data.train=DIR, or several sources in data.mix.")
            return [Part("", self._source(self.sources.train, "data.train", self.sources.columns))]
        if not self.sources.mix:
            raise InputError("data.mix", "is empty", "name sources: 'data.mix={old: DIR, new: DIR}'.")
        return [self._mixed_part(name, entry) for name, entry in self.sources.mixture().items()]

    def validation_parts(self) -> list[Part]:
        """Open the lines that are there for validation alone, or for that of one source of a mixture."""
        if self.sources.val is not None:
            return [Part("", self._source(self.sources.val, "data.val", self.sources.columns))]
        return [
            Part(name, self._source(entry.val, f"data.mix.{name}.val", self._columns(entry)))
            for name, entry in self.sources.mixture().items()
            if entry.val is not None
        ]

    def _mixed_part(self, name: str, entry: MixtureEntry) -> Part:
        key = f"data.mix.{name}"
        given = [each for each in (entry.path, entry.generator, entry.source) if each is not None]
        if len(given) != 1:
            raise InputError(key, "needs a path or a generator, and one of the two", f"{key}.path=DIR")
        source = given[0]
        if isinstance(source, LineGenerator):
            source = GeneratedLines(source, entry.lines or DRAWN, self.seed)
        return Part(name, self._source(source, f"{key}.path", self._columns(entry)), entry.weight)

    def _columns(self, entry: MixtureEntry) -> Columns:
        return Columns(
            entry.image_column or self.sources.image_column, entry.text_column or self.sources.text_column
        )

    def _source(self, source: Any, name: str, columns: Columns) -> LineSource:
        if not isinstance(source, str | os.PathLike | list | tuple):
            lines: LineSource = source
            return lines
        opened = open_sources(source, self.channels, columns)
        log.info("%s=%s is %s", name, as_typed(source), opened.format)
        if notice := check_skipped(opened.skipped, self.max_skipped, f"{name}={as_typed(source)}"):
            log.warning("%s", notice)
        return opened
