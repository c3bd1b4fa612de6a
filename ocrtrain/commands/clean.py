"""`clean`: list what earlier runs left on this machine, and remove it when told to."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from omegaconf import DictConfig

from ocrtrain import cache
from ocrtrain.command_line.quoting import command_to_type
from ocrtrain.commands.settings import read_config
from ocrtrain.errors import InputError
from ocrtrain.files import open_regular
from ocrtrain.json_text import JsonError, parse_json
from ocrtrain.run_mark import RUN_MARK, process_lives, read_mark
from ocrtrain.settings import PathName
from ocrtrain.synthesis.folder import IMAGES, RECORD, generated_files

KINDS = ("data", "runs", "cache")
_RECENT = 3600.0  # seconds
_LONGEST = 2**22  # bytes of a file that tells what a folder is
# What `files.atomic_path` leaves of the files that it writes for generate and in the cache, if it is killed.
_UNFINISHED = r"\.({})\.\d+-[0-9a-f]{{8}}\.partial"
_UNFINISHED_DATA = re.compile(_UNFINISHED.format(r"labels\.txt|generate\.json"))
_CACHE_FILES = r"fonts-\w+\.json|lines-\w+\.(?:table|images)"
_CACHED = re.compile(_CACHE_FILES + "|" + _UNFINISHED.format(_CACHE_FILES))


@dataclass(frozen=True, slots=True)
class CleanSettings:
    """Settings of `clean`; conf/clean.yaml says what each is for."""

    what: Literal["all", "data", "runs", "cache"]
    runs: PathName
    yes: bool


@dataclass(frozen=True, slots=True)
class Leftover:
    """Something that an earlier run left: `files` are its own; `folders` go too, deepest first, if empty."""

    kind: str
    path: Path
    files: tuple[Path, ...]
    folders: tuple[Path, ...]

    @property
    def size(self) -> int:
        """Bytes in its files."""
        return sum(file.lstat().st_size for file in self.files if os.path.lexists(file))


def run(config: DictConfig) -> None:
    """List what `what` chooses; on `yes` remove it. Raises `InputError` for a file that cannot be removed."""
    settings = read_config(CleanSettings, config)
    kinds = KINDS if settings.what == "all" else (settings.what,)
    found, left_alone = find(Path(settings.runs).expanduser(), kinds)
    files = sum(len(leftover.files) for leftover in found)
    total = sum(leftover.size for leftover in found)

    for leftover in found:
        row = f"{leftover.kind:<6}{readable(leftover.size):>10}{counted(len(leftover.files)):>16}"
        print(f"{row}  {shown(leftover.path)}")
    for path, why in left_alone:
        print(f"left alone: {shown(path)} ({why})")
    if not found:
        print("Nothing to remove.")
    elif not settings.yes:
        chosen = {"what": settings.what, "runs": settings.runs, "yes": True}
        usual = {"what": "all", "runs": "runs"}
        typed = {key: value for key, value in chosen.items() if value != usual.get(key)}
        print(f"{readable(total)} in {counted(files)}; nothing was removed.")
        print(f"To remove them: {command_to_type('clean', typed)}")
    else:
        for leftover in found:
            remove(leftover)
        if not any(os.path.lexists(output.path) for output in cache.recorded()):
            remove(Leftover("cache", cache.cache_folder(), (cache.ledger(),), (cache.cache_folder(),)))
        print(f"Removed {counted(files)} and freed {readable(total)}.")


def find(runs: Path, kinds: tuple[str, ...]) -> tuple[list[Leftover], list[tuple[Path, str]]]:
    """Find what is ours among the outputs on record, in the folder `runs` and in the cache.

    The second list names what is on record but left alone, each with the reason. Links are never followed: a
    linked folder is somebody's choice of a place.
    """
    found: list[Leftover] = []
    left_alone: list[tuple[Path, str]] = []
    record = [(output.kind, output.path) for output in cache.recorded()]
    if "data" in kinds:
        for path in sorted({path for kind, path in record if kind == "data"}):
            if refusal := _refusal(path, carries_mark=is_generated(path)):
                left_alone.append((path, refusal))
            elif path.is_dir():
                try:
                    found.append(generated(path))
                except OSError as error:
                    left_alone.append((path, f"cannot be read: {error.strerror}"))
                    continue
                others = _others(found[-1])
                if others:
                    left_alone.append((others[0], f"{counted(len(others))} that generate did not write"))
    if "runs" in kinds:
        inside = sorted(path for path in runs.glob("*") if is_run(path))
        recorded = sorted({path for kind, path in record if kind == "run"})
        for path in {path.resolve(): path for path in recorded + inside if os.path.lexists(path)}.values():
            if refusal := _refusal(path, carries_mark=is_run(path)) or _shared(path) or _running(path):
                left_alone.append((path, refusal))
            else:
                found.append(Leftover("runs", path, *_tree(path)))
        for file in sorted(runs.glob("multirun/*/multirun.yaml")):
            if not file.is_symlink() and "ocrtrain" in _text(file):
                found.append(Leftover("runs", file.parent, (file,), (file.parent, file.parent.parent)))
    if "cache" in kinds:
        folder = cache.cache_folder()
        if files := tuple(file for file in _files(folder) if _CACHED.fullmatch(file.name)):
            found.append(Leftover("cache", folder, files, ()))
    return found, left_alone


def is_generated(folder: Path) -> bool:
    """Tell whether generate wrote into `folder`, from the record that it keeps there."""
    try:
        record = parse_json(_text(folder / RECORD))
    except JsonError:
        return False
    return isinstance(record, dict) and {"version", "count", "seed"} <= record.keys()


def is_run(folder: Path) -> bool:
    """Tell whether fit made `folder`: other programs too keep a config.yaml beside a metrics.csv."""
    if folder.is_symlink() or not folder.is_dir():
        return False
    if (folder / RUN_MARK).is_file():
        return True
    return (folder / "metrics.csv").is_file() and "_target_: ocrtrain." in _text(folder / "config.yaml")


def generated(folder: Path) -> Leftover:
    """Collect what generate wrote into `folder`, and nothing else that may lie there.

    generate.json is the last file: what is interrupted can be found and removed another time. Raises OSError
    for folders that cannot be read.
    """
    images = folder / IMAGES
    unfinished = [file for file in _files(folder) if _UNFINISHED_DATA.fullmatch(file.name)]
    own = [file for file in generated_files(folder) if not file.is_symlink()]
    if images.is_symlink():
        own = [file for file in own if file.parent == folder]
        places = []
    else:
        # Shards have numbers for names; one that a killed process made may be empty, so files do not tell.
        places = [place for place in _tree(images)[1] if place == images or place.name.isdecimal()]
    return Leftover("data", folder, (*unfinished, *own), (*places, folder))


def remove(leftover: Leftover) -> None:
    """Remove the files of `leftover`, and its folders as far as nothing else is in them."""
    try:
        for file in leftover.files:
            file.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(
            str(error.filename), f"cannot be removed: {error.strerror}", "Make its folder writable for you."
        ) from error
    for folder in leftover.folders:
        try:
            folder.rmdir()
        except OSError:  # not empty, or gone already
            continue


def readable(size: int) -> str:
    """A number of bytes as people write it."""
    amount = float(size)
    for unit in ("B", "KB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def counted(files: int) -> str:
    """A number of files in words."""
    return "1 file" if files == 1 else f"{files:,} files"


def shown(path: Path) -> str:
    """A path as short as it can be typed from here."""
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _refusal(path: Path, carries_mark: bool) -> str | None:
    """Say why a folder that is there must stay; None if what is ours in it may be removed."""
    if not os.path.lexists(path):
        return None
    if path.is_symlink():
        return "a link"
    if not carries_mark:
        return "on record, but without ocrtrain's mark"
    if path.resolve() in (Path.cwd(), *Path.cwd().parents):
        return "holds the folder that you are in"
    return None


def _shared(folder: Path) -> str | None:
    """Tell whether a run's folder holds folders that are not the run's."""
    # `run=a/b` lies below `run=a`, and resume=~/checkpoints/last.ckpt makes a run's folder of ~.
    try:
        with os.scandir(folder) as entries:
            places = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    others = [place for place in places if place not in ("checkpoints", "tensorboard", "wandb")]
    return f"holds the folder {others[0]}, which is not the run's" if others else None


def _running(folder: Path) -> str | None:
    """Tell whether the process that a run's mark names still lives, or may live on another machine."""
    mark = read_mark(folder)
    if mark is None:
        return None
    if mark.is_here:
        return f"process {mark.process} is still at work there" if process_lives(mark.process) else None
    # Cannot be asked. A run at work writes a row of metrics every few steps.
    written = (file.lstat().st_mtime for file in _tree(folder)[0] if os.path.lexists(file))
    recent = time.time() - max(written, default=0.0) < _RECENT
    return f"written to within the last hour, by process {mark.process} of {mark.host}" if recent else None


def _text(file: Path) -> str:
    try:
        if file.is_symlink():
            return ""
        with open_regular(file) as opened:
            return opened.read(_LONGEST).decode("utf-8", "replace")
    except OSError:
        return ""


def _files(folder: Path) -> list[Path]:
    """The regular files directly in `folder`, by name; none where it cannot be read."""
    return [path for path in sorted(folder.glob("*")) if path.is_file() and not path.is_symlink()]


def _tree(folder: Path) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Everything below `folder`, links as links: files (marks last), then folders from the deepest up."""
    files: list[Path] = []
    folders: list[Path] = []
    for place, inner, names in os.walk(folder, topdown=False):
        links = [name for name in inner if os.path.islink(os.path.join(place, name))]
        files += [Path(place, name) for name in sorted(names + links)]
        folders.append(Path(place))
    marks = {folder / name for name in (RUN_MARK, "metrics.csv", "config.yaml")}
    return tuple(sorted(files, key=lambda file: file in marks)), tuple(folders)


def _others(leftover: Leftover) -> list[Path]:
    """The files below a data folder that are not among its own."""
    return sorted(set(_tree(leftover.path)[0]) - set(leftover.files))
