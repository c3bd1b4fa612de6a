"""Drawn lines as files: numbered images, written by several processes, each of them whole or not there."""

from __future__ import annotations

import io
import multiprocessing
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, suppress
from functools import partial
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ocrtrain.errors import InputError
from ocrtrain.files import unwritable
from ocrtrain.synthesis.generator import LineGenerator

Result = TypeVar("Result")

IMAGES, LABELS, RECORD = "images", "labels.txt", "generate.json"

_PER_FOLDER = 10_000
_CHUNK = 100
_IMAGE = re.compile(r"\d{6,}\.png|\.\d{6,}\.png\.\d+\.partial")
_SHARD = re.compile(r"\d{4,}")


def image_name(index: int) -> str:
    """Name line `index` under images/: 10,000 lie there, the others in numbered folders of as many."""
    shard = index // _PER_FOLDER
    return f"{shard:04}/{index:06}.png" if shard else f"{index:06}.png"


def generated_files(folder: Path) -> Iterator[Path]:
    """List what `generate` wrote into `folder`, its record last, and nothing that anybody else did."""
    yield from (file for file in [folder / LABELS] if file.is_file())
    places = [folder / IMAGES]
    while places:
        with suppress(FileNotFoundError, NotADirectoryError), os.scandir(places.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    places += [Path(entry.path)] if _SHARD.fullmatch(entry.name) else []
                elif _IMAGE.fullmatch(entry.name):
                    yield Path(entry.path)
    yield from (file for file in [folder / RECORD] if file.is_file())


def remove_generated(folder: Path) -> None:
    """Remove what `generate` wrote into `folder`, and the folders that are empty then; raises OSError."""
    for file in list(generated_files(folder)):
        file.unlink()
    shards = (place for place in (folder / IMAGES).glob("*") if _SHARD.fullmatch(place.name))
    for place in [*shards, folder / IMAGES, folder]:
        with suppress(OSError):
            place.rmdir()


def write_images(
    generator: LineGenerator,
    folder: Path,
    seed: int,
    count: int,
    workers: int,
    report: Callable[[int], object],
) -> int:
    """Draw those of lines 0 ... count - 1 that `folder`/images lacks; return how many that were.

    workers: processes to draw in.
    report: called with a number of lines whenever as many more are there.
    Raises `InputError` if an image cannot be written.
    """
    _remove_leftovers(folder)
    drawn = 0
    with closing(_by_chunks(partial(_write_chunk, generator, folder, seed), count, workers)) as written:
        for chunk, drawn_now in written:
            drawn += drawn_now
            report(len(chunk))
    return drawn


def draw_files(
    generator: LineGenerator, seed: int, count: int, workers: int
) -> Generator[tuple[bytes, str, str], None, None]:
    """Draw lines 0 ... count - 1, in their order: each one's PNG file, its text and its source."""
    with closing(_by_chunks(partial(_draw_chunk, generator, seed), count, workers)) as drawn:
        for _, files in drawn:
            yield from files


def _by_chunks(
    work: Callable[[range], Result], count: int, workers: int
) -> Generator[tuple[range, Result], None, None]:
    """Do some work for every hundred of `count` lines, in several processes, and give what comes of it."""
    chunks = [range(start, min(start + _CHUNK, count)) for start in range(0, count, _CHUNK)]
    workers = min(workers, len(chunks))
    if workers == 1:
        for chunk in chunks:
            yield chunk, work(chunk)
        return
    # Spawned, not forked: the same on every system, and safe whatever threads the process has.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(work,))
    try:
        yield from zip(chunks, pool.map(_work_in_process, chunks), strict=True)
    except BrokenProcessPool:
        raise InputError(
            f"workers={workers}",
            "a process that drew lines was ended from outside, perhaps for want of memory",
            "run the same command again, with fewer workers: with format=pairs, it goes on where it stopped.",
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _draw_chunk(generator: LineGenerator, seed: int, indices: range) -> list[tuple[bytes, str, str]]:
    lines = (generator.line(seed, 0, index) for index in indices)
    return [(_png(line.image), line.text, line.source) for line in lines]


def _png(image: NDArray[np.uint8]) -> bytes:
    picture = io.BytesIO()
    Image.fromarray(image).save(picture, "PNG", compress_level=1)
    return picture.getvalue()


def _write_chunk(generator: LineGenerator, folder: Path, seed: int, indices: range) -> int:
    drawn = 0
    for index in indices:
        path = os.path.join(folder, IMAGES, image_name(index))
        # A file without content is what a power cut leaves of one that was just written.
        if os.path.exists(path) and os.path.getsize(path) > 0:
            continue
        _write(path, _png(generator.line(seed, 0, index).image))
        drawn += 1
    return drawn


def _write(path: str, content: bytes) -> None:
    # Not `files.atomic_path`: to wait for the disk after every image takes far longer than to draw it.
    place, name = os.path.split(path)
    temporary = os.path.join(place, f".{name}.{os.getpid()}.partial")
    try:
        os.makedirs(place, exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException as error:
        with suppress(OSError):
            os.unlink(temporary)
        if isinstance(error, OSError):
            raise unwritable(path, error) from error
        raise


def _remove_leftovers(folder: Path) -> None:
    # Of runs that were killed; what is younger than a minute may be another process's work.
    for file in generated_files(folder):
        if file.suffix == ".partial":
            with suppress(OSError):
                if file.stat().st_mtime < time.time() - 60:
                    file.unlink()


# What a worker process does.
_work: Callable[[range], Any]


def _begin(work: Callable[[range], Any]) -> None:
    global _work
    _work = work
    # Ctrl-C reaches all processes; the first one ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _work_in_process(indices: range) -> Any:
    return _work(indices)


def _end_with_parent() -> None:
    if parent := multiprocessing.parent_process():
        wait([parent.sentinel])
        os._exit(1)
