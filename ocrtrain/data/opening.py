"""From `data.train`, `data.val` and `data.mix` to opened sources of lines."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ocrtrain.data.formats import Columns
from ocrtrain.data.formats.several import as_typed, open_sources
from ocrtrain.data.images.image import Channels
from ocrtrain.data.lines.generated import GeneratedLines
from ocrtrain.data.lines.mixture import Part
from ocrtrain.data.lines.rejections import enforce
from ocrtrain.data.lines.sources import LineSource
from ocrtrain.errors import InputError
from ocrtrain.synthesis import LineGenerator

log = logging.getLogger(__name__)

Source = str | list[str] | tuple[str, ...] | LineSource

DRAWN = 20_000  # lines of a generator in a mixture, unless it says how many
_ENTRY = ("path", "image_column", "text_column", "val", "generator", "lines", "source", "weight")


@dataclass(frozen=True, slots=True)
class Opening:
    """Where lines come from, as `LineData` explains it, and how images are to be read.

    Logs the format of what is opened; raises `InputError` for what cannot be, and for more samples that
    cannot be used than `max_skipped`.
    """

    train: Source | None
    val: Source | None
    mix: Mapping[str, Any] | None
    columns: Columns
    channels: Channels
    max_skipped: int
    seed: int

    def training_parts(self) -> list[Part]:
        """Open the lines to train on; one part without a name, or those of the mixture."""
        if self.mix is None:
            if self.train is None:
                why = "must be given"
                raise InputError("data.train", why, "data.train=DIR, or several sources in data.mix.")
            return [Part("", self._source(self.train, "data.train", self.columns))]
        if not self.mix:
            raise InputError("data.mix", "is empty", "name sources: 'data.mix={old: DIR, new: DIR}'.")
        return [self._mixed_part(str(name), entry) for name, entry in self.mix.items()]

    def _mixed_part(self, name: str, entry: Any) -> Part:
        key = f"data.mix.{name}"
        if not isinstance(entry, Mapping):
            entry = {"path": entry}
        if unknown := [str(field) for field in entry if field not in _ENTRY]:
            raise InputError(f"{key}.{unknown[0]}", "no such setting", f"It has {', '.join(_ENTRY)}.")
        given = [entry[field] for field in ("path", "generator", "source") if entry.get(field) is not None]
        if len(given) != 1:
            raise InputError(key, "needs a path or a generator, and one of the two", f"{key}.path=DIR")
        weight = entry.get("weight", 1.0)
        if not isinstance(weight, int | float) or isinstance(weight, bool) or not 0 < weight < float("inf"):
            raise InputError(f"{key}.weight={weight}", "is no share", "give a number above 0.")
        source = given[0]
        if isinstance(source, LineGenerator):
            source = GeneratedLines(source, int(entry.get("lines") or DRAWN), self.seed)
        return Part(name, self._source(source, f"{key}.path", self._columns(entry)), float(weight))

    def _columns(self, entry: Mapping[str, Any]) -> Columns:
        image, text = entry.get("image_column"), entry.get("text_column")
        return Columns(image or self.columns.image, text or self.columns.text)

    def validation_parts(self) -> list[Part]:
        """Open the lines that are there for validation alone, or for that of one source of a mixture."""
        if self.val is not None:
            return [Part("", self._source(self.val, "data.val", self.columns))]
        parts = []
        for name, entry in (self.mix or {}).items():
            if isinstance(entry, Mapping) and entry.get("val") is not None:
                source = self._source(entry["val"], f"data.mix.{name}.val", self._columns(entry))
                parts.append(Part(str(name), source))
        return parts

    def _source(self, source: Source, name: str, columns: Columns) -> LineSource:
        if not isinstance(source, str | os.PathLike | list | tuple):
            return source
        opened = open_sources(source, self.channels, columns)
        log.info("%s=%s is %s", name, as_typed(source), opened.format)
        if notice := enforce(opened.skipped, self.max_skipped, f"{name}={as_typed(source)}"):
            log.warning("%s", notice)
        return opened
