"""JSON from people's files, parsed so that no text of it can end a command with a traceback.

Python's parser leaves four ways out of a wrong file, of which programs usually foresee the first: text that
is not JSON, nesting so deep that the stack ends (here or in whoever prints the value later), integers with
thousands of digits, and, from bytes, what is not UTF-8. `parse_json` raises `JsonError` for all of them. What
a good value holds is not checked here: read it through `Fields`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

DEEPEST = 100  # lists and objects within one another
LONGEST_INTEGER = 300  # digits; more do not become a float

Pairs = Callable[[list[tuple[str, Any]]], Any]


class JsonError(ValueError):
    """A text that is no JSON of use; the text of the error says why, to be put behind the file's name."""


def parse_json(text: str | bytes, pairs: Pairs | None = None) -> Any:
    """Parse one JSON value, at most `DEEPEST` levels deep, with integers of at most `LONGEST_INTEGER` digits.

    text: bytes are UTF-8, with a byte order mark or without; pairs: makes each object of its (key, value)
    pairs, where a key may occur twice. `NaN` and `Infinity`, which JSON lacks and others write, become
    floats; strings may hold lone surrogates, as names of files do. Raises `JsonError`.
    """
    try:
        decoded = text.decode("utf-8-sig") if isinstance(text, bytes) else text
        value = json.loads(decoded, parse_int=_integer, object_pairs_hook=pairs)
    except UnicodeDecodeError:
        raise JsonError("is not UTF-8") from None
    except RecursionError:
        raise JsonError(_TOO_DEEP) from None
    except json.JSONDecodeError as error:
        raise JsonError(f"is not JSON: {error.msg}, at character {error.pos + 1}") from None
    # Counting brackets is quick, and without many there is no depth to look for.
    if decoded.count("[") + decoded.count("{") > DEEPEST and _deep(value):
        raise JsonError(_TOO_DEEP)
    return value


def parse_json_file(path: str | Path) -> Any:
    """Parse a file that holds one JSON value; raises `JsonError` as `parse_json` does, and `OSError`."""
    return parse_json(Path(path).read_bytes())


_TOO_DEEP = f"is nested more than {DEEPEST} levels deep"


def _integer(digits: str) -> int:
    if len(digits) > LONGEST_INTEGER:
        raise JsonError(f"has an integer of {len(digits.lstrip('-')):,} digits")
    return int(digits)


def _deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEEPEST):
        inside: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                inside += each.values()
            elif isinstance(each, list | tuple):
                inside += each
        level = [each for each in inside if isinstance(each, dict | list | tuple)]
        if not level:
            return False
    return True
