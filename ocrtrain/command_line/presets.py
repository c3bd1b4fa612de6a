"""The folders of presets, the built-in one and the user's, and what composing them gives."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from ocrtrain.command_line.invocation import Invocation
from ocrtrain.command_line.quoting import quoted
from ocrtrain.errors import InputError


@functools.cache
def built_in() -> Path:
    """Find the folder of the presets that come with the package.

    In a checkout and an editable install it is conf/ beside the package; in a wheel it is within the package.
    Hydra and the help pages read folders, so from a zip it is unpacked for as long as the process lives.
    """
    packed = resources.files("ocrtrain").joinpath("conf")
    beside = Path(__file__).resolve().parents[2] / "conf"
    if isinstance(packed, Path):
        return packed if packed.is_dir() else beside
    folder = Path(tempfile.mkdtemp(prefix="ocrtrain-conf-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    unpack(packed, folder)
    return folder


def unpack(source: Traversable, folder: Path) -> None:
    """Copy the files below `source`, a folder within an archive, into `folder`."""
    folder.mkdir(exist_ok=True)
    for item in source.iterdir():
        if item.is_dir():
            unpack(item, folder / item.name)
        else:
            (folder / item.name).write_bytes(item.read_bytes())


def folders(invocation: Invocation) -> list[Path]:
    """The folders that hold presets, in the order in which Hydra looks into them."""
    return [built_in()] if invocation.config_dir is None else [built_in(), invocation.config_dir.absolute()]


def refuse_hidden(invocation: Invocation) -> None:
    """Raise `InputError` for the user's presets that differ from a built-in one of their name: they lose."""
    if invocation.config_dir is None:
        return
    hidden = [
        file
        for file in sorted(invocation.config_dir.rglob("*.yaml"))
        if (ours := built_in() / file.relative_to(invocation.config_dir)).is_file()
        and file.read_bytes() != ours.read_bytes()
    ]
    if hidden:
        raise InputError(
            ", ".join(map(str, hidden)),
            "a built-in preset has this name, and goes first",
            "Give it another name.",
        )


def preset(invocation: Invocation, name: str) -> Path | None:
    """The file of a preset such as `experiment/lines`."""
    files = (folder / f"{name}.yaml" for folder in folders(invocation))
    return next((file for file in files if file.is_file()), None)


def options(invocation: Invocation, group: str) -> dict[str, str]:
    """The presets to choose from in `group`, each with the first line of its file's comment."""
    found: dict[str, str] = {}
    for folder in folders(invocation):
        for file in sorted((folder / group).glob("*.yaml")):
            found.setdefault(file.stem, summary(file))
    return found


def groups(invocation: Invocation) -> list[str]:
    """The names of all groups of presets, `experiment` for one; Hydra's own are left out."""
    names = {
        file.parent.relative_to(folder).as_posix()
        for folder in folders(invocation)
        for file in folder.rglob("*.yaml")
        if file.parent != folder
    }
    return sorted(name for name in names if name.split("/")[0] != "hydra")


def summary(file: Path) -> str:
    """The first sentence that a preset says about itself, without its full stop; empty if it says none."""
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        comment = line.removeprefix("#").strip()
        if not line.startswith("#") and comment:
            break
        if comment and not comment.startswith("@package"):
            return comment.rstrip(".:")
    return ""


def compose(invocation: Invocation, overrides: Sequence[str]) -> DictConfig:
    """Compose the command's configuration with `overrides`, Hydra's own included; raises as Hydra does."""
    import hydra

    # Hydra looks for the main file in the first folder only, and for presets in all of them.
    places = sorted(
        folders(invocation), key=lambda folder: not (folder / f"{invocation.config_name}.yaml").exists()
    )
    others = ",".join(quoted(f"file://{place}") for place in places[1:])
    with hydra.initialize_config_dir(str(places[0]), version_base="1.3"):
        overrides = [*overrides, f"hydra.searchpath=[{others}]"]
        return hydra.compose(invocation.config_name, overrides, return_hydra_config=True)


def choices(config: DictConfig) -> dict[str, Any]:
    """The preset that each group of `config` has, by the group's name; Hydra's own are left out."""
    chosen = config.hydra.runtime.choices.items()
    return {str(group): option for group, option in chosen if str(group).split("/")[0] != "hydra"}


def settings(config: DictConfig) -> dict[str, Any]:
    """Every setting of `config` by its dotted key, interpolations unresolved; Hydra's own are left out."""
    plain = OmegaConf.to_container(config, resolve=False)
    assert isinstance(plain, dict)
    return {key: value for key, value in _leaves(plain) if key.split(".")[0] != "hydra"}


def _leaves(node: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
