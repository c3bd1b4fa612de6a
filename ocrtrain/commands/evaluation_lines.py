"""The lines that `evaluate` judges by: from a data set, or from the files of other engines' output."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ocrtrain.data.formats.several import as_typed, open_sources
from ocrtrain.data.images.image import StoredImage
from ocrtrain.data.lines.rejections import check_skipped
from ocrtrain.data.lines.stored import FileImages
from ocrtrain.errors import InputError
from ocrtrain.evaluation.predictions import PredictionFile, read_truths
from ocrtrain.settings import PathNames
from ocrtrain.text import normalize
from ocrtrain.text.normalization import Normalization

log = logging.getLogger(__name__)

TABLES = (".tsv", ".jsonl", ".ndjson")


@dataclass(frozen=True, slots=True)
class EvaluationLines:
    """N lines to be read: their names, truths and groups, and what is known of their images.

    where: the setting that they come from; truths: as they are written; images: paths or what else the
    images are read from; root: the folder that the names are in; skipped: how many samples were left out
    already.
    """

    where: str
    names: list[str]
    truths: list[str]
    labels: list[str] | None = None
    aspects: list[float] | None = None
    images: Sequence[str | StoredImage] | None = None
    root: str = ""
    skipped: int = 0

    def spelled(self, form: Normalization) -> list[str]:
        """Give the truths in a normal form."""
        return [normalize(text, form) for text in self.truths]

    def only(self, indices: Sequence[int]) -> EvaluationLines:
        """Keep some of the lines."""
        return replace(
            self,
            names=[self.names[i] for i in indices],
            truths=[self.truths[i] for i in indices],
            labels=self.labels and [self.labels[i] for i in indices],
            aspects=self.aspects and [self.aspects[i] for i in indices],
            images=self.images and [self.images[i] for i in indices],
        )


def listed(given: PathNames | None) -> list[str]:
    """Split a setting of one path or several: `[A,B]`, or `A,B` where no file has that whole name."""
    if not isinstance(given, str):
        return given or []
    return [given] if os.path.exists(given) else [part.strip() for part in given.split(",") if part.strip()]


def lines_to_judge(
    test: PathNames | None, truth: PathNames | None, files: Sequence[PredictionFile], allowed: int
) -> EvaluationLines:
    """Find the lines and their truths: a set of lines, a file of truths, or those of the predictions.

    test, truth: the settings of these names; files: of predictions; allowed: how many lines may be left out.
    Raises InputError if no truths are given.
    """
    if test is not None:
        return from_data(test, "data.test", allowed)
    if isinstance(truth, str) and truth.lower().endswith(TABLES):
        names, truths = read_truths(truth)
        return EvaluationLines(f"truth={truth}", names, truths)
    if truth is not None:
        return from_data(truth, "truth", allowed)
    for file in files:
        if file.truths is not None:
            return from_file(file)
    raise InputError(
        files[0].what,
        "has no column truth, and nothing else says what stands in the lines",
        "name the truths: truth=FILE.tsv with id and truth, or truth=DIR with images and texts.",
    )


def from_data(paths: PathNames, setting: str, allowed: int) -> EvaluationLines:
    """Open a set of lines with images; what cannot be used is named, and refused beyond `allowed`."""
    source = open_sources(paths)
    images = source.images
    where = f"{setting}={as_typed(paths)}"
    if notice := check_skipped(source.skipped, allowed, where):
        log.warning("%s", notice)
    return EvaluationLines(
        where=where,
        names=list(source.names),
        truths=list(source.originals),
        aspects=source.widths(0).tolist(),
        images=[StoredImage(images.where(i), partial(images.pixels, i)) for i in range(len(source))],
        root=images.root if isinstance(images, FileImages) else "",
        skipped=sum(map(len, source.skipped.values())),
    )


def from_file(file: PredictionFile) -> EvaluationLines:
    """Take the lines of an engine's output; images that are there are shown."""
    assert file.truths is not None
    folder = Path(file.what.partition("=")[2]).expanduser().parent
    paths = file.images and [str(folder / image) for image in file.images]
    return EvaluationLines(file.what, file.ids, file.truths, labels=file.sources, images=paths or None)


def short_names(paths: Sequence[str]) -> list[str]:
    """Name each path by the parts in which they differ, so that a table of them stays narrow."""
    parts = [Path(path).parts for path in paths]
    if len(parts) < 2:
        return list(paths)
    shortest = min(map(len, parts))
    ahead = next((i for i in range(shortest) if len({p[i] for p in parts}) > 1), shortest)
    behind = next((i for i in range(shortest) if len({p[-1 - i] for p in parts}) > 1), shortest)
    names = [str(Path(*p[ahead : len(p) - behind])) for p in parts]
    return names if len(set(names)) == len(names) and "." not in names else list(paths)
