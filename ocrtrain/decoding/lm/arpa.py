"""Language models of characters in ARPA's format, which the tools of speech recognition share.

A token is one character; `<space>` stands for a space and `<U+00A0>` for other white space by its code
point, since the format separates tokens by it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NoReturn

import numpy as np

from ocrtrain.decoding.lm.language_model import LanguageModel
from ocrtrain.decoding.lm.level import SPECIAL, Level
from ocrtrain.decoding.lm.model_check import ModelError
from ocrtrain.errors import InputError
from ocrtrain.fields import shown
from ocrtrain.files import atomic_path

LOG_10 = math.log(10)
NEVER = -99.0  # the logarithm of zero, by convention
_CODE = re.compile(r"<U\+([0-9A-F]{2,6})>")
# No model has counts of more digits, and Python refuses to read those of thousands.
_ANNOUNCED = re.compile(r"ngram\s+([0-9]{1,3})\s*=\s*([0-9]{1,15})\s*")
_SECTION = re.compile(r"\\([0-9]{1,3})-grams:\s*")


def token_of(symbol: str) -> str:
    """Write a symbol as a token."""
    if symbol == " ":
        return "<space>"
    return f"<U+{ord(symbol):04X}>" if symbol not in SPECIAL and symbol.isspace() else symbol


def symbol_of(token: str) -> str:
    """Read a token, as `token_of` writes it."""
    if token == "<space>":
        return " "
    if token.lower() in SPECIAL:
        return token.lower()
    match = _CODE.fullmatch(token)
    return chr(int(match[1], 16)) if match else token


def write_arpa(model: LanguageModel, path: str | Path) -> None:
    """Write a model whole, or not at all; raises `InputError` where the place cannot be written to."""
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as file:
        file.writelines(_lines(model))


def _lines(model: LanguageModel) -> Iterator[str]:
    tokens = [token_of(symbol) for symbol in model.symbols]
    yield "\\data\\\n"
    for n, level in enumerate(model.levels, 1):
        yield f"ngram {n}={len(level.symbol)}\n"
    grams = [""]
    for n, level in enumerate(model.levels, 1):
        yield f"\n\\{n}-grams:\n"
        pairs = zip(level.parent.tolist(), level.symbol.tolist(), strict=True)
        grams = [f"{grams[parent]} {tokens[symbol]}" if n > 1 else tokens[symbol] for parent, symbol in pairs]
        log_probs = np.maximum(level.log_prob / LOG_10, NEVER).tolist()
        backoffs = (level.backoff / LOG_10).tolist()
        for gram, log_prob, backoff in zip(grams, log_probs, backoffs, strict=True):
            yield (
                f"{log_prob:.7g}\t{gram}\t{backoff:.7g}\n" if n < model.order else f"{log_prob:.7g}\t{gram}\n"
            )
    yield "\n\\end\\\n"


def read_arpa(path: str | Path) -> LanguageModel:
    """Read a model of characters; raises `InputError` for any other file, or a model of words."""
    try:
        with open(path, encoding="utf-8-sig", newline="\n") as file:
            return _read(str(path), file)
    except OSError as error:
        raise InputError(str(path), f"cannot be read: {error.strerror}", "name an ARPA file.") from error
    except UnicodeDecodeError as error:
        raise InputError(str(path), "is not UTF-8", "name an ARPA file.") from error
    except ModelError as error:
        raise InputError(str(path), str(error), "convert it once more from its source.") from error


def _read(path: str, lines: Iterable[str]) -> LanguageModel:
    announced: dict[int, int] = {}
    grams: list[dict[tuple[int, ...], tuple[float, float]]] = []
    index: dict[str, int] = {symbol: i for i, symbol in enumerate(SPECIAL)}
    number, n, ended, begun = 0, 0, False, False
    for number, line in enumerate(lines, 1):
        line = line.rstrip("\r\n")
        if not line.strip(" ") or ended:
            continue
        if line == "\\data\\":
            begun = True
        elif not begun:
            continue  # a header before the data is allowed
        elif line.startswith("ngram ") and n == 0:
            match = _ANNOUNCED.fullmatch(line)
            if match is None:
                _wrong(path, number, line)
            announced[int(match[1])] = int(match[2])
        elif match := _SECTION.fullmatch(line):
            n = int(match[1])
            if n != len(grams) + 1:
                _wrong(path, number, line)
            grams.append({})
        elif line.startswith("\\end\\"):
            ended = True
        elif n:
            fields = re.split(r"[ \t]+", line.strip(" \t"))
            if len(fields) not in (n + 1, n + 2):
                _wrong(path, number, line)
            try:
                log_prob = float(fields[0])
                backoff = float(fields[n + 1]) if len(fields) == n + 2 else 0.0
                symbols = [symbol_of(token) for token in fields[1 : n + 1]]
                gram = tuple(_number(path, symbol, index, n) for symbol in symbols)
            except (ValueError, KeyError):
                _wrong(path, number, line)
            if not math.isfinite(log_prob) or not math.isfinite(backoff):
                _wrong(path, number, line, "has a number that is not finite")
            grams[-1][gram] = (log_prob * LOG_10, backoff * LOG_10)
        else:
            _wrong(path, number, line)
    if (
        not grams
        or not ended
        or [len(level) for level in grams] != [announced.get(i) for i in range(1, n + 1)]
    ):
        raise InputError(
            path, "is not an ARPA file, or was cut short", "convert it once more from its source."
        )
    for missing in (0, 1, 2):  # symbols that a model may lack
        grams[0].setdefault((missing,), (NEVER * LOG_10, 0.0))
    return _from_grams(path, list(index), grams)


def _number(path: str, symbol: str, index: dict[str, int], n: int) -> int:
    if symbol not in index and n == 1:
        if len(symbol) != 1:
            raise InputError(
                path,
                f"has the token {shown(symbol)}, which is not one character",
                "a model of characters is needed, not one of words: python -m ocrtrain lm build text=FILE",
            )
        index[symbol] = len(index)
    return index[symbol]


def _wrong(path: str, number: int, line: str, why: str = "is not of ARPA's format") -> NoReturn:
    raise InputError(f"{path}, line {number}", f"{why}: {shown(line)}", "correct it.")


def _from_grams(
    path: str, symbols: list[str], grams: list[dict[tuple[int, ...], tuple[float, float]]]
) -> LanguageModel:
    levels = []
    places: dict[tuple[int, ...], int] = {(): 0}
    for level in grams:
        ordered = sorted(level)
        if any(gram[:-1] not in places for gram in ordered):
            raise InputError(
                path, "has an n-gram without its beginning", "convert it again, without pruning."
            )
        parents = np.array([places[gram[:-1]] for gram in ordered], np.int64)
        last = np.array([gram[-1] for gram in ordered], np.int64)
        values = np.array([level[gram] for gram in ordered], float).reshape(-1, 2)
        levels.append(Level(parents, last, values[:, 0], values[:, 1]))
        places = {gram: i for i, gram in enumerate(ordered)}
    return LanguageModel(symbols, levels)
