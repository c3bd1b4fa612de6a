"""`predict`: reads images with a checkpoint."""

from __future__ import annotations

import csv
import glob
import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from hydra.utils import instantiate
from omegaconf import DictConfig

from ocrtrain.data.image import SUFFIXES, legible
from ocrtrain.data.pairing import files_under, read_list
from ocrtrain.decoding import Transcript
from ocrtrain.errors import InputError
from ocrtrain.files import atomic_path
from ocrtrain.recognizer import Recognizer

log = logging.getLogger(__name__)

FORMATS = ("tsv", "jsonl")


def run(config: DictConfig) -> None:
    """Read every image of `config.input` and write a row for each, in order.

    An image that cannot be read is named on stderr and left out; the command then ends with exit code 2.
    """
    paths = find_images(str(config.input))
    form = output_format(config.output, config.format)
    recognizer = Recognizer.load(config.checkpoint, config.device, config.adapter)
    recognizer.decoder = instantiate(config.decoder)(recognizer.description.charset)
    failed = 0
    with open_output(config.output) as file:
        write = csv.writer(file, "excel-tab", lineterminator="\n").writerow
        if form == "tsv":
            write(["image", "confidence", "text"])
        for path, outcome in zip(paths, recognizer.stream_outcomes(paths, config.batch_size), strict=True):
            if isinstance(outcome, InputError):
                failed += 1
                log.error("left out: %s", outcome)
            elif form == "tsv":
                write([legible(path), f"{outcome.confidence:.4f}", outcome.text])
            else:
                file.write(json.dumps(as_json(path, outcome), ensure_ascii=False) + "\n")
            if config.output is None:
                file.flush()
    if config.output is not None:
        log.info("read %d of %d images into %s", len(paths) - failed, len(paths), config.output)
    if failed:
        raise SystemExit(2)


def as_json(path: str, transcript: Transcript) -> dict[str, object]:
    """Give a transcript, the place of each character in pixels of the image, and other readings."""
    characters = [
        {"text": c.text, "probability": round(c.probability, 4), "x": [round(c.x0, 1), round(c.x1, 1)]}
        for c in transcript.characters
    ]
    row: dict[str, object] = {
        "image": legible(path),
        "text": transcript.text,
        "confidence": round(transcript.confidence, 4),
        "characters": characters,
    }
    if transcript.nbest:
        row["nbest"] = [
            {
                "text": other.text,
                "log_prob": round(other.log_prob, 4),
                "score": round(other.score, 4),
                "share": round(other.share, 4),
            }
            for other in transcript.nbest
        ]
    return row


def find_images(wanted: str) -> list[str]:
    """List the images that `wanted` means: one image, all of a folder, a pattern's, or a list file's."""
    if os.path.isdir(wanted):
        inside = sorted(name for name in files_under(wanted) if name.lower().endswith(tuple(SUFFIXES)))
        found = [os.path.join(wanted, name) for name in inside]
    elif os.path.isfile(wanted) and not wanted.lower().endswith(tuple(SUFFIXES)):
        listed, wrong = read_list(wanted)
        if wrong:
            raise InputError(
                f"input={wanted}", "is neither an image nor a list in UTF-8", "give images or a list of them."
            )
        found = [os.path.join(os.path.dirname(wanted), name) for name in listed]
    elif os.path.exists(wanted):
        found = [wanted]
    else:
        found = sorted(glob.glob(wanted, recursive=True))
    if not found:
        what = "holds no image" if os.path.exists(wanted) else "does not exist, and no file matches it"
        raise InputError(
            f"input={wanted}",
            what,
            f"give an image, a folder, a pattern in quotes or a list ({', '.join(SUFFIXES)}).",
        )
    return found


def output_format(output: str | None, form: str | None) -> str:
    """Take the format from the setting or from the file's suffix; raises InputError for any other."""
    form = form or (Path(output).suffix.removeprefix(".").lower() if output else "tsv")
    if form not in FORMATS:
        raise InputError(
            f"output={output}", "has no known format", "end it in .tsv or .jsonl, or set format=tsv|jsonl."
        )
    return form


@contextmanager
def open_output(output: str | None) -> Iterator[IO[str]]:
    """Open stdout, or a file that takes its name when it is complete."""
    if output is None:
        yield sys.stdout
        return
    with atomic_path(output) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        yield file
