"""File names and alphabets as people type them, in the words of Hydra's grammar and the shell's."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Collection, Mapping, Sequence

_PLAIN = re.compile(r"[A-Za-z_./][A-Za-z0-9_./:-]*")  # to Hydra and to any shell
_NO_TEXTS = ("null", "true", "false", "nan", "inf")


def taken_literally(override: str, lists: Collection[str] = (), texts: Collection[str] = ()) -> str:
    """Quote the value of `KEY=VALUE` where Hydra's grammar has no place for a plain text.

    Hydra refuses letters outside ASCII, and takes a comma for a sweep and brackets for a list. The value is
    quoted when it cannot be read but is no unfinished list, when it would be read as a sweep or a list but
    names a file that is there, and when it would be a sweep over one of `lists`, settings that take several
    files with commas between. A number is a number, but for `texts`, settings that are paths and names.
    Everything else stays as it is.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    key, equals, value = override.partition("=")
    if not equals or not value or not re.fullmatch(r"[+~]{0,2}\w[\w/$-]*([.@]\w[\w/$-]*)*", key):
        return override
    if value.startswith("~/"):  # shells expand the tilde only at the beginning of a word
        value = os.path.expanduser(value)
        override = f"{key}={value}"
    try:
        parsed = OverridesParser.create().parse_override(override)
    except HydraException:
        literal = value[0] not in "[{\"'" or os.path.exists(value)
    else:
        collection = parsed.is_sweep_override() or isinstance(parsed.value(), list | dict)
        number = key in texts and isinstance(parsed.value(), int | float)  # true and false are, too
        literal = (
            number or (collection and os.path.exists(value)) or (parsed.is_sweep_override() and key in lists)
        )
    return f"{key}={quoted(value)}" if literal else override


def command_to_type(command: str, settings: Mapping[str, object], more: Sequence[str] = ()) -> str:
    """Write a command that can be pasted into a shell; values are quoted for Hydra, then words for the shell.

    settings: values by key, texts that are meant as they are, or others (numbers, null, lists of either);
    more: words that Hydra reads already, put behind them.
    """
    words = [setting(key, value) for key, value in settings.items()]
    return " ".join(["python -m ocrtrain", command, *map(shell_word, [*words, *more])])


def setting(key: str, value: object) -> str:
    """Write KEY=VALUE as Hydra reads it."""
    return f"{key}={_value(value)}"


def shell_word(word: str) -> str:
    """Quote a word for a POSIX shell, with double quotes around single ones where that does."""
    if "'" in word and not set(word) & set('"$`\\!'):
        return f'"{word}"'
    return shlex.quote(word)


def _value(value: object) -> str:
    if isinstance(value, str):
        plain = _PLAIN.fullmatch(value) and value.lower() not in _NO_TEXTS
        # Hydra would look up ${...} even within quotes.
        return value if plain else quoted(re.sub(r"(\\*)\$\{", r"\1\1\\${", value))
    if isinstance(value, Sequence):
        return f"[{','.join(map(_value, value))}]"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def quoted(text: str) -> str:
    """Quote `text` for Hydra, where backslashes count only before a quote and at the end."""
    text = re.sub(r"(\\*)'", r"\1\1\\'", text)
    text = re.sub(r"(\\+)\Z", r"\1\1", text)
    return f"'{text}'"
