"""`convert`: stored lines from any format that `fit` reads into one of four, without loss."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from ocrtrain.command_line.progress import Progress
from ocrtrain.command_line.quoting import command_to_type
from ocrtrain.commands.settings import read_config
from ocrtrain.data.formats import Columns
from ocrtrain.data.formats.several import as_typed, open_sources
from ocrtrain.data.formats.writers import WrittenLine, writing
from ocrtrain.data.lines.rejections import check_skipped
from ocrtrain.errors import InputError
from ocrtrain.settings import Count, PathName, PathNames

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ConvertSettings:
    """Settings of `convert`; conf/convert.yaml says what each is for."""

    input: PathNames
    output: PathName
    format: str
    image_column: str | None
    text_column: str | None
    max_skipped: Count


def run(config: DictConfig) -> None:
    """Write the lines of `input` to the folder `output` in another format.

    Images are copied byte for byte (lines cut out of pages become PNG), texts stay as they were written, the
    order too. The folder appears when all is there. Raises `InputError` if more than `max_skipped` lines
    cannot be used.
    """
    settings = read_config(ConvertSettings, config)
    output = Path(settings.output).expanduser().absolute()
    with writing(settings.format, output) as writer:
        columns = Columns(settings.image_column, settings.text_column)
        source = open_sources(settings.input, columns=columns)
        given = as_typed(settings.input)
        where = f"input={given}"
        if notice := check_skipped(source.skipped, settings.max_skipped, where, "max_skipped"):
            log.warning("%s", notice)
        log.info("%s is %s, %s lines", given, source.format, f"{len(source):,}")
        unreadable: dict[str, list[str]] = {}
        allowed = settings.max_skipped - sum(map(len, source.skipped.values()))
        with Progress("lines", len(source)) as progress:
            for index, (name, text) in enumerate(zip(source.names, source.originals, strict=True)):
                try:
                    writer.write(WrittenLine(source.images.encoded(index), text, name))
                except InputError as error:
                    unreadable.setdefault(error.why, []).append(name)
                    check_skipped(unreadable, allowed, where, "max_skipped")
                progress(1)
        if notice := check_skipped(unreadable, allowed, where, "max_skipped"):
            log.warning("%s", notice)
        written = len(source) - sum(map(len, unreadable.values()))
        if not written:
            raise InputError(where, "has no line that can be used", "see the reasons above.")
    print(f"{output}: {written:,} lines, {settings.format}")
    print(f"  {command_to_type('fit', {'experiment': 'lines', 'data.train': settings.output})}")
