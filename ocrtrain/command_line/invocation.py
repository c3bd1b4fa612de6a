"""The words after a command, told apart: Hydra's flags, our own, and the settings."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import NoReturn

from ocrtrain.command_line.quoting import taken_literally
from ocrtrain.errors import InputError

FLAGS = """\
  --help               this page; with settings and an experiment it shows their values
  --cfg job            print every setting, with the ones given, instead of running
  --multirun, -m       one run for each combination of comma-separated values: lr=1e-3,1e-4
  --config-dir DIR     a folder of your own presets beside the built-in ones: DIR/experiment/mine.yaml
  --info               how the configuration came about: search path, defaults
"""

LISTS = ("checkpoint", "predictions")  # of several files, with commas between
# Paths and names, which may look like numbers.
TEXTS = (
    *("data.train", "data.val", "data.test", "data.image_column", "data.text_column", "data.charset"),
    *("input", "output", "checkpoint", "adapter", "predictions", "truth", "calibrate", "text", "lm"),
    *("preview", "image_column", "text_column", "init", "resume", "run", "runs", "storage", "decoder.lm"),
    *("decoder.words", "synthesis.words", "encoder.pretrained"),
)


@dataclass(frozen=True, slots=True)
class Invocation:
    """One command and what was typed after it: `flags` are for Hydra, `overrides` are the settings."""

    command: str
    config_name: str
    overrides: list[str]
    flags: list[str]
    config_dir: Path | None
    help: bool
    version: bool
    multirun: bool

    @property
    def program(self) -> str:
        """What to type to run this command, settings aside."""
        return f"python -m ocrtrain {self.command}"

    @property
    def module(self) -> str:
        """The name of the command's module and of its configuration: `lm build` is `lm_build`."""
        return self.command.replace(" ", "_")


def wants_debug(arguments: Sequence[str]) -> bool:
    """Tell whether tracebacks are asked for, even where the settings cannot be read."""
    values = (word.lstrip("+").removeprefix("debug=") for word in arguments if "debug=" in word)
    return any(value.lower() in ("true", "1", "yes", "on") for value in values)


def parse(command: str, arguments: Sequence[str]) -> Invocation:
    """Tell flags and settings apart, in any order; raises `InputError` for a flag that does not exist."""
    parser = FlagParser(command)
    known, unknown = parser.parse_known_intermixed_args(list(arguments))
    if unknown:
        parser.refuse(unknown[0])
    config_dir = None if known.config_dir is None else Path(known.config_dir).expanduser()
    if config_dir is not None and not config_dir.is_dir():
        raise InputError(
            f"--config-dir {config_dir}",
            "no such folder",
            "Name the folder that holds your presets: DIR/experiment/mine.yaml is experiment=mine.",
        )
    flags = [f"--config-dir={config_dir.absolute()}"] if config_dir is not None else []
    for name in ("cfg", "package", "info", "config_name"):
        if getattr(known, name) is not None:
            flags.append(f"--{name.replace('_', '-')}={getattr(known, name)}")
    for name in ("resolve", "multirun", "hydra_help"):
        if getattr(known, name):
            flags.append(f"--{name.replace('_', '-')}")
    return Invocation(
        command=command,
        config_name=known.config_name or command.replace(" ", "_"),
        overrides=[taken_literally(word, () if known.multirun else LISTS, TEXTS) for word in known.overrides],
        flags=flags,
        config_dir=config_dir,
        help=known.help,
        version=known.version,
        multirun=known.multirun,
    )


class FlagParser(argparse.ArgumentParser):
    """Hydra's flags. Hydra's own parser knows them too, but fails on a flag between two settings."""

    def __init__(self, command: str) -> None:
        super().__init__(prog=f"python -m ocrtrain {command}", add_help=False, allow_abbrev=False)
        self.add_argument("overrides", nargs="*")
        self.add_argument("--help", "-h", action="store_true")
        self.add_argument("--version", action="store_true")
        self.add_argument("--hydra-help", action="store_true")
        self.add_argument("--cfg", "-c", choices=["job", "hydra", "all"])
        self.add_argument("--resolve", action="store_true")
        self.add_argument("--package", "-p")
        self.add_argument("--multirun", "-m", action="store_true")
        self.add_argument("--config-name", "-cn")
        self.add_argument("--config-dir", "-cd")
        choices = ["all", "config", "defaults", "defaults-tree", "plugins", "searchpath"]
        self.add_argument("--info", "-i", nargs="?", const="all", choices=choices)

    def error(self, message: str) -> NoReturn:
        raise InputError(self.prog, message, f"The flags are:\n{FLAGS.rstrip()}")

    def refuse(self, word: str) -> NoReturn:
        """Raise `InputError` for a flag that does not exist."""
        name = word.split("=")[0]
        close = get_close_matches(name, self._option_string_actions, n=1)
        meant = f"Did you mean {close[0]}? " if close else ""
        key = name.lstrip("-")
        raise InputError(
            word,
            "no such flag",
            f"{meant}A setting is written without dashes, {key}=VALUE. The flags are:\n{FLAGS.rstrip()}",
        )
