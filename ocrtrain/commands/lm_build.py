"""`lm build`: makes a language model of characters from text."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

from omegaconf import DictConfig

from ocrtrain.command_line.quoting import command_to_type
from ocrtrain.commands.settings import read_config
from ocrtrain.data.formats import open_lines
from ocrtrain.decoding.lm.kneser_ney import HIGHEST_ORDER, build_language_model
from ocrtrain.decoding.lm.load import check_output, save_language_model
from ocrtrain.errors import InputError
from ocrtrain.settings import Limits, OneOrMore, PathName
from ocrtrain.text import Writing
from ocrtrain.text.direction import Direction
from ocrtrain.text.normalization import Normalization

BLOCK = 1 << 23  # characters that are counted at once


@dataclass(frozen=True, slots=True)
class LmBuildSettings:
    """Settings of `lm build`; conf/lm_build.yaml says what each is for."""

    text: Annotated[list[PathName], OneOrMore()]
    output: PathName
    order: Annotated[int, Limits(1, HIGHEST_ORDER)]
    normalization: Normalization
    direction: Direction


def run(config: DictConfig) -> None:
    """Count the n-grams of the texts, smooth them and write the model."""
    settings = read_config(LmBuildSettings, config)
    check_output(settings.output)
    writing = Writing(settings.normalization, settings.direction)
    model = build_language_model(partial(blocks, settings.text, writing), settings.order)
    save_language_model(model, settings.output)
    sizes = ", ".join(f"{len(level.symbol):,} of {n}" for n, level in enumerate(model.levels, 1))
    print(f"{settings.output}: {len(model.symbols) - 3:,} characters; n-grams: {sizes}")
    print("Next, how much it should count:")
    tune = {"checkpoint": "FILE.ckpt", "lm": settings.output, "data.val": "DIR"}
    print(f"  {command_to_type('lm tune', tune)}")


def blocks(paths: Sequence[str], writing: Writing) -> Iterator[str]:
    """Give the text at `paths` in pieces of whole lines, as a recognizer shows it from left to right."""
    shown = writing.normalize if writing.direction == "none" else None
    for path in paths:
        for block in lines_of(path):
            if shown is not None:
                yield shown(block)
            else:
                yield "\n".join(map(writing.shown, block.split("\n")))


def lines_of(path: str) -> Iterator[str]:
    """Give the text of a file, or of a folder of lines, in pieces of whole lines; raises `InputError`."""
    if os.path.isdir(path):
        yield "\n".join(open_lines(path).originals) + "\n"
        return
    try:
        with open(Path(path).expanduser(), encoding="utf-8-sig") as file:
            rest = ""
            while piece := file.read(BLOCK):
                whole, line_feed, rest = (rest + piece).rpartition("\n")
                if line_feed:
                    yield whole + "\n"
            if rest:
                yield rest + "\n"
    except OSError as error:
        raise InputError(
            f"text={path}", f"cannot be read: {error.strerror}", "name a text file or a folder of lines."
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(f"text={path}", "is not UTF-8", "save it in UTF-8.") from error
