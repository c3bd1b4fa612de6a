"""Language models from files, whichever format they are in."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from ocrtrain.decoding.lm.arpa import read_arpa, write_arpa
from ocrtrain.decoding.lm.kenlm_binary import read_kenlm
from ocrtrain.decoding.lm.language_model import LanguageModel
from ocrtrain.errors import InputError
from ocrtrain.settings import checked_path


def load_language_model(path: str | os.PathLike[str], characters: Iterable[str] = ()) -> LanguageModel:
    """Read our own format, an ARPA file, or KenLM's binary format, whichever it is.

    characters: those that a KenLM model is asked for. Raises `InputError` for anything else.
    """
    path = checked_path(path, "lm")
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            raise InputError(str(path), "is not a file", "name a language model.")
        with open(path, "rb") as file:
            beginning = file.read(64)
    except (OSError, ValueError) as error:  # a ValueError for half a character in the name
        reason = getattr(error, "strerror", None) or error
        raise InputError(str(path), f"cannot be read: {reason}", "name a language model.") from error
    if beginning.startswith(b"PK"):
        return LanguageModel.load(path)
    if beginning.startswith(b"mmap lm http://kheafield.com/code"):
        return read_kenlm(path, characters)
    return read_arpa(path)


def check_output(path: str | Path) -> None:
    """Raise `InputError` unless the suffix of a file to write names a format."""
    if checked_path(path, "output").suffix.lower() not in (".npz", ".arpa"):
        raise InputError(
            f"output={path}", "has no known format", "end it in .npz, or in .arpa for other programs."
        )
    if os.path.isdir(path):
        raise InputError(f"output={path}", "is a folder", "name a file.")


def save_language_model(model: LanguageModel, path: str | Path) -> None:
    """Write a model in the format that the suffix names; raises `InputError` where that cannot be done."""
    check_output(path)
    if Path(path).suffix.lower() == ".arpa":
        write_arpa(model, path)
    else:
        model.save(path)
