"""Language models in KenLM's binary format, read through the `kenlm` package where it is installed.

The format can be asked for probabilities, but not for what it holds. A context is known if the model's
answer has used all of it, so the contexts are found by asking for every character after every context that
is known. KenLM's own tools have no way back from it to an ARPA file.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ocrtrain.decoding.lm.arpa import LOG_10, NEVER, token_of
from ocrtrain.decoding.lm.language_model import LanguageModel
from ocrtrain.decoding.lm.level import BEGIN, SPECIAL, Level
from ocrtrain.decoding.lm.model_check import ModelError
from ocrtrain.errors import InputError


def read_kenlm(path: str | Path, characters: Iterable[str]) -> LanguageModel:
    """Read a model of characters as far as it is about `characters`.

    Raises `InputError` if kenlm is not installed or cannot read the file, and where none of the characters is
    known.
    """
    try:
        import kenlm
    except ImportError as error:
        raise InputError(
            str(path),
            "is in KenLM's binary format, which needs the package kenlm",
            "install it (pip install kenlm), or give the model as an ARPA file.",
        ) from error
    if not Path(path).is_file():
        raise InputError(str(path), "cannot be read: no such file", "name a model.")
    try:
        model = kenlm.Model(str(path))
    except (OSError, RuntimeError) as error:
        raise InputError(str(path), f"kenlm cannot read it: {error}", "name a model of kenlm's.") from error
    known = [character for character in characters if token_of(character) in model]
    if not known:
        raise InputError(
            str(path),
            "knows none of the characters that the recognizer writes",
            "a model of characters is needed, with <space> for a space.",
        )
    symbols = [*SPECIAL, *known]
    try:
        return LanguageModel(symbols, _levels(kenlm, model, [token_of(symbol) for symbol in symbols]))
    except ModelError as error:
        raise InputError(str(path), str(error), "build it once more with kenlm's build_binary.") from error


def _levels(kenlm: Any, model: Any, tokens: list[str]) -> list[Level]:
    empty = kenlm.State()
    model.NullContextWrite(empty)
    begun = kenlm.State()
    model.BeginSentenceWrite(begun)
    begin = tokens.index(BEGIN)
    states: dict[tuple[int, ...], Any] = {(): empty}  # of all contexts
    newest: list[tuple[int, ...]] = [()]
    levels: list[Level] = []
    for n in range(1, model.order + 1):
        rows: list[tuple[int, int, float]] = []
        backoffs = np.zeros(len(newest))
        grams: list[tuple[int, ...]] = []
        for place, context in enumerate(newest):
            measured = n == 1
            for symbol, token in enumerate(tokens):
                after = kenlm.State()
                answer = model.BaseFullScore(states[context], token, after)
                if answer.ngram_length == n or n == 1:
                    if symbol == begin and n > 1:
                        continue
                    rows.append((place, symbol, NEVER if symbol == begin else answer.log_prob))
                    grams.append((*context, symbol))
                    if n < model.order:
                        states[grams[-1]] = begun if symbol == begin else after
                elif not measured:
                    backoffs[place] = answer.log_prob - model.BaseScore(states[context[1:]], token, after)
                    measured = True
        if levels:
            levels[-1] = replace(levels[-1], backoff=backoffs * LOG_10)
        parents, symbols = np.array([row[:2] for row in rows], np.int64).reshape(-1, 2).T
        log_probs = np.array([row[2] for row in rows], float)
        levels.append(Level(parents, symbols, log_probs * LOG_10, np.zeros(len(rows))))
        newest = grams
    return levels
