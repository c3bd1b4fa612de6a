"""`predict`: reads images with a checkpoint."""

from __future__ import annotations

import csv
import json
import logging
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from omegaconf import DictConfig

from ocrtrain.commands.line_input import Item, find_images, is_page, lines_of
from ocrtrain.commands.page_output import PageWriter, page_places
from ocrtrain.commands.settings import Part, build, read_config
from ocrtrain.decoding import Transcript
from ocrtrain.errors import InputError
from ocrtrain.files import atomic_path
from ocrtrain.recognizer import Recognizer
from ocrtrain.settings import PathName, PositiveInt

log = logging.getLogger(__name__)

FORMATS = ("tsv", "jsonl", "xml")


@dataclass(frozen=True, slots=True)
class PredictSettings:
    """Settings of `predict`; conf/predict.yaml says what each is for."""

    checkpoint: PathName
    adapter: PathName | None
    input: PathName
    output: PathName | None
    format: str | None
    batch_size: PositiveInt
    device: str | None
    decoder: Part


def run(config: DictConfig) -> None:
    """Read every line that `input` means and write a row for each, in order, or the pages again.

    A line that cannot be read is named on stderr and left out; the command then ends with exit code 2.
    """
    settings = read_config(PredictSettings, config)
    output = settings.output
    paths = find_images(settings.input)
    form = output_format(output, settings.format, paths)
    places = page_places(output, settings.input, paths) if form == "xml" else {}
    recognizer = Recognizer.load(settings.checkpoint, settings.device, settings.adapter)
    recognizer.decoder = build(settings.decoder)(recognizer.description.charset)
    items: deque[Item] = deque()
    outcomes = recognizer.stream_outcomes(lines_of(paths, items), settings.batch_size)
    count = failed = 0
    with PageWriter(places) if form == "xml" else rows(output, form) as write:
        for outcome in outcomes:
            item = items.popleft()
            count += 1
            if isinstance(outcome, InputError):
                failed += 1
                log.error("left out: %s", outcome)
            else:
                write(item, outcome)
    if output is not None:
        noun = "lines" if any(map(is_page, paths)) else "images"
        log.info("read %d of %d %s into %s", count - failed, count, noun, output)
    if failed:
        raise SystemExit(2)


@contextmanager
def rows(output: str | None, form: str) -> Iterator[Callable[[Item, Transcript], None]]:
    """Open the table that rows go to, the terminal or a file; gives what writes one."""
    with open_output(output) as file:
        table = csv.writer(file, "excel-tab", lineterminator="\n")
        if form == "tsv":
            table.writerow(["image", "confidence", "text"])

        def write(item: Item, read: Transcript) -> None:
            if form == "tsv":
                table.writerow([item.name, f"{read.confidence:.4f}", read.text])
            else:
                file.write(json.dumps(as_json(item.name, read), ensure_ascii=False) + "\n")
            if output is None:
                file.flush()

        yield write


def as_json(name: str, transcript: Transcript) -> dict[str, object]:
    """Give a transcript, the place of each character in pixels of the line, and other readings."""
    characters = [
        {"text": c.text, "probability": round(c.probability, 4), "x": [round(c.x0, 1), round(c.x1, 1)]}
        for c in transcript.characters
    ]
    row: dict[str, object] = {
        "image": name,
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


def output_format(output: str | None, form: str | None, paths: Sequence[str]) -> str:
    """Take the format from the setting or from the file's suffix; raises InputError for any other.

    Pages that go into a folder are written as pages.
    """
    suffix = Path(output).suffix.removeprefix(".").lower() if output else "tsv"
    given, form = form, form or (suffix if suffix in FORMATS or not all(map(is_page, paths)) else "xml")
    if form not in FORMATS:
        raise InputError(
            f"output={output}" if given is None else f"format={given}",
            "has no known format",
            "end it in .tsv or .jsonl, set format=tsv|jsonl, or name a folder for pages in PAGE or ALTO XML.",
        )
    if form == "xml" and not all(map(is_page, paths)):
        raise InputError(
            f"output={output}", "is for pages in PAGE or ALTO XML", "write images' texts as .tsv or .jsonl."
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
