"""The page of one command: what it does, its settings with their values, the presets to choose from."""

from __future__ import annotations

import shutil
import textwrap
from pathlib import Path
from typing import Any

from ocrtrain.command_line import documentation
from ocrtrain.command_line.invocation import FLAGS, Invocation
from ocrtrain.command_line.presets import choices, compose, options, preset, settings


def help_page(invocation: Invocation) -> str:
    """Write the page for the settings that `invocation` gives, so that it shows an experiment's values too.

    Everything on it comes from the comments in the files of presets, which are what a reader of those sees.
    Raises what Hydra raises where the settings do not fit.
    """
    config = compose(invocation, invocation.overrides)
    # Hydra lists them from the last to the first; an experiment chooses for all, so it is shown first.
    chosen = {group.split("@")[0]: option for group, option in reversed(choices(config).items())}
    chosen = {"experiment": chosen.pop("experiment"), **chosen} if "experiment" in chosen else chosen
    values = settings(config)
    main = _read(preset(invocation, invocation.config_name))
    page = [f"{main.head}\n\nUsage: {invocation.program} [KEY=VALUE ...]\n"]
    shared = _read(preset(invocation, "common"))
    page += _section("Settings", main.comments | shared.comments, values)
    for group, option in chosen.items():
        page.append(f"\nChoices for {group} (now {option or 'none'})\n")
        page += [_entry(f"{group}={name}", text) for name, text in options(invocation, group).items()]
    for group, option in chosen.items():
        own = _read(preset(invocation, f"{group}/{option}")) if isinstance(option, str) else None
        if own is not None and own.package != "_global_":
            prefix = group.replace("/", ".") if own.package is None else own.package
            comments = {f"{prefix}.{key}": text for key, text in own.comments.items()}
            page += _section(f"Settings of {group}={option}", comments, values)
    page.append(f"\nFlags\n{FLAGS}")
    page.append(f"\nEvery setting, also those without a word here: {invocation.program} --cfg job\n")
    return "".join(page)


def example(invocation: Invocation, key: str) -> str:
    """Show how to give `key`: the example of the command that does, if there is one."""
    main = _read(preset(invocation, invocation.config_name))
    for line in main.head.splitlines():
        if f" {key}=" in line and "ocrtrain" in line:
            return f"For example: {line.strip()}"
    return f"Write {key}=VALUE, e.g. {invocation.program} {key}=..."


def _read(file: Path | None) -> documentation.Documentation:
    return documentation.Documentation() if file is None else documentation.read(file)


def _section(title: str, comments: dict[str, str], values: dict[str, Any]) -> list[str]:
    # A key whose comment speaks for a whole node stands without a value.
    known = [key for key in comments if key in values or any(name.startswith(f"{key}.") for name in values)]
    names = [f"{key}={_written(values[key])}" if key in values else key for key in known]
    entries = [_entry(name, comments[key]) for name, key in zip(names, known, strict=True)]
    return [f"\n{title}\n", *entries] if entries else []


def _entry(name: str, text: str) -> str:
    """One line `name  text`, wrapped to the terminal; a long name has a line of its own."""
    width = max(60, min(shutil.get_terminal_size((100, 0)).columns, 110))
    column = 34
    lines = textwrap.wrap(text, width - column) or [""]
    if len(name) > column - 4:
        lines.insert(0, "")
    first, *rest = lines
    return "".join(
        f"{line}\n"
        for line in [f"  {name:<{column - 2}}{first}".rstrip(), *(" " * column + line for line in rest)]
    )


def _written(value: Any) -> str:
    """A value as one would type it."""
    if value == "???":
        return "(must be given)"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{','.join(map(_written, value))}]"
    return str(value)
