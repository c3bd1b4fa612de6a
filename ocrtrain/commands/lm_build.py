"""`lm build`: makes a language model of characters from text."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from omegaconf import DictConfig, ListConfig

from ocrtrain.command_line.quoting import command_to_type
from ocrtrain.commands.settings import whole_number
from ocrtrain.data.formats import open_lines
from ocrtrain.decoding.lm.kneser_ney import HIGHEST_ORDER, build_language_model
from ocrtrain.decoding.lm.load import check_output, save_language_model
from ocrtrain.errors import InputError
from ocrtrain.settings import checked_path
from ocrtrain.text import Writing

BLOCK = 1 << 23  # characters that are counted at once


def run(config: DictConfig) -> None:
    """Count the n-grams of `config.text`, smooth them and write the model."""
    given = config.text if isinstance(config.text, ListConfig) else [config.text]
    paths = [str(checked_path(path, "text")) for path in given]
    if not paths:
        raise InputError("text=[]", "names no files", "name a text file or a folder of lines.")
    writing = Writing(config.normalization, config.direction)
    check_output(config.output)
    order = whole_number(config, "order", 1, HIGHEST_ORDER)
    model = build_language_model(partial(blocks, paths, writing), order)
    save_language_model(model, config.output)
    sizes = ", ".join(f"{len(level.symbol):,} of {n}" for n, level in enumerate(model.levels, 1))
    print(f"{config.output}: {len(model.symbols) - 3:,} characters; n-grams: {sizes}")
    print("Next, how much it should count:")
    settings = {"checkpoint": "FILE.ckpt", "lm": str(config.output), "data.val": "DIR"}
    print(f"  {command_to_type('lm tune', settings)}")


def blocks(paths: list[str], writing: Writing) -> Iterator[str]:
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
