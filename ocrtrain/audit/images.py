"""A short description of every image of a set, made by several processes."""

from __future__ import annotations

import hashlib
import multiprocessing
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ocrtrain.data.lines.sources import LineSource
from ocrtrain.errors import InputError

CHUNK = 64  # lines per task
FEW = 1000  # lines that are read before other processes would have started
ROWS = 8  # of a sketch
COLUMNS = (64, 128, 256, 512)  # of a sketch, the fewest that are as narrow as its rows are high
LEAST_CONTRAST = 24  # grey levels between the darkest and the lightest hundredth; less is no ink


class Seen(NamedTuple):
    """What an image looks like.

    digest: of its size and pixels; sketch: uint8 [64], [128], [256] or [512] by the image's aspect, a bit for
    each place that is lighter than the next on its right when the image is scaled down, row after row; blank:
    nothing stands out from the paper.
    """

    width: int
    height: int
    digest: bytes
    sketch: NDArray[np.uint8]
    blank: bool


def look(image: NDArray[np.uint8]) -> Seen:
    """Describe an image: uint8 [H, W] grey or [H, W, 3] RGB."""
    height, width = image.shape[:2]
    digest = hashlib.blake2b(repr(image.shape).encode() + image.tobytes(), digest_size=16).digest()
    grey = Image.fromarray(image).convert("L")
    ranks = np.cumsum(grey.histogram()) / (width * height)
    low, high = np.searchsorted(ranks, (0.01, 0.99))
    columns = next((n for n in COLUMNS if n * height >= ROWS * width), COLUMNS[-1])
    small = np.asarray(grey.resize((columns + 1, ROWS), Image.Resampling.BOX), np.int16)
    bits = small[:, :-1] > small[:, 1:] + 2  # two levels of slack: plain paper is no pattern
    return Seen(width, height, digest, np.packbits(bits), bool(high - low < LEAST_CONTRAST))


def look_at_all(
    source: LineSource, workers: int, progress: Callable[[int], object] | None = None
) -> list[Seen | str]:
    """Describe all lines of `source` in order; a string is the reason why an image cannot be read.

    workers: processes; 1 reads in this one, as do few lines in any case. The result does not depend on their
    number. Raises `InputError` if one of them is ended from outside.
    """
    found: list[Seen | str] = []
    chunks = [range(start, min(start + CHUNK, len(source))) for start in range(0, len(source), CHUNK)]
    for part in _parts(source, chunks, workers if len(source) >= FEW else 1):
        found += part
        if progress is not None:
            progress(len(part))
    return found


def _parts(source: LineSource, chunks: list[range], workers: int) -> Iterator[list[Seen | str]]:
    if workers == 1:
        yield from (_look_at(source, chunk) for chunk in chunks)
        return
    # Spawned, not forked: the same on every system, and safe whatever threads the process has.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, len(chunks)), context, initializer=_begin, initargs=(source,))
    try:
        yield from pool.map(_look_in_worker, chunks)
    except BrokenProcessPool:
        raise InputError(
            f"workers={workers}",
            "a process that read images was ended from outside, perhaps for want of memory",
            "run the same command again with fewer workers.",
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_source: LineSource  # what a worker process reads


def _begin(source: LineSource) -> None:
    global _source
    _source = source
    # Ctrl-C reaches all processes; the first one ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _look_in_worker(chunk: range) -> list[Seen | str]:
    return _look_at(_source, chunk)


def _look_at(source: LineSource, chunk: range) -> list[Seen | str]:
    found: list[Seen | str] = []
    for index in chunk:
        try:
            found.append(look(source.line(index, 0).image))
        except InputError as error:
            found.append(error.why)
    return found
