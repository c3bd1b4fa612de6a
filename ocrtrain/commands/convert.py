"""`convert`: stored lines from any format that `fit` reads into one of four, without loss."""

from __future__ import annotations

import logging
from pathlib import Path

from omegaconf import DictConfig

from ocrtrain.command_line.quoting import command_to_type
from ocrtrain.commands.progress import Progress
from ocrtrain.commands.settings import plain
from ocrtrain.data.formats import Columns
from ocrtrain.data.formats.several import as_typed, open_sources
from ocrtrain.data.formats.writers import WrittenLine, writing
from ocrtrain.data.lines.rejections import check_skipped
from ocrtrain.errors import InputError

log = logging.getLogger(__name__)


def run(config: DictConfig) -> None:
    """Write the lines of `config.input` to the folder `config.output` as `config.format`.

    Images are copied byte for byte (lines cut out of pages become PNG), texts stay as they were written, the
    order too. The folder appears when all is there. Raises `InputError` if more than `max_skipped` lines
    cannot be used.
    """
    output = Path(str(config.output)).expanduser().absolute()
    with writing(str(config.format), output) as writer:
        source = open_sources(plain(config.input), columns=Columns(config.image_column, config.text_column))
        given = as_typed(plain(config.input))
        where = f"input={given}"
        if notice := check_skipped(source.skipped, config.max_skipped, where, "max_skipped"):
            log.warning("%s", notice)
        log.info("%s is %s, %s lines", given, source.format, f"{len(source):,}")
        unreadable: dict[str, list[str]] = {}
        allowed = config.max_skipped - sum(map(len, source.skipped.values()))
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
    print(f"{output}: {written:,} lines, {config.format}")
    print(f"  {command_to_type('fit', {'experiment': 'lines', 'data.train': str(config.output)})}")
