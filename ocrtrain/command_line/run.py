"""One command, from its words to its exit code, with Hydra in between."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from ocrtrain.command_line.added_keys import refuse_added_keys
from ocrtrain.command_line.failures import report, report_input_error
from ocrtrain.command_line.help_page import example, help_page
from ocrtrain.command_line.invocation import Invocation, parse
from ocrtrain.command_line.kinds import settle_kinds
from ocrtrain.command_line.presets import built_in, refuse_hidden, settings
from ocrtrain.errors import InputError
from ocrtrain.version import __version__


def execute(command: str, arguments: Sequence[str]) -> int:
    """Run `command` with the flags and settings in `arguments`, report what goes wrong, return the code."""
    try:
        invocation = parse(command, arguments)
        refuse_hidden(invocation)
    except InputError as error:
        return report_input_error(error)
    if invocation.version:
        print(f"ocrtrain {__version__}")
        return 0
    try:
        if invocation.help:
            print(help_page(invocation), end="")
            return 0
        return run_with_hydra(invocation)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
    except Exception as error:
        return report(error, invocation, composed=False)


def run_with_hydra(invocation: Invocation) -> int:
    """Let Hydra compose the configuration and call the command, once or, in a multirun, once for each job."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands its errors on to us instead of printing them
    import hydra

    codes = [0]

    def job(config: DictConfig) -> Any:
        sys.argv = typed  # what Lightning starts the other processes of a distributed run with
        try:
            return run_command(invocation, config)
        except Exception as error:
            code = report(error, invocation, composed=True)
        if not invocation.multirun:
            raise SystemExit(code)
        codes.append(code)  # the other jobs of a multirun still get their chance
        return None

    typed = sys.argv
    sys.argv = [typed[0], *invocation.flags, *invocation.overrides]
    try:
        hydra.main(version_base="1.3", config_path=str(built_in()), config_name=invocation.module)(job)()
    finally:
        sys.argv = typed
    return max(codes)


def run_command(invocation: Invocation, config: DictConfig) -> Any:
    """Check the settings, then call the command; raises `InputError` for a setting that is missing."""
    missing = [key for key, value in settings(config).items() if value == "???"]
    if missing:
        raise InputError(
            ", ".join(missing),
            "must be given",
            f"{example(invocation, missing[0])}\n  All settings: {invocation.program} --help",
        )
    refuse_added_keys(invocation, config)
    settle_kinds(invocation, config)
    if (
        invocation.multirun
        and "run" in config
        and not any(w.startswith("run=") for w in invocation.overrides)
    ):
        # The jobs share the time of the start, which is in a run's name: number them.
        config.run = f"{config.run}-{HydraConfig.get().job.num}"
    return importlib.import_module(f"ocrtrain.commands.{invocation.module}").run(config)
