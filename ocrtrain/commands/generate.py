"""`generate`: draw lines to disk, as images and a list of their texts that `fit` reads."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from ocrtrain import cache
from ocrtrain.command_line.progress import Progress
from ocrtrain.command_line.quoting import command_to_type
from ocrtrain.commands.settings import Part, build, read_config, worker_count
from ocrtrain.errors import InputError
from ocrtrain.fields import CheckedFields, FieldError
from ocrtrain.files import unwritable, write_text_atomically
from ocrtrain.json_text import JsonError, parse_json_file
from ocrtrain.settings import Count, PathName, PositiveInt
from ocrtrain.synthesis import LineGenerator
from ocrtrain.synthesis.folder import (
    IMAGES,
    LABELS,
    RECORD,
    draw_files,
    image_name,
    remove_generated,
    write_images,
)
from ocrtrain.synthesis.preview import COLUMNS, ROWS, draw_preview
from ocrtrain.version import __version__

_OWN_KEYS = ("output", "preview", "count", "seed", "workers", "overwrite", "debug")


@dataclass(frozen=True, slots=True)
class GenerateSettings:
    """Settings of `generate`; conf/generate.yaml says what each is for."""

    output: PathName | None
    preview: PathName | None
    format: str
    count: PositiveInt
    seed: Count
    workers: PositiveInt | None
    overwrite: bool
    synthesis: Part


def run(config: DictConfig) -> None:
    """Write `count` lines into `output`: images/NUMBER.png, and labels.txt once all of them are there.

    The images depend on the seed and the settings, and neither on the number of workers nor on interruptions:
    run again, it goes on where it stopped. In other formats than pairs, `output` appears when all lines are
    there, or not at all. With `preview`, a picture of the first 64 lines is written, and no
    line unless `output` is given, too. Raises `InputError` for settings and folders that do not fit.
    """
    settings = read_config(GenerateSettings, config)
    if settings.output is None and settings.preview is None:
        way_on = "For example: python -m ocrtrain generate output=lines count=10000"
        raise InputError("output", "must be given", way_on)
    generator: LineGenerator = build(settings.synthesis)
    if settings.preview is not None:
        preview = Path(settings.preview).expanduser()
        draw_preview([generator.line(settings.seed, 0, i) for i in range(ROWS * COLUMNS)], preview)
        print(f"{preview}: the first {ROWS * COLUMNS} lines with their texts, {len(generator.fonts)} fonts")
    if settings.output is not None:
        output = Path(settings.output).expanduser().absolute()
        write = write_pairs if settings.format == "pairs" else write_whole
        written = write(generator, output, settings)
        print(f"{output}: {settings.count:,} lines{written}, {len(generator.fonts)} fonts")
        say_next(settings.output.rstrip("/\\"), settings.count, settings.seed)


def write_pairs(generator: LineGenerator, output: Path, settings: GenerateSettings) -> str:
    """Write images/ and labels.txt, going on where an earlier run stopped; says what is there in the end."""
    count, seed = settings.count, settings.seed
    record = {"version": __version__, "count": count, "seed": seed, "synthesis": generator.identity()}
    prepare(output, record, settings.overwrite)
    cache.record("data", output)
    with Progress("lines", count) as progress:
        drawn = write_images(generator, output, seed, count, worker_count(settings.workers), progress)
    labels = [f"{image_name(i)}\t{generator.text(seed, 0, i)}\n" for i in range(count)]
    write_text_atomically(output / LABELS, "".join(labels))
    there = f" ({count - drawn:,} were there already)" if drawn < count else ""
    return f"{there}, {IMAGES}/ and {LABELS}"


def write_whole(generator: LineGenerator, output: Path, settings: GenerateSettings) -> str:
    """Write lines in one of the formats that appear when all is there, or not at all; says which it is."""
    from ocrtrain.data.formats.writers import WrittenLine, writing

    if settings.overwrite:
        raise InputError(
            "overwrite=true",
            f"is for format=pairs, not for {settings.format}",
            "name a new folder, or remove the old one.",
        )
    files = draw_files(generator, settings.seed, settings.count, worker_count(settings.workers))
    with (
        writing(settings.format, output) as writer,
        closing(files) as drawn,
        Progress("lines", settings.count) as progress,
    ):
        for image, text, name in drawn:
            writer.write(WrittenLine(image, text, name))
            progress(1)
    return f", {settings.format}"


def say_next(given: str, count: int, seed: int) -> None:
    """Print the commands that draw lines to validate on, and train; `given` is the folder as it was typed."""
    print("Next, lines to validate on and a training:")
    others = {"output": f"{given}-val", "count": -(-count // 10), "seed": seed + 1}
    print(f"  {command_to_type('generate', others, _choices())}")
    sets = {"experiment": "lines", "data.train": given, "data.val": f"{given}-val"}
    print(f"  {command_to_type('fit', sets)}")


def prepare(output: Path, record: dict[str, Any], overwrite: bool) -> None:
    """Make `output` ready for the lines of `record`, and note in generate.json what they are.

    Lines that are there already stay if they are of the same kind; `overwrite` removes them. Raises
    `InputError` if the folder holds anything else.
    """
    try:
        there = _read_record(output)
        if there is not None and overwrite:
            remove_generated(output)
        elif there is not None:
            _compare(output, there, record)
            if there["count"] < record["count"]:
                # Until the new lines are there the folder has no labels, so that nobody takes it for whole.
                (output / LABELS).unlink(missing_ok=True)
        (output / IMAGES).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(error.filename or output, error) from error
    write_text_atomically(output / RECORD, json.dumps(record, indent=1, ensure_ascii=False) + "\n")


def _read_record(output: Path) -> dict[str, Any] | None:
    """Read generate.json; None if `output` is new or empty."""
    if not output.exists():
        return None
    if not output.is_dir():
        raise InputError(f"output={output}", "is a file", "name a folder to write.")
    if not any(output.iterdir()):
        return None
    try:
        record = CheckedFields(parse_json_file(output / RECORD))
        return {
            "count": record.integer("count", least=0),
            "seed": record.integer("seed", most=2**63 - 1),
            "synthesis": record.record("synthesis"),
        }
    except FileNotFoundError:
        why = f"is not empty, and generate did not make it (it has no {RECORD})"
        raise InputError(str(output), why, "name a new folder: output=DIR.") from None
    except (JsonError, FieldError, OSError):
        why = "is not what generate wrote"
        raise InputError(str(output / RECORD), why, "name a new folder, or remove this one.") from None


def _compare(output: Path, there: dict[str, Any], now: dict[str, Any]) -> None:
    """Raise `InputError` unless the lines of `now` begin with those that are `there`."""
    way_on = "choose another folder, or replace the lines that are there with overwrite=true."
    old, new = ({"seed": record["seed"], **record["synthesis"]} for record in (there, now))
    if changed := [key for key in sorted({*old, *new}) if old.get(key) != new.get(key)]:
        details = ", ".join(
            f"{key} ({_short(old.get(key))} there, {_short(new.get(key))} now)"
            if _short(old.get(key)) != _short(new.get(key))
            else key
            for key in changed
        )
        raise InputError(str(output), f"holds lines drawn with other settings: {details}", way_on)
    if there["count"] > now["count"]:
        why = f"{output} holds {there['count']:,} lines already"
        raise InputError(f"count={now['count']}", why, f"ask for as many or more, {way_on}")


def _short(value: object) -> str:
    if isinstance(value, list) and len(value) > 4:
        return f"{len(value)} of them"
    return text if len(text := str(value)) <= 40 else f"{text[:40]}..."


def _choices() -> list[str]:
    """List the settings typed that the validation lines need as well."""
    if not HydraConfig.initialized():
        return []
    typed = HydraConfig.get().overrides.task
    return [override for override in typed if override.split("=")[0].lstrip("+") not in _OWN_KEYS]
