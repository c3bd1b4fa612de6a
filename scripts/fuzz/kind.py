"""A kind of file: how a whole one is made, and how the package reads it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Kind:
    """One row of the table.

    make: writes whole files into the folder "case", and what reading them needs besides, and is left as it
    is, into "fixed", both under the folder that it gets; read: reads what lies in a copy of "case", given
    that copy and "fixed", and gives what it found, in plain values, arrays and tensors; weight: its share of
    the cases; guarded: suffixes of files with a digest or checksum in them, so that damage must show;
    cut_shows: whether a file that was cut short must be refused, or found whole, or its loss be told, which
    `told` looks for in what was found of the whole file and of this one.
    """

    make: Callable[[Path], None]
    read: Callable[[Path, Path], object]
    weight: int = 4
    guarded: tuple[str, ...] = ()
    cut_shows: bool = False
    told: Callable[[Any, Any], bool] = lambda whole, found: False
    needs: str | None = None  # a package
    readable: bool = True  # the whole file; False where only its beginning can be made here


class ShownError(Exception):
    """A file that was read does what it must not; the text says what."""
